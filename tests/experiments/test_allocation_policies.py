"""Allocation replayed: by synthetic pools of known truth, by the real allocator, and by what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.experiments.policies.pools import SAID, pool_saying
from tests.speaker import Speaker
from tttlab import Problem
from tttlab.errors import OptionError
from tttlab.experiments.allocation_policies import RULES, allocate_recorded
from tttlab.experiments.grouped_shares import Curves, spread_by_groups
from tttlab.experiments.policies import Order
from tttlab.experiments.posterior_shares import spread_by_posterior
from tttlab.strategies.selection import leader


def mixture(easy=60, hard=60, hopeless=30, samples=40, seed=0):
    """Problems answered rightly 95 %, 45 % and 4 % of the time. Wrong answers of the hard ones are spread over four."""
    rng = np.random.default_rng(seed)
    said = []
    for chance in [0.95] * easy + [0.45] * hard + [0.04] * hopeless:
        wrong = rng.choice(["2", "3", "4", "5"], samples)
        said.append(["1" if right else other for right, other in zip(rng.random(samples) < chance, wrong, strict=True)])
    return pool_saying(*said)


def by_rule(found, budget):
    return {point.rule: point for point in found.points if point.budget == budget}


def test_what_is_known_of_difficulty_helps_oracle_most_then_the_posterior_then_nothing():
    found = allocate_recorded(mixture(), [4, 8], subsets=10)
    for budget in (4, 8):
        points = by_rule(found, budget)
        accuracy = {rule: point.accuracy.mean for rule, point in points.items()}
        assert accuracy["oracle"] > accuracy["posterior"] > accuracy["uniform"]
        assert accuracy["oracle"] >= accuracy["predicted"] - 0.005
        assert points["oracle"].difference.low > 0
        assert points["posterior"].difference.low > 0
        assert all(point.spent <= budget * (1 + 1e-9) for point in points.values())
        assert points["uniform"].samples[4] == pytest.approx(budget)
        # The hopeless (first bin) and the easy (last bin) leave more to the hard.
        assert points["oracle"].samples[2] > 1.3 * budget > budget > points["oracle"].samples[0]
        assert points["posterior"].samples[2] > budget > points["posterior"].samples[4]
        assert sum(points["oracle"].shares) == pytest.approx(1)


def test_where_more_samples_say_the_same_no_rule_gains():
    pool = pool_saying(*([str(1 + place % 2)] * 12 for place in range(40)))
    for point in allocate_recorded(pool, [5], subsets=5).points:
        assert (point.accuracy.mean, point.difference.mean) == (0.5, 0)
        assert point.spent == pytest.approx({"uniform": 5, "oracle": 0.5, "predicted": 2, "posterior": 4}[point.rule])


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.lists(SAID, min_size=6, max_size=6), min_size=2, max_size=4),
    st.integers(1, 2),
    st.integers(0, 12),
    st.sampled_from([0.8, 0.95]),
)
def test_the_posterior_draws_as_the_allocator_does(said, minimum, more, threshold):
    pool = pool_saying(*said, ids=[f"problem {place}" for place in range(len(said))])
    total = minimum * len(said) + more
    left = {problem: iter(samples) for problem, samples in zip(pool.problems, said, strict=True)}

    def reply(request):
        value = next(left[request.messages[-1].text])
        return "" if value is None else f"The answer is {value}"

    ran = tttlab.allocate(
        [Problem(prompt=name, id=name) for name in pool.problems],
        budget=f"{total} calls",
        model=Speaker(reply),
        batch=1,
        minimum=minimum,
        maximum=6,
        threshold=threshold,
    )
    draws = Order.recorded(pool).draws(pool)
    spent = draws.spent("calls")
    curves = Curves(correct=np.zeros(spent.shape), spent=spent)
    [found] = spread_by_posterior(draws, curves, [total / len(said)], least=minimum, threshold=threshold)
    assert found.samples[:, 0].tolist() == [ran.samples[problem] for problem in pool.problems]
    votes = [{} if run.curve[-1].votes is None else run.curve[-1].votes for run in ran.runs]
    assert [leader(each) for each in votes] == [ran.answers[problem] for problem in pool.problems]


def test_a_problem_sets_not_its_own_share():
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.integers(0, 3, 12)[:, None], 4, axis=1)
    folds = np.arange(12) % 2
    spent = np.broadcast_to(np.arange(9.0), (12, 4, 9))
    correct = np.cumsum(rng.random((12, 4, 9)), axis=2) / 9
    before = spread_by_groups(Curves(correct=correct, spent=spent), groups, folds, [3], least=1)[0].samples
    changed = correct.copy()
    changed[0] = changed[0, :, ::-1]
    after = spread_by_groups(Curves(correct=changed, spent=spent), groups, folds, [3], least=1)[0].samples
    assert (after[folds == 0] == before[folds == 0]).all()
    assert (after[folds == 1] != before[folds == 1]).any()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(1, 9), st.integers(0, 2))
def test_a_fold_never_spends_more_than_its_part_and_shares_stay_in_range(seed, budget, least):
    rng = np.random.default_rng(seed)
    groups, folds = rng.integers(0, 4, (10, 3)), rng.permutation(10) % 2
    spent = np.concatenate([np.zeros((10, 3, 1)), np.cumsum(rng.uniform(0.3, 0.4, (10, 3, 8)), axis=2)], axis=2)
    curves = Curves(correct=rng.random((10, 3, 9)), spent=spent)
    [found] = spread_by_groups(curves, groups, folds, [budget], least=least)
    for fold in (0, 1):
        assert (found.spent[folds == fold].mean(axis=0) <= max(budget, 0.8) * (1 + 1e-9)).all()
    assert ((found.samples >= least - 1e-9) & (found.samples <= 8 + 1e-9)).all()
    assert ((found.correct >= -1e-9) & (found.correct <= 1 + 1e-9)).all()


def test_costs_in_tokens_are_spent_as_they_are_and_rows_are_for_charts():
    pool = mixture(easy=10, hard=10, hopeless=5, samples=12)
    found = allocate_recorded(pool, [60, 90], unit="tokens", subsets=5)
    assert {(point.rule, point.budget) for point in found.points} == {(rule, b) for rule in RULES for b in (60, 90)}
    assert all(point.spent <= point.budget * (1 + 1e-9) for point in found.points)
    assert [row["rule"] for row in found.data] == [point.rule for point in found.points]
    rows = [row for row in found.by_difficulty if (row["rule"], row["budget"]) == ("oracle", 60)]
    assert [row["problems"] for row in rows] == list(found.problems_by_bin)
    assert sum(row["problems"] for row in rows) == 25
    assert found.table().num_rows == len(found.points)


def test_unequal_counts_are_cut_to_what_all_have_and_said():
    found = allocate_recorded(pool_saying(["1"] * 9, ["2"] * 4, ["1"] * 6), [3], subsets=2)
    assert (found.samples, found.problems) == (4, 3)
    assert all(math.isnan(each) for each in found.points[0].samples[1:4])


@pytest.mark.parametrize(
    ("said", "options", "message"),
    [
        ([["1", "2"]], {}, "one problem leaves nothing to allocate"),
        ([["1"], ["2"]], {}, "the minimum of 2 samples is more than the 1"),
        ([["1", "2"], ["2", "1"]], {"budgets": []}, "there is no budget"),
        ([["1", "2"], ["2", "1"]], {"budgets": [1.5]}, "no room for 2 samples of each: give at least 2"),
        ([["1", "2"], ["2", "1"]], {"budgets": [math.nan]}, "no room for 2 samples"),
        ([["1", "2"], ["2", "1"]], {"rules": ["orakle"]}, "did you mean 'oracle'"),
        ([["1", "2"], ["2", "1"]], {"unit": "dollars"}, "no cost 'dollars'"),
        ([["1", "2"], ["2", "1"]], {"minimum": 0}, "the minimum of samples=0"),
    ],
)
def test_what_cannot_be_allocated_is_refused(said, options, message):
    with pytest.raises(OptionError, match=message):
        allocate_recorded(pool_saying(*said), **{"budgets": [2], **options})
