"""The rules of allocation, against statements of them that import none of them."""

import itertools
import math
from collections import Counter
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttlab.allocation.rules import (
    Ballot,
    Standing,
    disagreement,
    is_satisfied,
    most_urgent,
    posterior_gain,
    priority,
    shares,
    stability,
)

COUNTS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def ballot(*counts, abstained=0):
    return Ballot(votes={f"a{place}": count for place, count in enumerate(counts)}, seen=sum(counts) + abstained)


def largest(first, others):
    """P(X1 > every Xj) for independent gamma variables of shapes counts + 1, exactly: what a Dirichlet's shares are.

    1 - P(Xj > x) = 1 - sum of Poisson terms; the product over j is expanded over subsets, and each term integrated.
    """
    total = Fraction(0)
    for size in range(len(others) + 1):
        for subset in itertools.combinations(others, size):
            for powers in itertools.product(*(range(count + 1) for count in subset)):
                below = math.prod(math.factorial(power) for power in powers)
                term = Fraction(math.factorial(first + sum(powers)), math.factorial(first) * below)
                total += (-1) ** size * term / Fraction(1 + size) ** (first + 1 + sum(powers))
    return float(total)


def expected_gain(counts, abstained):
    first, *others = sorted(counts, reverse=True)
    others = others or [0]
    rise = largest(first + 1, others) - largest(first, others)
    return rise * (sum(counts) + 1) / (sum(counts) + abstained + 2)


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(0, 6))
def test_the_gain_is_that_of_the_dirichlet_posterior_times_the_chance_of_a_vote(counts, abstained):
    assert posterior_gain(ballot(*counts, abstained=abstained)) == pytest.approx(
        expected_gain(counts, abstained), abs=1e-6
    )
    if len(counts) > 1:
        first, *others = sorted(counts, reverse=True)
        assert stability(ballot(*counts).votes) == pytest.approx(largest(first, others), abs=1e-6)


def test_the_mean_gain_of_one_vote_would_be_nothing_where_it_cannot_change_the_leader():
    next_is_leader = Fraction(3 + 1, 3 + 1 + 2)
    mean = next_is_leader * Fraction(largest(4, [1])) + (1 - next_is_leader) * Fraction(largest(3, [2]))
    assert float(mean) == pytest.approx(largest(3, [1]))
    assert posterior_gain(ballot(3, 1)) > 0.05


@given(COUNTS, st.integers(0, 6), st.randoms(use_true_random=False))
def test_the_gain_ignores_names_and_order_and_falls_with_each_abstention(counts, abstained, random):
    given = ballot(*counts, abstained=abstained)
    items = list(given.votes.items())
    random.shuffle(items)
    assert posterior_gain(Ballot(votes=dict(items), seen=given.seen)) == posterior_gain(given)
    assert (
        0 <= posterior_gain(ballot(*counts, abstained=abstained + 1)) < posterior_gain(given)
        or posterior_gain(given) == 0
    )


@given(st.integers(0, 12), st.integers(0, 12))
def test_a_vote_for_the_leader_raises_the_stability_and_granted_samples_count_as_such(first, pending):
    votes = {"a": first} if first else {}
    assert stability(votes, pending) == stability({"a": first + pending} if first + pending else {})
    assert stability(votes, pending + 1) > stability(votes, pending)


def test_more_of_the_same_is_worth_less_and_a_split_more():
    gains = [posterior_gain(ballot(count)) for count in range(1, 8)]
    assert gains == sorted(gains, reverse=True)
    assert posterior_gain(ballot(3, 3)) > posterior_gain(ballot(6))
    assert posterior_gain(ballot()) > posterior_gain(ballot(abstained=5)) > posterior_gain(ballot(abstained=9)) > 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_shares_are_proportional_and_add_up_and_no_difficulty_at_all_means_equal_ones(difficulties):
    given = shares(difficulties)
    assert math.fsum(given) == pytest.approx(1)
    total = math.fsum(difficulties)
    if total > 1e-300:
        assert given == pytest.approx([each / total for each in difficulties])
    elif not any(difficulties):
        assert given == [1 / len(difficulties)] * len(difficulties)


def test_disagreement_is_by_the_rule_of_succession_and_an_abstention_agrees_with_nobody():
    assert [disagreement(each) for each in (ballot(2), ballot(1, 1), ballot(1, abstained=1), ballot(abstained=2))] == [
        1 - 3 / 4,
        1 - 2 / 4,
        1 - 2 / 4,
        1 - 1 / 4,
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 60))
def test_equal_costs_give_each_problem_at_least_its_share_rounded_down(weights, samples):
    given, drawn = shares(weights), [0] * len(weights)
    for _ in range(samples):
        standings = [Standing(ballot=ballot(), spent=n, share=share) for n, share in zip(drawn, given, strict=True)]
        drawn[most_urgent("difficulty", standings, range(len(weights)))] += 1
    for n, weight in zip(drawn, weights, strict=True):
        assert n >= samples * weight // sum(weights)


def test_a_dearer_sample_waits_and_equals_go_by_their_order():
    def asked(*standings, among=(0, 1)):
        return most_urgent("posterior", standings, among)

    cheap, dear = Standing(ballot=ballot(2, 1), cost=5), Standing(ballot=ballot(2, 1), cost=50)
    assert asked(dear, cheap) == 1
    assert asked(cheap, cheap) == 0
    assert asked(dear, cheap, among=[0]) == 0
    assert asked(dear, cheap, among=[]) is None
    assert priority("posterior", cheap) == posterior_gain(cheap.ballot) / 5


@pytest.mark.parametrize(("count", "pending", "expected"), [(3, 0, False), (4, 0, True), (3, 1, True), (0, 0, False)])
def test_four_that_agree_satisfy_the_posterior_rule_at_95_percent(count, pending, expected):
    standing = Standing(ballot=ballot(*[count] * (count > 0)), pending=pending)
    assert is_satisfied("posterior", standing, 0.95) is expected
    assert is_satisfied("uniform", standing, 0.95) is True  # which has no share


def test_at_the_same_total_the_posterior_finds_more_of_the_most_frequent_answers_than_equal_shares():
    def found(rule, seed, problems=30, samples=180):
        random = Random(seed)
        sure = [0.97 if random.random() < 0.7 else 0.6 for _ in range(problems)]
        said = [Counter() for _ in sure]
        for n in range(samples):
            standings = [
                Standing(ballot=Ballot(votes=each, seen=each.total()), spent=each.total(), share=1) for each in said
            ]
            place = n % problems if n < 2 * problems else most_urgent(rule, standings, range(problems))
            said[place]["right" if random.random() < sure[place] else "wrong"] += 1
        return sum(each["right"] > each["wrong"] for each in said)

    assert sum(found("posterior", seed) for seed in range(12)) > sum(found("uniform", seed) for seed in range(12)) + 5
