"""Estimators against brute force over all subsets."""

import math
from collections import Counter
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttlab.errors import OptionError
from tttlab.experiments.estimators import best_of_k, majority_at_k, pass_at_k
from tttlab.experiments.intervals import bootstrap
from tttlab.experiments.samples import Samples
from tttlab.experiments.scaling import RULES, scaling

answers = st.lists(st.sampled_from(["r", "a", "b", None]), min_size=1, max_size=8)
scored = st.lists(st.tuples(st.sampled_from([None, -2.0, -1.0, -0.5]), st.booleans()), min_size=1, max_size=8)


def subsets(items, k):
    return list(combinations(items, k))


def majority_of(subset):
    counts = Counter(answer for answer in subset if answer is not None)
    if not counts:
        return 0.0
    leaders = [answer for answer, count in counts.items() if count == max(counts.values())]
    return leaders.count("r") / len(leaders)


def best_of(subset):
    top = max(-math.inf if score is None else score for score, _ in subset)
    return fmean(right for score, right in subset if (-math.inf if score is None else score) == top)


@given(answers, st.integers(1, 8))
def test_pass_at_k_is_the_mean_over_all_subsets(said, k):
    correct = [answer == "r" for answer in said]
    if k > len(said):
        assert math.isnan(pass_at_k(correct, k))
    else:
        assert pass_at_k(correct, k) == pytest.approx(fmean(any(each) for each in subsets(correct, k)))


@settings(max_examples=200)
@given(answers, st.integers(1, 8))
def test_majority_is_the_mean_over_all_subsets_with_ties_parted_evenly(said, k):
    correct = [answer == "r" for answer in said]
    if k > len(said):
        assert math.isnan(majority_at_k(said, correct, k))
    else:
        expected = fmean(majority_of(each) for each in subsets(said, k))
        assert majority_at_k(said, correct, k) == pytest.approx(expected)


@given(scored, st.integers(1, 8))
def test_best_of_k_is_the_mean_over_all_subsets_with_ties_parted_evenly(samples, k):
    scores, correct = [score for score, _ in samples], [right for _, right in samples]
    if k > len(samples):
        assert math.isnan(best_of_k(scores, correct, k))
    else:
        assert best_of_k(scores, correct, k) == pytest.approx(fmean(best_of(each) for each in subsets(samples, k)))


def test_the_published_figure_of_humaneval_is_not_the_plug_in():
    # With 1 right of 2, two draws without replacement always hold it; (1 - 1/2) squared would say otherwise.
    assert pass_at_k([True, False], 2) == 1.0
    assert pass_at_k([True, False, False, False], 2) == 0.5


def test_one_sample_is_the_mean_for_every_rule():
    samples = Samples(
        problem="p",
        answers=("r", "a", None, "r"),
        correct=(True, False, False, True),
        mean_logprobs=(-1.0, -0.5, -0.1, None),
    )
    assert [rule(samples, 1) for rule in RULES.values()] == [0.5, 0.5, 0.5]


def test_an_abstention_is_not_chosen_for_being_sure():
    samples = Samples(problem="p", answers=("r", None), correct=(True, False), mean_logprobs=(-2.0, -0.1))
    assert RULES["best-of-k by mean log-probability"](samples, 2) == 1.0


def test_the_interval_holds_the_mean_and_narrows_with_more_problems():
    few, many = bootstrap([0.0, 1.0] * 10), bootstrap([0.0, 1.0] * 200)
    assert few.low < few.mean == 0.5 < few.high
    assert many.high - many.low < few.high - few.low
    assert bootstrap([0.3] * 5).low == bootstrap([0.3] * 5).high == pytest.approx(0.3)
    assert bootstrap([0.0, 1.0] * 10) == few
    with pytest.raises(OptionError, match="no problems"):
        bootstrap([])


def test_the_interval_covers_what_it_says():
    from random import Random

    rng = Random(1)
    held = 0
    for trial in range(200):
        drawn = [float(rng.random() < 0.4) for _ in range(50)]
        interval = bootstrap(drawn, seed=trial)
        held += interval.low <= 0.4 <= interval.high
    assert 180 <= held <= 200


def test_a_curve_holds_each_rule_at_each_size_that_can_be_told():
    problem = Samples(problem="p", answers=("r",) * 4, correct=(True,) * 4, mean_logprobs=(-1.0,) * 4)
    points = scaling([problem, problem], [1, 2, 4, 8])
    assert [(point.rule, point.samples) for point in points] == [(rule, k) for rule in RULES for k in (1, 2, 4)]
    assert {point.interval.problems for point in points} == {2}
