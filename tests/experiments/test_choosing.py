"""`auto`: which strategy is chosen from a recorded pool, what is said of it, and what to do where there is none."""

import re
from dataclasses import replace

import numpy as np
import pytest

import tttlab
from tests.experiments.policies.pools import pool_saying
from tttlab import Problem, ScriptedModel
from tttlab.errors import OptionError
from tttlab.experiments.choosing import candidates, choose, strategy_of
from tttlab.experiments.policies import AdaptiveConsistency, SingleSample, WeightedVote
from tttlab.naming import name_of
from tttlab.strategies.direct import Direct
from tttlab.types import Capabilities


def voting_helps(problems=80, samples=16, seed=0):
    """Problems that are answered rightly 55 % of the time, and wrongly in many ways: a vote is nearly always right."""
    rng = np.random.default_rng(seed)
    chances = [0.55, *[0.05] * 9]
    return pool_saying(*(list(rng.choice([str(n) for n in range(1, 11)], samples, p=chances)) for _ in range(problems)))


def nothing_helps(problems=80, samples=16):
    """Every problem's samples all say the same, right or wrong."""
    return pool_saying(*([str(1 + place % 2)] * samples for place in range(problems)))


def point_of(choice):
    return next(point for point in choice.frontier.points if point.policy == choice.policy)


def test_where_a_vote_helps_it_is_chosen_as_large_as_the_budget_lets_it_be():
    small, large = choose("m", "6 calls", pool=voting_helps()), choose("m", pool=voting_helps())
    assert small.frontier.points[0].policy == SingleSample()
    assert point_of(large).accuracy.mean > point_of(small).accuracy.mean > 0.7
    assert point_of(small).within >= 0.95
    assert point_of(small).costs["calls"] <= 6 < point_of(large).costs["calls"]
    assert point_of(small).difference.low > 0


def test_where_nothing_helps_one_sample_is_taken_and_it_says_so():
    choice = choose("m", "2000 tokens", pool=nothing_helps())
    assert choice.strategy == Direct(temperature=0.7, max_tokens=512)
    assert re.fullmatch(
        r"one sample: 50% \[\d+, \d+\] right at [\d.]+ tokens a problem on 80 recorded problems of m with 16 samples "
        r"each; the most accurate of \d+ policies that keep 2000 tokens, and no cheaper one is as good",
        choice.reason,
    )


def test_a_difference_within_its_interval_buys_nothing():
    pool = voting_helps(problems=12)
    choice = choose("m", pool=pool)
    best = max(choice.frontier.points, key=lambda point: point.accuracy.mean)
    assert point_of(choice).cost < best.cost
    assert "may be chance, so the cheaper one is taken" in choice.reason
    assert "12 recorded problems of m with 16 samples each, which are few" in choice.reason


