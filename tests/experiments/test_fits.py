"""Laws against data of known truth: which is chosen, what it predicts, and when there is not enough data."""

import math

import numpy as np
import pytest

from tttlab.errors import OptionError
from tttlab.experiments.coverage_law import coverage_law, fit_coverage, fitted_sizes
from tttlab.experiments.fits import fit_accuracy

BUDGETS = [100 * 2**step for step in range(9)]
X = np.arange(9.0)


def measured(curve, *, problems=400, seed=0):
    """Problems of unlike difficulty, answered eight times each, whose mean follows the curve."""
    rng = np.random.default_rng(seed)
    mean = curve[None]
    return rng.binomial(8, rng.beta(4 * mean, 4 * (1 - mean), (problems, len(curve)))) / 8


@pytest.mark.parametrize(
    ("law", "curve", "gain", "later"),
    [
        ("linear", 0.1 + 0.06 * X, 0.06, 0.1 + 0.06 * 10),
        ("linear", 0.8 - 0.05 * X, -0.05, 0.8 - 0.05 * 10),
        ("saturating", 0.7 - 0.6 * 2 ** (-0.8 * X), 0.6 * (2**-6.4 - 2**-7.2), 0.7 - 0.6 * 2**-8.0),
        ("logistic", 0.9 / (1 + np.exp(-1.2 * (X - 4))), 0.9 / (1 + math.exp(-6)) - 0.9 / (1 + math.exp(-4.8)), 0.9),
    ],
)
def test_the_law_that_made_the_data_is_found_and_predicts(law, curve, gain, later):
    fit = fit_accuracy(BUDGETS, measured(curve, problems=3000, seed=4))
    assert (fit.law, fit.reason, fit.unit, fit.problems) == (law, None, "tokens", 3000)
    assert fit.gain_per_doubling.low <= gain <= fit.gain_per_doubling.high
    assert fit.gain_per_doubling.mean == pytest.approx(gain, abs=0.01)
    [far] = fit.at([100 * 2**10])
    assert far.mean == pytest.approx(later, abs=0.03)
    assert far.low - 0.005 <= later <= far.high + 0.005
    assert [trial.law for trial in fit.trials] == ["constant", "linear", "saturating", "logistic"]
    assert sum(trial.chosen_share for trial in fit.trials) == pytest.approx(1)
    error = {trial.law: trial.held_out_error for trial in fit.trials}
    assert error[law] <= min(error.values()) + 0.005
    assert error["constant"] > 0.1


def test_the_larger_budgets_are_held_out_of_the_fit_that_predicts_them():
    values = measured(0.1 + 0.06 * X)
    fit = fit_accuracy(BUDGETS, values)
    assert [point.held_out for point in fit.points] == [False] * 6 + [True] * 3
    assert [point.budget for point in fit.points] == BUDGETS
    other = values.copy()
    other[:, 6:] += 0.02
    again = fit_accuracy(BUDGETS, other)
    assert again.law == fit.law
    assert [point.predicted.mean for point in again.points] == [point.predicted.mean for point in fit.points]
    assert [point.measured.mean for point in again.points] != [point.measured.mean for point in fit.points]


def test_the_order_of_the_budgets_does_not_matter():
    values = measured(0.1 + 0.06 * X)
    shuffled = np.random.default_rng(1).permutation(9)
    fit = fit_accuracy(np.array(BUDGETS)[shuffled], values[:, shuffled])
    assert fit.gain_per_doubling == fit_accuracy(BUDGETS, values).gain_per_doubling


@pytest.mark.parametrize(
    ("budgets", "values", "why"),
    [
        (BUDGETS[:5], measured(0.1 + 0.06 * X)[:, :5], "5 budgets, and a law needs 6"),
        (BUDGETS, measured(0.1 + 0.06 * X)[:9], "9 problems"),
        (list(range(100, 109)), measured(0.1 + 0.06 * X), "span 0.1 doublings"),
        (BUDGETS, measured(np.full(9, 0.4)), "flat"),
        (BUDGETS, np.zeros((40, 9)), "flat"),
        (BUDGETS, np.full((40, 9), np.nan), "no value at some budgets"),
    ],
)
def test_not_enough_data_is_said_and_has_no_number(budgets, values, why):
    fit = fit_accuracy(budgets, values)
    assert fit.reason.startswith("not enough data")
    assert why in fit.reason
    assert fit.law is None
    assert math.isnan(fit.gain_per_doubling.mean)
    [later] = fit.at([1e6])
    assert math.isnan(later.mean)
    assert later.kind == fit.reason
    assert all(math.isnan(point.predicted.mean) for point in fit.points)


