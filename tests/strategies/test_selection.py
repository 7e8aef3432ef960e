from collections import Counter
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tttlab.strategies.selection import is_decided, leader


def tally(votes):
    counted = Counter()
    for vote in votes:
        counted[vote] += 1
    return counted


def test_ties_go_to_the_answer_that_was_seen_first():
    assert leader(tally("bab")) == "b"
    assert leader(tally("ba")) == "b"
    assert leader(tally("baa")) == "a"
    assert leader({}) is None


@given(st.text("abc", max_size=7), st.integers(0, 4))
def test_a_vote_is_decided_exactly_when_no_continuation_changes_its_leader(votes, remaining):
    now = leader(tally(votes))
    # "d" stands for any answer not seen yet; None abstains.
    continuations = product(["a", "b", "c", "d", None], repeat=remaining)
    unchanged = all(leader(tally([*votes, *(c for c in more if c)])) == now for more in continuations)
    assert is_decided(tally(votes), remaining) == (unchanged and now is not None)