def uneven(seed, problems=24, samples=12):
    """Problems of every difficulty, with scores that say a little: many policies are near one another."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.choice(["1", "2", "3"], samples, p=[share, (1 - share) * 0.7, (1 - share) * 0.3])
        for share in rng.beta(0.8, 1.0, problems)
    ]
    pool = pool_saying(*map(list, rows))
    return replace(pool, scores={"mean_logprob": rng.normal(pool.correct * 0.7)})


@pytest.mark.parametrize("seed", [2, 5, 12])
def test_no_policy_that_fits_is_better_for_no_more(seed):
    """With these seeds the cheapest that may be as good as the best is beaten by one that surely is not."""
    choice = choose("m", pool=uneven(seed))
    taken = point_of(choice)
    better = [
        point.label
        for point in choice.frontier.points
        if point.within >= 0.95 and point.cost <= taken.cost and point.accuracy.mean > taken.accuracy.mean
    ]
    assert better == []


def test_the_reasons_figures_are_the_tables():
    choice = choose("m", "60 tokens", pool=voting_helps())
    point = point_of(choice)
    assert choice.reason.startswith(f"{point.label}: {point.accuracy.mean:.0%} [{100 * point.accuracy.low:.0f}, ")
    assert f"{point.cost:,.3g} tokens a problem" in choice.reason
    assert "\n" not in choice.reason
    assert choice.frontier.table().num_rows == len(choice.frontier.points)


def test_every_candidate_is_a_strategy_of_its_size_and_rule():
    pool = pool_saying(["1"] * 16, scores={"mean_logprob": [[-0.5] * 16]})
    policies = candidates(pool)
    assert {policy.name for policy in policies} == {
        *("direct", "self_consistency", "adaptive_consistency", "early_stopping_consistency", "best_of_n")
    }
    for policy in policies:
        strategy = strategy_of(policy, temperature=0.9, max_tokens=64)
        assert (name_of(strategy), strategy.temperature, strategy.max_tokens) == (policy.name, 0.9, 64)
        sizes = [getattr(strategy, name, None) for name in ("samples", "max_samples")]
        assert policy.size in sizes or policy == SingleSample()
        if policy.name == "best_of_n":
            assert strategy.selection == ("weighted" if isinstance(policy, WeightedVote) else "argmax")


def test_what_fits_nothing_is_one_sample_and_said_so():
    choice = choose("m", "3 tokens", pool=voting_helps())
    assert (choice.policy, "nothing kept the budget of 3 tokens" in choice.reason) == (SingleSample(), True)


def test_a_budget_in_seconds_is_held_against_the_recorded_waiting():
    pool = voting_helps()
    choice = choose("m", "2.6 s", pool=pool)
    assert not isinstance(choice.policy, AdaptiveConsistency)
    assert point_of(choice).costs["latency"] <= 2.6 < point_of(choice).costs["seconds"]
    assert " s a problem" in choice.reason


def test_unknown_costs_are_refused():
    with pytest.raises(OptionError, match="cost in dollars is not known"):
        choose("m", "$1", pool=voting_helps())


def record(problems=12, samples=8, strategy="self_consistency", can=None, **options):
    options = {"temperature": 0.9, "max_tokens": 32, **options}
    model = ScriptedModel(
        ["The answer is 1", "The answer is 1", "The answer is 2", "The answer is 3"], **({"can": can} if can else {})
    )
    for place in range(problems):
        problem = Problem(prompt=f"What is {place}?", id=f"problem {place}", reference="1")
        tttlab.think(problem, strategy=strategy, model=model, **{"samples": samples, **options})


def test_it_goes_by_what_the_store_has_of_the_model():
    record()
    choice = choose("scripted", "500 tokens")
    assert (choice.frontier.problems, choice.frontier.samples) == (12, 8)
    assert (choice.strategy.temperature, choice.strategy.max_tokens) == (0.9, 32)
    assert "on 12 recorded problems of scripted with 8 samples each" in choice.reason
    assert tttlab.think("And this?", strategy=choice.strategy, model=ScriptedModel()).answer == "56"


def test_only_samples_that_no_answer_stopped_count_and_none_counts_twice():
    record(samples=8)
    record(samples=6)  # the first six of the same samples
    record(samples=4, temperature=0.2)
    record(samples=8, seed=1, stop_early=True)
    record(problems=3, samples=8, seed=2, labels={"sweep": "other"})
    choice = choose("scripted", connection=tttlab.connect())
    assert (choice.frontier.problems, choice.frontier.samples) == (12, 8)
    assert choice.strategy.temperature == 0.9


def test_samples_of_another_thinking_are_not_mixed_in():
    can = Capabilities(seed=True, logprobs=True, thinking=True, effort=("low", "high"))
    record(problems=11, can=can, effort="low")
    record(problems=13, can=can, effort="high")
    assert choose("scripted").frontier.problems == 13
    assert choose("scripted", thinking={"effort": "low"}).frontier.problems == 11
    with pytest.raises(OptionError, match="no independent samples"):
        choose("scripted", thinking={})


def test_the_problem_that_is_asked_has_no_say():
    record(problems=11)
    assert choose("scripted", without="problem 3").frontier.problems == 10
    record(problems=10, temperature=0.1, samples=16)
    with pytest.raises(OptionError, match="record at least 10 problems"):
        choose("scripted", without="problem 3")


def test_a_sweep_is_asked_by_its_name():
    record(problems=11, labels={"sweep": "pilot"})
    assert choose("scripted", sweep="pilot").frontier.problems == 11
    with pytest.raises(OptionError, match="no independent samples of known correctness in the sweep 'pilott'"):
        choose("scripted", sweep="pilott")


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({}, "of scripted there are no independent samples of known correctness"),
        ({"problems": 4}, "there are 4 problems with about 8 independent samples"),
        ({"problems": 12, "samples": 3}, "there are 12 problems with about 3 independent samples"),
    ],
)
def test_where_too_little_is_recorded_it_says_what_to_record(recorded, said):
    if recorded:
        record(**recorded)
    with pytest.raises(OptionError) as caught:
        choose("scripted")
    assert said in str(caught.value)
    assert "record at least 10 problems with references first" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unequal_counts_leave_out_the_problems_with_fewest():
    rng = np.random.default_rng(0)
    said = [list(rng.choice(["1", "2"], 16 if place < 18 else 5)) for place in range(20)]
    choice = choose("m", pool=pool_saying(*said))
    assert (choice.frontier.problems, choice.frontier.samples) == (18, 16)
