from collections import Counter
from dataclasses import dataclass
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tttlab.strategies.selection import best, is_decided, leader, select, tally


def counted(votes):
    votes_of = Counter()
    for vote in votes:
        votes_of[vote] += 1
    return votes_of


def test_ties_go_to_the_answer_that_was_seen_first():
    assert leader(counted("bab")) == "b"
    assert leader(counted("ba")) == "b"
    assert leader(counted("baa")) == "a"
    assert leader({}) is None


@given(st.text("abc", max_size=7), st.integers(0, 4))
def test_a_vote_is_decided_exactly_when_no_continuation_changes_its_leader(votes, remaining):
    now = leader(counted(votes))
    # "d" stands for any answer not seen yet; None abstains.
    continuations = product(["a", "b", "c", "d", None], repeat=remaining)
    unchanged = all(leader(counted([*votes, *(c for c in more if c)])) == now for more in continuations)
    assert is_decided(counted(votes), remaining) == (unchanged and now is not None)


@dataclass(frozen=True)
class Candidate:
    value: str | None
    score: float | None = None


def test_ballots_add_up_by_answer_and_abstentions_stay_in_the_total():
    assert tally([("b", 0.5), ("a", 1.0), (None, 2.0), ("b", 0.25)]) == ({"b": 0.75, "a": 1.0}, 3.75)
    assert tally([]) == ({}, 0)


def test_a_negative_weight_weighs_nothing_and_where_none_weighs_each_counts_once():
    assert tally([("a", -2.0), ("b", 0.5)]) == ({"a": 0.0, "b": 0.5}, 0.5)
    assert tally([("a", -2.0), ("b", 0.0), (None, 0.0), ("b", -1.0)]) == ({"a": 1.0, "b": 2.0}, 4.0)


def test_the_best_is_the_first_of_the_highest_scored():
    low, first, second = Candidate("a", 0.2), Candidate("b", 0.9), Candidate("c", 0.9)
    assert best([Candidate("d"), low, first, second]) is first
    assert best([Candidate("d")]) is None


def test_each_way_of_selecting_from_the_same_candidates():
    candidates = [Candidate("a", 0.9), Candidate("b", 0.6), Candidate("b", 0.5), Candidate(None), Candidate("c", -1.0)]
    a, b, also_b, _, c = candidates
    assert select(candidates, "argmax") == ([a], 0.9, None)
    assert select(candidates, "majority") == ([b, also_b], 2 / 4 * 4 / 5, {"a": 1.0, "b": 2.0, "c": 1.0})
    assert select(candidates, "weighted") == ([b, also_b], 1.1 / 2.0 * 4 / 5, {"a": 0.9, "b": 1.1, "c": 0.0})
    assert select(candidates, "tournament") == ([b, also_b], None, None)
    assert select([c], "argmax") == ([c], None, None)
    assert select([Candidate(None)], "argmax") == ([], 0.0, None)
    assert select([Candidate("a"), Candidate("b")], "argmax")[0] == [Candidate("a")]
