"""Adaptive consistency stops where the paper's rule says, worked out here by counting and by drawing."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import isclose
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError, RunFailed
from tttlab.strategies.adaptive_consistency import beta_stability, dirichlet_stability

QUESTION = "What is 7 times 8?"


def think(*said, **options):
    reply = answers(*said)

    def spoken(request):
        text = reply(request)
        return "" if text == "The answer is " else text

    return tttlab.think(QUESTION, strategy="adaptive_consistency", model=Speaker(spoken), **options)


def integral(v1, v2):
    """1 - I_0.5(v1 + 1, v2 + 1) as the ratio of the integrals of x^v1 (1 - x)^v2 in exact polynomials."""

    def upto(x):
        terms = (Fraction((-1) ** k * choose(v2, k), v1 + k + 1) * Fraction(x) ** (v1 + k + 1) for k in range(v2 + 1))
        return sum(terms, Fraction(0))

    return float(1 - upto(Fraction(1, 2)) / upto(1))


def choose(n, k):
    row = [1]
    for _ in range(n):
        row = [1, *(a + b for a, b in pairwise(row)), 1]
    return row[k]


def stops_at(said, threshold, most):
    """Algorithm 1 of the paper with the beta criterion: the number of samples, and the majority."""
    seen = []
    for value in said[:most]:
        seen.append(value)
        counts = Counter(value for value in seen if value).most_common(2)
        if counts and integral(counts[0][1], counts[1][1] if len(counts) > 1 else 0) >= threshold:
            break
    counts = Counter(value for value in seen if value).most_common(1)
    return len(seen), counts[0][0] if counts else None


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(["1", "2", "3", ""]), min_size=12, max_size=12),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
    st.sampled_from([1, 3]),
)
def test_it_stops_where_the_paper_says_whatever_the_batch(said, threshold, batch):
    run = think(*said, threshold=threshold, max_samples=12, batch=batch)
    assert (len(run.curve), run.answer) == stops_at(said, threshold, 12)
    assert run.usage.calls == min(12, -(-len(run.curve) // batch) * batch)


def test_four_samples_that_agree_suffice_at_95_percent_and_three_do_not():
    run = think("56")
    assert [point.confidence for point in run.curve] == [0.75, 0.875, 0.9375, 0.96875]
    assert run.usage.calls == 4


@given(st.integers(0, 25), st.integers(0, 25))
def test_the_beta_rule_is_the_regularised_incomplete_beta_function(v1, v2):
    high, low = max(v1, v2), min(v1, v2)
    assert isclose(beta_stability({"a": low, "b": high}), integral(high, low), abs_tol=1e-12)


@pytest.mark.parametrize("counts", [(3, 1, 1), (5, 4, 2, 1), (2, 2, 2), (12, 3, 1, 1, 1)])
def test_the_dirichlet_rule_is_how_often_the_leader_leads(counts):
    rng, draws = Random(1), 20_000
    won = 0
    for _ in range(draws):
        first, *others = (rng.gammavariate(count + 1, 1) for count in counts)
        won += first > max(others)
    votes = {str(index): count for index, count in enumerate(counts)}
    assert isclose(dirichlet_stability(votes), won / draws, abs_tol=4 * 0.5 / draws**0.5)


def test_the_dirichlet_rule_is_exact_where_the_answer_is_known():
    assert isclose(dirichlet_stability({"a": 2, "b": 2, "c": 2}), 1 / 3, abs_tol=1e-7)
    assert isclose(dirichlet_stability({"a": 30, "b": 30, "c": 30, "d": 30}), 1 / 4, abs_tol=1e-7)
    assert isclose(dirichlet_stability({"a": 5, "b": 3}), integral(5, 3))
    assert isclose(dirichlet_stability({"a": 4}), 0.96875)


def test_the_dirichlet_rule_waits_longer_where_many_answers_are_seen():
    said = ["1", "2", "3", "4", "1", "1", "1", "1", "1", "1", "1"]
    beta, dirichlet = (think(*said, rule=rule) for rule in ("beta", "dirichlet"))
    assert beta.usage.calls < dirichlet.usage.calls


def test_samples_without_an_answer_never_win_and_count_as_samples():
    run = think("", max_samples=5)
    assert (run.answer, run.confidence, run.usage.calls) == (None, 0.0, 5)
    assert (think("", "56", max_samples=5).answer, think("", "56").usage.calls) == ("56", 8)


def test_a_least_number_of_samples_is_kept():
    assert think("56", threshold=0.5, min_samples=3).usage.calls == 3


def test_a_failed_call_costs_one_sample_and_all_failed_is_a_failed_run():
    run = think("56", fault(), max_samples=10)
    assert (run.status, run.answer, run.usage.calls) == ("ok", "56", 7)
    with pytest.raises(RunFailed, match="the line went dead"):
        think(fault(), max_samples=3)


def test_a_budget_keeps_the_leader_so_far():
    run = think("56", budget="2 calls")
    assert (run.status, run.answer, run.confidence) == ("budget", "56", 0.875)


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="beta or dirichlet"):
        think("56", rule="gamma")
    with pytest.raises(OptionError, match="max_samples=3"):
        think("56", min_samples=4, max_samples=3)
