"""Means over orders are those of the exact estimators; what is charged is what was recorded; what is unknown is NaN."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.experiments.policies.pools import RIGHT, SAID, every_order, first_answer, pool_saying
from tttlab.errors import OptionError
from tttlab.experiments.estimators import best_of_k, majority_at_k
from tttlab.experiments.policies import (
    AdaptiveConsistency,
    BestOfN,
    Cascade,
    ConfidenceFiltering,
    EarlyStoppingConsistency,
    Order,
    SelfConsistency,
    SingleSample,
    WeightedVote,
    WithinBudget,
)
from tttlab.experiments.policies.draws import Draws
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE

FIVE = st.lists(SAID, min_size=5, max_size=5)
SCORES = st.lists(st.sampled_from([0.1, 0.2, 0.5, None]), min_size=5, max_size=5)


@settings(deadline=None, max_examples=40)
@given(FIVE, FIVE, st.integers(1, 5))
def test_self_consistency_is_the_exact_majority_at_k(first, second, k):
    pool = pool_saying(first, second)
    wanted = [majority_at_k(said, [value == RIGHT for value in said], k) for said in (first, second)]
    assert np.allclose(SelfConsistency(samples=k).replay(pool, every_order(pool)).accuracy, wanted)
    single = SingleSample().replay(pool, every_order(pool)).accuracy
    assert np.allclose(single, [said.count(RIGHT) / 5 for said in (first, second)])


@settings(deadline=None, max_examples=40)
@given(FIVE, SCORES, st.integers(1, 5))
def test_best_of_n_is_the_exact_best_of_k(said, scores, k):
    # Where no sample of a subset has a score the majority decides, and the estimator takes any: each has one here.
    scores = [None if value is None else score or 0.05 for value, score in zip(said, scores, strict=True)]
    pool = pool_saying(said, scores={"judge": [scores]})
    outcome = BestOfN(samples=k, score="judge", verdict={}).replay(pool, every_order(pool))
    assert math.isclose(outcome.accuracy[0], best_of_k(scores, [value == RIGHT for value in said], k), abs_tol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.lists(SAID, min_size=1, max_size=30), st.integers(0, 2**31))
def test_the_running_vote_is_a_count(said, seed):
    pool = pool_saying(said)
    order = Order.random(pool, subsets=3, seed=seed)
    votes = Draws(pool, order.indices).votes
    for subset in range(3):
        heard = []
        for step, place in enumerate(order.indices[0, subset]):
            heard.append(said[place])
            counts = Counter(value for value in heard if value is not None)
            ranked = [*counts.most_common(2), (None, 0), (None, 0)]
            assert (votes.first[0, subset, step], votes.second[0, subset, step]) == (ranked[0][1], ranked[1][1])
            tied = [value for value, votes_of in counts.items() if votes_of == ranked[0][1]]
            assert votes.correct[0, subset, step] == (tied.count(RIGHT) / len(tied) if tied else 0)
            leader = votes.leader[0, subset, step]
            assert (None if leader == ABSTAINED else pool.values[0][leader]) == (tied[0] if tied else None)


def spend(said, tokens, budget, most):
    """Samples one after another until one does not fit: votes, samples charged, tokens; None: unknown."""
    used, heard = 0, []
    for number, (value, cost) in enumerate(zip(said, tokens, strict=True)):
        if number == most:
            return heard, number, used
        if used + cost > budget:
            return heard, number + (budget > used), budget
        heard.append(value)
        used += cost
    return (heard, len(said), used) if most == len(said) or used == budget else None


@settings(deadline=None, max_examples=60)
@example(["1"] * 6, 80, None)
@example(["1"] * 6, 80, 6)
@given(st.lists(SAID, min_size=6, max_size=6), st.integers(1, 90), st.sampled_from([None, 1, 3, 6]))
def test_a_smaller_budget_is_spent_in_order(said, budget, most):
    pool = pool_saying(said)
    tokens = pool.costs["tokens"][0]
    outcome = WithinBudget(budget=f"{budget} tokens", max_samples=most).replay(pool, Order.recorded(pool))
    wanted = spend(said, tokens, budget, most)
    if wanted is None:
        assert np.isnan([outcome.correct[0, 0], outcome.samples[0, 0], outcome.costs["tokens"][0, 0]]).all()
        return
    heard, samples, spent = wanted
    counts = Counter(value for value in heard if value is not None)
    assert outcome.said(0, 0) == (counts.most_common(1)[0][0] if counts else None)
    assert (outcome.samples[0, 0], outcome.costs["calls"][0, 0], outcome.costs["tokens"][0, 0]) == (
        samples,
        samples,
        spent,
    )


def test_a_budget_of_calls_or_of_two_units_ends_at_the_first_that_is_spent():
    pool = pool_saying(["2", "1", "1", "1", "1"])
    assert first_answer(WithinBudget(budget="2 calls"), pool) == ("2", 2)
    assert first_answer(WithinBudget(budget="4 calls, 33 tokens"), pool) == ("1", 3)
    assert first_answer(WithinBudget(budget="33 tokens, 3 calls"), pool) == ("1", 3)
    assert first_answer(WithinBudget(budget="5 tokens"), pool) == (None, 1)
    outcome = WithinBudget(budget="15 tokens").replay(pool, Order.recorded(pool))
    # Of the second sample, which would cost 11 tokens and 1.5 seconds, 5 tokens were left.
    assert outcome.costs["seconds"][0, 0] == pytest.approx(0.5 + 1.5 * 5 / 11)
    assert outcome.costs["tokens"][0, 0] == 15


def test_every_sample_used_is_charged_and_waiting_is_by_what_is_asked_at_once():
    pool = pool_saying(["1", "2", "1", "1", "1", "1"])  # seconds 0.5 1.5 2.5 0.5 1.5 2.5
    every = SelfConsistency(samples=4).replay(pool, Order.recorded(pool)).costs
    assert [every[unit][0, 0] for unit in ("tokens", "calls", "seconds", "latency")] == [46, 4, 5, 2.5]
    stopped = EarlyStoppingConsistency(window=2, max_samples=6).replay(pool, Order.recorded(pool))
    assert [stopped.costs[unit][0, 0] for unit in ("calls", "seconds", "latency")] == [4, 5, 1.5 + 2.5]
    adaptive = AdaptiveConsistency(threshold=0.8, batch=3).replay(pool, Order.recorded(pool))
    assert [adaptive.costs[unit][0, 0] for unit in ("calls", "seconds", "latency")] == [6, 9, 2.5 + 2.5]
    one_by_one = AdaptiveConsistency(threshold=0.8).replay(pool, Order.recorded(pool))
    assert one_by_one.costs["latency"][0, 0] == one_by_one.costs["seconds"][0, 0] == 5


def test_a_verifier_is_charged_for_each_answer_and_what_it_cost_is_not_made_up():
    said, scores = ["2", None, "1"], {"judge": [[0.2, None, 0.9]]}
    pool = pool_saying(said, scores=scores)
    order = Order.recorded(pool)
    unknown = BestOfN(samples=3, score="judge").replay(pool, order)
    assert (unknown.said(0, 0), math.isnan(unknown.costs["tokens"][0, 0])) == ("1", True)
    told = WeightedVote(samples=3, score="judge", verdict={"tokens": 100}).replay(pool, order).costs
    assert (told["tokens"][0, 0], told["calls"][0, 0]) == (33 + 200, 3)
    priced = pool_saying(said, scores=scores, costs={"tokens:judge": [[7, 99, 8]]})
    found = BestOfN(samples=3, score="judge").replay(priced, Order.recorded(priced)).costs
    assert (found["tokens"][0, 0], math.isnan(found["seconds"][0, 0])) == (33 + 15, True)
    assert "tokens:judge" not in found


def test_where_the_record_ends_first_it_is_unknown_and_nowhere_else():
    pool = pool_saying(["1", "1", "1", "1", "2", "2"], ["1", "2", "1"])
    order = Order.recorded(pool)
    for policy in (SelfConsistency(samples=4), BestOfN(samples=4, score="judge", verdict={}), WeightedVote(samples=4)):
        scored = pool_saying(
            *(["1"] * 6, ["1"] * 3), scores={name: [[0.5] * 6, [0.5] * 3] for name in ("judge", "mean_logprob")}
        )
        outcome = policy.replay(scored, Order.recorded(scored))
        assert outcome.accuracy.tolist()[0] == 1
        assert np.isnan(outcome.accuracy[1])
        assert np.isnan([*(cost[1, 0] for cost in outcome.costs.values()), outcome.samples[1, 0]]).all()
        assert (outcome.answer[1, 0], outcome.said(1, 0)) == (NO_SAMPLE, None)
    adaptive = AdaptiveConsistency().replay(pool, order)
    assert (adaptive.samples[0, 0], math.isnan(adaptive.correct[1, 0])) == (4, True)
    early = EarlyStoppingConsistency(window=3).replay(pool, order)
    assert (early.samples[0, 0], math.isnan(early.correct[1, 0])) == (3, True)
    cascade = Cascade(steps=(3, 6), threshold=0.9).replay(pool, order)
    assert (cascade.samples[0, 0], math.isnan(cascade.correct[1, 0])) == (3, True)
    beside = Cascade(steps=(2, (3, pool_saying(["1"] * 3, ["1"] * 2))), threshold=0.9).replay(pool, order)
    assert (beside.correct[0, 0], beside.samples[0, 0], math.isnan(beside.correct[1, 0])) == (1, 2, True)
    assert beside.answer[1, 0] == NO_SAMPLE
    assert np.isnan(EarlyStoppingConsistency(window=7, max_samples=40).replay(pool, order).correct).all()


def test_a_least_number_of_samples_is_not_reached_by_places_without_one():
    pool = pool_saying(["1"] * 8, ["1"] * 4)
    outcome = AdaptiveConsistency(min_samples=6).replay(pool, Order.recorded(pool))
    assert (outcome.samples[0, 0], math.isnan(outcome.samples[1, 0])) == (6, True)


@pytest.mark.parametrize(
    "policy",
    [
        SingleSample(),
        SelfConsistency(samples=3),
        BestOfN(samples=3),
        WeightedVote(samples=3),
        ConfidenceFiltering(samples=3),
        EarlyStoppingConsistency(window=3, max_samples=4),
        AdaptiveConsistency(max_samples=4),
        Cascade(steps=(2, 4)),
        WithinBudget(budget="30 tokens"),
    ],
    ids=lambda policy: policy.label,
)
def test_abstentions_never_win_and_where_all_abstain_there_is_no_answer(policy):
    pool = pool_saying(
        [None] * 4, [None, None, "1", None], scores={"mean_logprob": [[None] * 4, [None, None, -1, None]]}
    )
    outcome = policy.replay(pool, every_order(pool))
    assert (outcome.correct[0] == 0).all()
    assert (outcome.answer[0] == ABSTAINED).all()
    assert set(np.unique(outcome.answer[1])) <= {ABSTAINED, 0}
    assert 0 < outcome.accuracy[1] <= 1


def test_ties_are_parted_evenly():
    pool = pool_saying(["1", "2", "2", "1", "3", None])
    assert SelfConsistency(samples=2).replay(pool, Order.recorded(pool)).correct[0, 0] == 0.5
    assert SelfConsistency(samples=6).replay(pool, Order.recorded(pool)).correct[0, 0] == 0.5
    # 0.1 + 0.2 and 0.3 are one weight, whatever the last bit says.
    weighty = pool_saying(["1", "1", "2"], scores={"judge": [[0.1, 0.2, 0.3]]})
    assert WeightedVote(samples=3, score="judge").replay(weighty, Order.recorded(weighty)).correct[0, 0] == 0.5
    close = pool_saying(["1", "2"], scores={"judge": [[0.3, 0.1 + 0.2]]})
    filtered = ConfidenceFiltering(samples=2, keep=0.1, score="judge")
    assert filtered.replay(close, Order.recorded(close)).correct[0, 0] == 0.5


def test_random_orders_are_of_the_problem_alone_and_their_mean_is_near_the_exact_one():
    pool = pool_saying(["1", "2", "2", "1", "3", None, "1", "2"] * 3, ["2", "1", None] * 6)
    order = Order.random(pool, subsets=4000, seed=3)
    other = Order.random(pool.of_problems([1]), subsets=4000, seed=3)
    assert (order.indices[1][:, :18] == other.indices[0]).all()
    assert (order.indices[1][:, 18:] == np.arange(18, 24)).all()
    accuracy = SelfConsistency(samples=5).replay(pool, order).accuracy
    for found, said in zip(
        accuracy, (["1", "2", "2", "1", "3", None, "1", "2"] * 3, ["2", "1", None] * 6), strict=True
    ):
        assert found == pytest.approx(majority_at_k(said, [value == RIGHT for value in said], 5), abs=0.025)


def test_a_cascade_says_the_other_pools_answers_and_charges_both():
    cheap, dear = pool_saying(["2", "3"], ["1", "1"], ids="ab"), pool_saying(["1"], ["2", "9"], ["1"], ids="bac")
    policy = Cascade(steps=(2, (1, dear)), threshold=0.9)
    outcome = policy.replay(cheap, Order.recorded(cheap))
    assert [(outcome.said(place, 0), outcome.correct[place, 0]) for place in (0, 1)] == [("2", 0), ("1", 1)]
    assert outcome.costs["tokens"].ravel().tolist() == [21 + 10, 21]
    assert outcome.samples.ravel().tolist() == [3, 2]
    with pytest.raises(OptionError, match="no samples of 'd'"):
        policy.replay(pool_saying(["2", "3"], ids="d"), Order.recorded(pool_saying(["2", "3"], ids="d")))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelfConsistency(samples=0), "samples=0 is too small"),
        (lambda: AdaptiveConsistency(min_samples=9, max_samples=4), "max_samples=4"),
        (lambda: ConfidenceFiltering(keep=0), "keep=0"),
        (lambda: Cascade(steps=()), r"the steps \(\)"),
        (lambda: WithinBudget(budget="12"), "no unit"),
        (lambda: first_answer(BestOfN(samples=1, score="juge"), pool_saying(["1"], scores={"judge": [[1]]})), "judge"),
        (lambda: first_answer(WithinBudget(budget="$1"), pool_saying(["1"])), "no cost 'dollars'"),
        (lambda: SingleSample().replay(pool_saying(["1"]), Order.recorded(pool_saying(["1", "2"]))), "other samples"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(OptionError, match=message):
        make()
