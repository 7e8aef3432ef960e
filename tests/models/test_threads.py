"""Threads and their wait policy are measured once, and what a user set is left alone."""

import sys

import pytest

from tttlab.errors import OptionError
from tttlab.models import threads, weights
from tttlab.models.threads import SHORT_SPIN, Threads, available_cores, choose_threads, measure_threads


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TTTLAB_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TTTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    monkeypatch.setattr(threads, "_taken", [])


def load(monkeypatch, chosen):
    """What the engine does when it is imported with a choice."""
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "xllamacpp", object())


def test_what_the_user_set_is_taken(monkeypatch):
    monkeypatch.setenv("TTTLAB_THREADS", "3")
    assert choose_threads("unused") == Threads(
        count=3, policy="short spin", environment=SHORT_SPIN, source="environment"
    )
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    chosen = choose_threads("unused")
    assert (chosen.count, chosen.policy, chosen.environment) == (3, "environment", {"OMP_WAIT_POLICY": "active"})


@pytest.mark.parametrize("given", ["many", "0", "-1", "513", "99999999999", "9" * 5000])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, given):
    monkeypatch.setenv("TTTLAB_THREADS", given)
    with pytest.raises(OptionError, match=f"TTTLAB_THREADS='{given[:20]}' is not a number .* from 1 to 512"):
        choose_threads("unused")


def test_a_policy_that_was_fixed_at_import_is_not_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", object())
    assert choose_threads("unused").policy == "already fixed"


def test_the_fastest_policy_is_taken_only_where_it_is_much_faster(monkeypatch):
    def speeds(default):
        def measured(model, count, environment):
            return {(): default, ("GOMP_SPINCOUNT",): 100.0 * count, ("OMP_WAIT_POLICY",): 50.0}[tuple(environment)]

        return measured

    monkeypatch.setattr(threads, "_tokens_a_second", speeds(default=210.0))
    assert measure_threads("unused", 2) == Threads(count=2, policy="short spin", environment=SHORT_SPIN)
    monkeypatch.setattr(threads, "_tokens_a_second", speeds(default=240.0))
    assert measure_threads("unused", 2) == Threads(count=2, policy="engine's default", environment={})


@pytest.fixture
def measured(monkeypatch):
    """The counts of cores that were measured."""
    found = []

    def measure(model, cores):
        found.append(cores)
        return Threads(count=cores, policy="passive", environment={"OMP_WAIT_POLICY": "passive"})

    monkeypatch.setattr(threads, "measure_threads", measure)
    return found


def test_what_was_measured_is_remembered(measured):
    assert choose_threads("unused") == choose_threads("unused")
    assert measured == [available_cores()]


@pytest.mark.parametrize("policy", threads.POLICIES)
def test_a_second_model_has_the_policy_of_the_first_and_it_is_not_taken_for_the_users(monkeypatch, policy):
    best = Threads(count=2, policy=policy, environment=threads.POLICIES[policy])
    monkeypatch.setattr(threads, "measure_threads", lambda model, cores: best)
    load(monkeypatch, choose_threads("unused"))
    assert choose_threads("unused") == choose_threads("unused") == best
    monkeypatch.setenv("TTTLAB_THREADS", "3")
    assert choose_threads("unused") == Threads(
        count=3, policy=policy, environment=threads.POLICIES[policy], source="environment"
    )


def test_what_the_user_sets_after_the_first_model_is_the_users(monkeypatch, measured):
    load(monkeypatch, choose_threads("unused"))
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert choose_threads("unused").policy == "environment"


@pytest.mark.parametrize(
    "damaged", [{"foo": 1}, 3, {"count": "two", "policy": "passive"}, {"count": 0, "policy": "passive"}, {"count": 1}]
)
def test_what_is_remembered_and_cannot_be_read_is_measured_again(measured, damaged):
    chosen = choose_threads("unused")
    [key] = weights.remembered_facts("threads.json")
    weights.remember_facts("threads.json", {key: damaged})
    assert choose_threads("unused") == chosen
    assert len(measured) == 2


def test_a_child_that_fails_counts_as_no_speed(tmp_path):
    assert threads._tokens_a_second(tmp_path / "none.gguf", 1, {}) == 0.0


@pytest.mark.embedded
def test_the_real_measurement_gives_a_choice(monkeypatch):
    monkeypatch.delenv("TTTLAB_CACHE")
    chosen = measure_threads(weights.fetch(progress=False), 1)
    assert chosen.count == 1
    assert chosen.policy in threads.POLICIES
