"""Calibration and AUC against their definitions."""

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.errors import OptionError
from tttlab.experiments.calibration import auc, auc_by_group, brier_score, expected_calibration_error, reliability

judged = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30)


@given(judged)
def test_auc_is_the_chance_that_right_is_above_wrong_a_tie_counting_half(pairs):
    scores, right = zip(*pairs, strict=True)
    compared = [(one > other) + (one == other) / 2 for one, good in pairs if good for other, bad in pairs if not bad]
    assert auc(scores, right) == pytest.approx(fmean(compared) if compared else math.nan, nan_ok=True)


@given(judged, st.integers(1, 7))
def test_the_bins_hold_everything_once_and_add_up_to_the_error(pairs, bins):
    scores, right = zip(*pairs, strict=True)
    table = reliability(scores, right, bins=bins)
    assert sum(each.count for each in table) == len(pairs)
    for each in table:
        last = each.high == 1
        inside = [pair for pair in pairs if each.low <= pair[0] < each.high or (last and pair[0] == 1)]
        if abs(each.low * bins - round(each.low * bins)) < 1e-9 and bins in (1, 2, 4):
            assert each.count == len(inside)
    away = sum(each.count * abs(each.score - each.accuracy.mean) for each in table if each.count)
    assert expected_calibration_error(scores, right, bins=bins) == pytest.approx(away / len(pairs))
    assert brier_score(scores, right) == pytest.approx(fmean((score - good) ** 2 for score, good in pairs))


def test_scores_that_mean_what_they_say_have_a_small_error_and_are_held_by_their_intervals():
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    right = rng.random(20_000) < scores
    assert expected_calibration_error(scores, right) < 0.02
    assert expected_calibration_error(scores**3, right) > 0.1
    assert brier_score(scores, right) == pytest.approx(1 / 6, abs=0.01)
    table = reliability(scores, right)
    assert [round(each.low, 1) for each in table] == [round(number / 10, 1) for number in range(10)]
    assert sum(each.accuracy.low <= each.score <= each.accuracy.high for each in table) >= 9


def test_an_empty_bin_has_no_accuracy():
    table = reliability([0.1, 0.9], [False, True], bins=3)
    assert [each.count for each in table] == [1, 0, 1]
    assert math.isnan(table[1].accuracy.mean)
    assert math.isnan(table[1].score)
    assert table[2].accuracy.low < table[2].accuracy.mean == 1


def test_each_depth_has_its_own_auc():
    found = auc_by_group([0.1, 0.9, 0.5, 0.5, 0.7], [False, True, True, False, True], [1, 1, 2, 2, 3])
    assert [(each.group, each.count, each.right, each.auc) for each in found[:2]] == [(1, 2, 1, 1.0), (2, 2, 1, 0.5)]
    assert math.isnan(found[2].auc)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: auc([], []), "nothing was judged"),
        (lambda: auc([0.1, math.nan], [True, False]), "1 of 2 scores are NaN"),
        (lambda: auc([0.1], [True, False]), "one score and one truth"),
        (lambda: brier_score([2.0], [True]), "map them to"),
        (lambda: reliability([0.5], [True], bins=0), "at least 1"),
        (lambda: auc_by_group([0.5], [True], []), "0 for 1 scores"),
    ],
)
def test_what_cannot_be_judged_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()
