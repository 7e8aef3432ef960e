"""Power: problem counts against simulated studies, and against the textbook."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from tttlab.errors import OptionError
from tttlab.experiments.power import paired_variance, power_of, problems_needed, proportions_variance, variance_of

STUDIES = 4000


def test_a_paired_study_of_that_size_sees_the_difference_that_often():
    rng = np.random.default_rng(0)
    gains, losses = 0.18, 0.08
    pilot = rng.choice([1.0, -1.0, 0.0], 5000, p=[gains, losses, 1 - gains - losses])
    needed = problems_needed(0.1, paired_variance(pilot, np.zeros(5000)), power=0.8)
    studies = rng.choice([1.0, -1.0, 0.0], (needed, STUDIES), p=[gains, losses, 1 - gains - losses])
    assert (ttest_1samp(studies, 0).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_an_unpaired_study_of_that_size_sees_the_difference_that_often():
    rng = np.random.default_rng(1)
    needed = problems_needed(0.15, proportions_variance(0.3, 0.45, paired=False), power=0.9, paired=False)
    one, other = (rng.random((needed, STUDIES)) < share for share in (0.3, 0.45))
    assert (ttest_ind(one.astype(float), other.astype(float)).pvalue < 0.05).mean() == pytest.approx(0.9, abs=0.03)


def test_proportions_and_a_correlation_give_the_variance_of_their_difference():
    rng = np.random.default_rng(2)
    # Both right with the chance that a correlation of 0.5 means.
    both = 0.5 * 0.6 + 0.5 * (0.25 * 0.24) ** 0.5
    kinds = rng.choice(4, 400_000, p=[both, 0.5 - both, 0.6 - both, both - 0.1])
    first, second = np.isin(kinds, [0, 1]), np.isin(kinds, [0, 2])
    measured = paired_variance(first.astype(float), second.astype(float))
    assert proportions_variance(0.5, 0.6, correlation=0.5) == pytest.approx(measured, rel=0.01)
    assert proportions_variance(0.5, 0.6) == proportions_variance(0.5, 0.6, paired=False)


def test_the_textbook_sample_size_of_half_a_standard_deviation():
    # Cohen (1988), two-sided 0.05, power 0.8: 64 in each of two groups, 34 pairs.
    assert problems_needed(0.5, 2.0, paired=False) == 64
    assert problems_needed(0.5, 1.0) == 34


def test_the_number_is_the_smallest_that_is_enough():
    needed = problems_needed(0.05, 0.2)
    assert power_of(needed, 0.05, 0.2) >= 0.8 > power_of(needed - 1, 0.05, 0.2)
    assert problems_needed(0.05, 0.2, power=0.95) > needed
    assert problems_needed(-0.05, 0.2) == needed
    assert problems_needed(0.05, 0.2, level=0.99) > needed
    assert problems_needed(0.5, 0.0) == 3


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: problems_needed(0, 0.2), "how much would matter"),
        (lambda: problems_needed(1e-6, 0.2), "more than 10,000,000"),
        (lambda: problems_needed(0.1, -1), "0 or more"),
        (lambda: problems_needed(0.1, 0.2, power=80), "between 0 and 1"),
        (lambda: problems_needed(0.1, 0.2, level=95), "between 0 and 1"),
        (lambda: power_of(2, 0.1, 0.2), "at least 3"),
        (lambda: variance_of([0.1, 0.2]), "at least 3"),
        (lambda: variance_of([0.1, 0.2, float("nan")]), "NaN"),
        (lambda: paired_variance([0.1], [0.1, 0.2]), "one value a problem"),
        (lambda: proportions_variance(0.1, 0.9, correlation=1.0), "cannot be correlated"),
        (lambda: proportions_variance(0.1, 0.9, paired=False, correlation=0.1), "no correlation"),
        (lambda: proportions_variance(10, 0.9), "between 0 and 1"),
    ],
)
def test_what_has_no_answer_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()