def test_a_prediction_too_wide_to_be_one_has_no_number():
    fit = fit_accuracy(BUDGETS, measured(0.1 + 0.04 * X, problems=14, seed=3))
    [far] = fit.at([100 * 2**16])
    assert fit.law is not None
    assert math.isnan(far.mean)
    assert "the interval is wide" in far.kind


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: fit_accuracy([1, 2], np.zeros((3, 3))), "problems x 2 budgets"),
        (lambda: fit_accuracy([1, 1], np.zeros((3, 2))), "each once"),
        (lambda: fit_accuracy([0, 1], np.zeros((3, 2))), "above 0"),
        (lambda: fit_accuracy(BUDGETS, measured(0.1 + 0.06 * X)).at([0]), "above 0"),
        (lambda: fit_coverage([1], [0.5]), "two or more sizes"),
        (lambda: coverage_law(np.ones((3, 4)), up_to=5), "every problem has 4 samples"),
        (lambda: coverage_law(np.ones((3, 4)), up_to=0), "every problem has 4 samples"),
    ],
)
def test_what_cannot_be_fitted_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()


def test_the_coverage_law_gives_back_its_own_parameters():
    ks = np.array(fitted_sizes(100))
    assert (ks[0], ks[-1]) == (1, 100)
    assert fit_coverage(ks, np.exp(-2.5 * ks**-0.2)) == pytest.approx((-2.5, -0.2))
    assert fit_coverage(ks[:10], np.exp(-3.3 * ks[:10] ** -0.33)) == pytest.approx((-3.3, -0.33))
    assert all(map(math.isnan, fit_coverage(ks, np.zeros(len(ks)))))


def solved(problems, samples, seed=0):
    """Difficulties with a long tail: coverage that grows as the law says, nearly."""
    rng = np.random.default_rng(seed)
    chance = np.exp(-rng.exponential(3.0, problems))
    return rng.random((problems, samples)) < chance[:, None], chance


def test_coverage_fitted_on_few_samples_predicts_many():
    correct, chance = solved(600, 200)
    law = coverage_law(correct, up_to=20)
    assert (law.reason, law.up_to, law.problems) == (None, 20, 600)
    [there] = law.at([200])
    assert there.mean == pytest.approx((1 - (1 - chance) ** 200).mean(), abs=0.04)
    assert there.low < there.mean < there.high
    assert law.residual < 0.01
    assert law.held_out_residual == pytest.approx(abs(law.points[-1].measured.mean - there.mean), abs=0.02)
    assert {point.samples for point in law.points if not point.held_out} == set(fitted_sizes(20))
    assert law.points[-1].samples == 200
    whole = coverage_law(correct)
    assert math.isnan(whole.held_out_residual)
    assert whole.residual < law.held_out_residual + 0.01


def test_problems_with_fewer_samples_end_the_range():
    correct, _ = solved(60, 40)
    counts = np.full(60, 40)
    counts[3] = 12
    correct[3, 12:] = False
    law = coverage_law(correct, counts=counts)
    assert law.points[-1].samples == 12


@pytest.mark.parametrize(
    ("correct", "why"),
    [
        (np.zeros((40, 30), bool), "coverage is 0 at every k"),
        (np.ones((40, 30), bool), "coverage is 1 at every k"),
        (solved(40, 3)[0], "k up to 3"),
        (solved(9, 30)[0], "9 problems"),
    ],
)
def test_coverage_that_no_law_can_be_fitted_to_says_so(correct, why):
    law = coverage_law(correct)
    assert law.reason.startswith("not enough data")
    assert why in law.reason
    assert math.isnan(law.a)
    assert math.isnan(law.at([100])[0].mean)
    assert all(math.isnan(point.predicted.mean) for point in law.points)
    assert all(not math.isnan(point.measured.mean) for point in law.points)
