"""CodeT's rules over who passes what, by hand and by drawing lots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.errors import OptionError
from tttlab.experiments.codet_selection import (
    RULES,
    PassMatrix,
    at_random,
    by_dual_agreement,
    by_dual_agreement_root,
    by_largest_cluster,
    by_oracle,
    by_tests_passed,
    chosen_right,
    ladder,
)


def matrix(passes, correct, generated=None, out_of_time=None):
    passes = np.array(passes, dtype=bool).reshape(len(correct), -1)
    return PassMatrix(
        problem="p",
        passes=passes,
        generated=np.ones(passes.shape[1], dtype=np.int64) if generated is None else np.array(generated),
        correct=np.array(correct, dtype=bool),
        out_of_time=np.zeros(len(correct), dtype=np.int64) if out_of_time is None else np.array(out_of_time),
    )


# Five programs fail all, two pass a and b, one passes a, b and c, three pass a alone.
MIXED = matrix(
    [[0, 0, 0]] * 5 + [[1, 1, 0]] * 2 + [[1, 1, 1]] + [[1, 0, 0]] * 3,
    [0] * 5 + [1, 1] + [0] + [1, 0, 0],
)


def test_each_rule_by_hand():
    assert chosen_right(MIXED, at_random) == pytest.approx(3 / 11)
    assert chosen_right(MIXED, by_tests_passed) == 0  # the one that passes three
    assert chosen_right(MIXED, by_largest_cluster) == 0  # those that fail all
    assert chosen_right(MIXED, by_dual_agreement) == 1  # 2 x 2 = 4 against 3 x 1 and 1 x 3
    assert chosen_right(MIXED, by_dual_agreement_root) == 0  # 3 against 2 x 1.41 and 1.73
    assert chosen_right(MIXED, by_oracle) == 1


def test_a_test_counts_as_often_as_it_was_generated():
    often = matrix(MIXED.passes, MIXED.correct, generated=[9, 1, 1])
    assert chosen_right(often, by_dual_agreement) == pytest.approx(1 / 3)  # 3 x 9 against 2 x 10 and 1 x 11


def test_ties_are_averaged_between_clusters_and_in_them():
    tied = matrix([[1, 0]] * 2 + [[0, 1]] * 2 + [[1, 1]], [1, 0, 1, 1, 0])
    assert chosen_right(tied, by_largest_cluster) == pytest.approx((0.5 + 1) / 2)
    uneven = matrix([[1, 0]] * 4 + [[1, 1]] * 2, [1] * 4 + [0] * 2)
    assert by_dual_agreement(uneven).tolist() == [0.125] * 4 + [0.25] * 2


@pytest.mark.parametrize("passes", [[[0, 0]] * 3, [[]] * 3])
def test_where_no_program_passes_a_test_any_is_chosen(passes):
    nothing = matrix(passes, [1, 0, 0])
    for rule in (by_tests_passed, by_dual_agreement, by_dual_agreement_root):
        assert chosen_right(nothing, rule) == pytest.approx(1 / 3)


def test_where_none_is_right_the_oracle_finds_none():
    assert chosen_right(matrix([[1]], [0]), by_oracle) == 0


def test_in_one_process_a_program_that_does_not_end_fails_all():
    slow = matrix([[1, 0, 0], [1, 1, 0]], [1, 1], out_of_time=[2, 1]).in_one_process()
    assert (slow.correct.tolist(), slow.passes.tolist()) == ([False, True], [[False] * 3, [True, True, False]])


@given(st.data())
def test_chances_sum_to_one_and_alike_programs_are_as_likely(data):
    programs, tests = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 5))
    row = st.lists(st.booleans(), min_size=tests, max_size=tests)
    passes = data.draw(st.lists(row, min_size=programs, max_size=programs))
    correct = data.draw(st.lists(st.booleans(), min_size=programs, max_size=programs))
    times = data.draw(st.lists(st.integers(1, 4), min_size=tests, max_size=tests))
    drawn = matrix(passes, correct, generated=np.array(times, dtype=np.int64))
    best = max((sum(np.array(times)[p]) if times else 0) for p in np.array(passes, dtype=bool).reshape(programs, -1))
    for name, rule in RULES.items():
        chances = rule(drawn)
        assert chances.sum() == pytest.approx(1)
        assert (chances >= 0).all()
        if name != "oracle":
            for one, other in zip(*np.triu_indices(programs), strict=True):
                if passes[one] == passes[other]:
                    assert chances[one] == chances[other]
    assert all(drawn.passed[chosen] == best for chosen in np.flatnonzero(by_tests_passed(drawn)))
    assert chosen_right(drawn, by_oracle) == pytest.approx(float(any(correct)))


def test_the_ladder_has_every_rule_with_its_interval():
    rungs = ladder([MIXED, matrix([[1]], [1])])
    assert [rung.rule for rung in rungs] == list(RULES)
    assert [round(rung.interval.mean, 3) for rung in rungs] == [0.636, 0.5, 0.5, 1.0, 0.5, 1.0]
    assert all(rung.interval.problems == 2 for rung in rungs)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match="p has passes of shape"):
        matrix([[1, 0]], [1], generated=[1])
    with pytest.raises(OptionError, match="give one value"):
        ladder([])
