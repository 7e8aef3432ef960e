"""A frontier: figures that are the policies' own, what beats what, and what is said where nothing can be known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.experiments.policies.pools import pool_saying
from tttlab.errors import OptionError
from tttlab.experiments.estimators import majority_at_k
from tttlab.experiments.frontier import frontier
from tttlab.experiments.policies import AdaptiveConsistency, BestOfN, Order, SelfConsistency, SingleSample
from tttlab.experiments.policies.order import SUBSETS

MIXED = [["1"] * right + ["2", "3", None] * 3 for right in (0, 2, 3, 5, 8, 12)]
SAID = [said[:9] for said in MIXED]


def test_its_figures_are_those_of_the_policies_and_near_the_exact_ones():
    pool = pool_saying(*SAID)
    found = frontier(pool, [SelfConsistency(samples=5), SingleSample()], subsets=500)
    single, five = found.points
    assert (single.label, five.label, found.problems, found.samples) == ("one sample", "maj@5", 6, 9)
    exact = [majority_at_k(said, [value == "1" for value in said], 5) for said in SAID]
    assert five.accuracy.mean == pytest.approx(np.mean(exact), abs=4 * five.simulation_error)
    assert five.simulation_error < 0.01
    replayed = SelfConsistency(samples=5).replay(pool, Order.random(pool, subsets=500))
    assert five.accuracy.mean == pytest.approx(replayed.accuracy.mean())
    assert five.cost == pytest.approx(replayed.costs["tokens"].mean())
    assert five.difference.mean == pytest.approx(five.accuracy.mean - single.accuracy.mean)
    assert five.accuracy.low < five.accuracy.mean < five.accuracy.high


def test_how_many_problems_are_replayed_at_once_changes_nothing(monkeypatch):
    pool = pool_saying(*SAID)
    whole = frontier(pool, [SelfConsistency(samples=5)])
    monkeypatch.setattr("tttlab.experiments.replaying._AT_ONCE", 2 * SUBSETS * 9)
    assert frontier(pool, [SelfConsistency(samples=5)]).data == whole.data


def test_differences_are_paired():
    pool = pool_saying(*([["1"] * 4] * 20 + [["2"] * 4] * 20))
    [point] = frontier(pool, [SelfConsistency(samples=3)]).points
    assert point.accuracy.high - point.accuracy.low > 0.2
    assert (point.difference.mean, point.difference.high - point.difference.low < 0.2) == (0, True)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([1, 2, 3, 5, 7, 9]), min_size=1, max_size=5, unique=True), st.integers(0, 99))
def test_a_point_is_on_the_frontier_if_and_only_if_nothing_beats_it(sizes, seed):
    pool = pool_saying(*SAID, scores={"mean_logprob": [[-0.1 * place for place in range(9)]] * 6})
    policies = [kind(samples=size) for size in sizes for kind in (SelfConsistency, BestOfN)]
    found = frontier(pool, policies, subsets=20, seed=seed)
    figures = [(point.cost, point.accuracy.mean) for point in found.points]
    for point, (cost, accuracy) in zip(found.points, figures, strict=True):
        above = [
            other
            for other, (less, more) in zip(found.points, figures, strict=True)
            if less <= cost + 1e-9 and more >= accuracy - 1e-12 and (less < cost - 1e-9 or more > accuracy + 1e-12)
        ]
        assert point.on_frontier == (not above)
        assert (point.dominated_by is None) == point.on_frontier
        assert point.on_frontier or point.dominated_by in {other.label for other in above}
    assert sorted(cost for cost, _ in figures) == [cost for cost, _ in figures]
    assert found.best


def test_what_is_not_known_is_nan_with_a_note_and_beats_nothing():
    pool = pool_saying(*SAID[:5], ["1"] * 4, costs={"dollars": [[None] * 9] * 5 + [[None] * 4]})
    found = frontier(pool, [SelfConsistency(samples=9), SingleSample()])
    single, nine = found.points
    assert np.isnan([nine.accuracy.mean, nine.accuracy.low, nine.cost, nine.difference.low]).all()
    assert (nine.on_frontier, nine.dominated_by) == (False, None)
    assert nine.note == "not known: 1 of 6 problems have too few samples for it"
    assert single.on_frontier
    assert "not known" in str(found)
    [unpriced] = frontier(pool, [SingleSample()], unit="dollars").points
    assert "in dollars was not recorded" in unpriced.note
    assert not unpriced.on_frontier


def test_one_problem_has_no_interval_and_none_answered_is_nothing_right():
    [point] = frontier(pool_saying(["1", "2", "1"]), [SelfConsistency(samples=3)]).points
    assert (point.accuracy.mean, math.isnan(point.accuracy.low), "one problem" in point.note) == (1, True, True)
    found = frontier(
        pool_saying([None] * 3, [None] * 3), [SelfConsistency(samples=3), AdaptiveConsistency(max_samples=3)]
    )
    assert [(point.accuracy.mean, point.samples) for point in found.points] == [(0, 3), (0, 3)]


def test_how_often_a_budget_is_kept():
    pool = pool_saying(["1"] * 8, ["1", "2"] * 4)
    options = {"baseline": SelfConsistency(samples=2), "unit": "latency"}
    found = frontier(
        pool, [AdaptiveConsistency(max_samples=8), SelfConsistency(samples=2)], budget="5 calls", **options
    )
    kept = {point.label: point.within for point in found.points}
    assert kept["maj@2"] == 1
    assert 0.5 <= kept["adaptive (to 0.95, at most 8)"] < 0.6
    assert found.baseline == "maj@2"
    seconds = frontier(pool, [SelfConsistency(samples=8)], budget="2.5 s").points[0]
    assert (seconds.within, seconds.costs["latency"], seconds.costs["seconds"] > 2.5) == (1, 2.5, True)


def test_its_rows_are_a_table():
    found = frontier(pool_saying(*SAID), [SelfConsistency(samples=3), SelfConsistency(samples=10)])
    table = found.table()
    assert table.column_names == list(found.data[0])
    assert table.num_rows == 2
    assert table["on_frontier"].to_pylist() == [True, False]


@pytest.mark.parametrize(
    ("policies", "options", "message"),
    [
        ([], {}, "there are no policies"),
        ([SingleSample(), SingleSample()], {}, "'one sample' is given twice"),
        ([SingleSample()], {"unit": "token"}, "did you mean 'tokens'"),
        ([SingleSample()], {"level": 95}, "a level is between 0 and 1"),
        ([SingleSample()], {"subsets": 0}, "subsets=0"),
    ],
)
def test_what_cannot_be_compared_is_refused(policies, options, message):
    with pytest.raises(OptionError, match=message):
        frontier(pool_saying(*SAID), policies, **options)
