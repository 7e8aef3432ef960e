from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tttlab.identity import IdentityCounter, call_seed, request_digest
from tttlab.types import CallIdentity, Message, ReasoningItem, Sampling

ASKED = (Message("user", "7 * 8?"),)


def test_the_first_samples_of_many_are_the_samples_of_few():
    few, many = IdentityCounter().take("d", "", 8), IdentityCounter().take("d", "", 16)
    assert many[:8] == few


def test_numbers_go_on_within_a_branch_and_begin_again_in_another():
    counter = IdentityCounter()
    counter.take("d", "0", 2)
    assert counter.take("d", "0", 1) == [CallIdentity("d", "0", 2)]
    assert counter.take("d", "1", 1) == [CallIdentity("d", "1", 0)]
    assert counter.take("e", "0", 1) == [CallIdentity("e", "0", 0)]


def test_anything_asked_changes_the_digest_and_the_seed_is_no_part_of_it():
    digest = request_digest("m", ASKED, Sampling())
    assert digest == request_digest("m", ASKED, Sampling())
    others = {
        request_digest("other", ASKED, Sampling()),
        request_digest("m", (Message("system", "7 * 8?"),), Sampling()),
        request_digest("m", (*ASKED, Message("assistant", "")), Sampling()),
        request_digest("m", ASKED, replace(Sampling(), temperature=0.8)),
        request_digest("m", ASKED, replace(Sampling(), stop=("\n",))),
        request_digest("m", ASKED, replace(Sampling(), thinking_budget=100)),
        request_digest("m", ASKED, replace(Sampling(), effort="high")),
        request_digest("m", (Message("user", "7 * 8?", (ReasoningItem("w", "{}"),)),), Sampling()),
    }
    assert digest not in others
    assert len(others) == 8


@given(st.integers(0, 2**40), st.integers(0, 10_000))
def test_seeds_count_up_from_a_hashed_base_and_avoid_the_sentinel(run_seed, ordinal):
    first, nth = call_seed(run_seed, CallIdentity("d", "", 0)), call_seed(run_seed, CallIdentity("d", "", ordinal))
    assert nth == (first + ordinal) % (2**32 - 1)
    assert 0 <= nth < 2**32 - 1


def test_neighbouring_run_seeds_share_no_samples():
    seeds = [{call_seed(run, CallIdentity("d", "", n)) for n in range(64)} for run in (0, 1)]
    assert not seeds[0] & seeds[1]


def test_the_digest_is_stable_over_versions():
    assert request_digest("m", ASKED, Sampling()) == "sha256:9089a68d2cd81ac6d4610e92bd9e734c"
