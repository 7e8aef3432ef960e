"""Intervals: what they are of, when there is none, and how often they hold the truth."""

import math
from dataclasses import astuple
from itertools import product

import numpy as np
import pytest
import scipy.stats
from scipy.stats import beta

from tests.experiments.coverage import PAIRS, SHARES, of_pairs, of_population, of_shares, populations
from tttlab.errors import OptionError
from tttlab.experiments.calibration import auc
from tttlab.experiments.intervals import bootstrap, bootstrap_of, bootstraps, difference
from tttlab.experiments.resampling import bca, resampled_means

BOTH = (50, 200)


@pytest.mark.parametrize(("share", "problems"), [*product(SHARES, BOTH)])
def test_the_interval_of_an_accuracy_of_zeros_and_ones_covers_as_often_as_it_says(share, problems):
    assert 0.93 <= of_shares(share, problems) <= 0.97


@pytest.mark.parametrize(("pair", "problems"), [*product(PAIRS, BOTH)])
def test_the_interval_of_a_paired_difference_of_zeros_and_ones_covers_as_often_as_it_says(pair, problems):
    assert 0.93 <= of_pairs(*pair, problems) <= 0.97


def test_the_intervals_of_what_lies_between_cover_as_often_as_they_say():
    # 500 studies tell the coverage to about one point.
    for name, values in populations(4_000).items():
        assert 0.92 <= of_population(values, 50, 500) <= 0.98, name


@pytest.mark.slow
def test_every_interval_covers_93_to_97_percent_of_ten_thousand_studies():
    covered = {
        (name, problems): of_population(values, problems, 10_000)
        for name, values in populations(40_000).items()
        for problems in BOTH
    }
    assert {what: share for what, share in covered.items() if not 0.93 <= share <= 0.97} == {}


def test_each_kind_of_values_has_its_kind_of_interval():
    assert bootstrap([0, 1] * 20).kind == "Jeffreys over problems"
    assert bootstrap([0.25, 0.75] * 20).kind == "BCa bootstrap over problems"
    assert bootstrap([1.0] * 19 + [0.5]).kind == "Bayesian bootstrap over problems"
    assert difference([0, 1] * 20, [1, 1] * 20).kind == "Tango's score over paired problems"
    assert difference([0, 0.5] * 20, [1, 1] * 20).kind == "BCa bootstrap over problems"
    assert bootstrap([0.25, 0.75] * 20, method="percentile").kind == "percentile bootstrap over problems"


def test_bca_of_many_problems_is_scipys():
    values = np.random.default_rng(3).beta(0.1, 1.5, 200)
    mine = np.ravel(bca(resampled_means(values[:, None], 20_000, 0), values[:, None], 0.95))
    theirs, plain = (
        scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=4).confidence_interval
        for method in ("BCa", "percentile")
    )
    near = (theirs.high - theirs.low) / 50
    assert mine == pytest.approx(theirs, abs=near)
    assert (np.array(theirs) - plain > near).all()


def test_no_right_answer_at_all_still_leaves_room_for_some():
    interval = bootstrap([0] * 50)
    assert (interval.mean, interval.low) == (0, 0)
    assert interval.high == pytest.approx(beta.ppf(0.975, 0.5, 50.5))
    same = difference([1, 0] * 25, [1, 0] * 25)
    assert same.low == pytest.approx(-same.high)
    assert 0.05 < same.high < 0.1


def test_the_ends_of_tangos_interval_are_where_the_score_test_turns():
    gained, lost, problems = 12, 2, 50
    first, second = [1] * gained + [0] * lost + [1] * 36, [0] * gained + [1] * lost + [1] * 36
    interval = difference(first, second)
    for end in (interval.low, interval.high):
        # The likeliest shares whose difference is that end, found by looking at very many.
        lesser = np.linspace(max(0, -end) + 1e-9, (1 - end) / 2 - 1e-9, 400_001)
        likelihood = gained * np.log(lesser + end) + lost * np.log(lesser)
        likelihood += (problems - gained - lost) * np.log(1 - 2 * lesser - end)
        likeliest = lesser[likelihood.argmax()]
        spread = math.sqrt((2 * likeliest + end - end**2) / problems)
        assert abs((gained - lost) / problems - end) / spread == pytest.approx(1.96, abs=1e-3)


def test_pairs_stay_together():
    rng = np.random.default_rng(0)
    hard = rng.random(60)
    paired = difference(np.clip(hard + 0.05, 0, 1), hard)
    assert paired.high - paired.low < 0.02
    assert paired.low > 0


def test_runs_of_one_problem_are_no_problems():
    values = np.repeat([0.0, 1.0, 1.0, 0.5], 10)
    names = np.repeat(["a", "b", "c", "d"], 10).tolist()
    assert bootstrap(values, of=names) == bootstrap([0, 1, 1, 0.5])
    assert bootstrap(values, of=names).problems == 4
    uneven = bootstrap([1, 1, 1, 0, 0.25], of=["a", "a", "a", "b", "c"])
    assert uneven.mean == pytest.approx(1.25 / 3)


def test_many_figures_share_their_resamples_and_are_each_as_alone():
    values = np.random.default_rng(1).random((40, 3))
    values[:, 1] = values[:, 1] > 0.5
    for together, column in zip(bootstraps(values), values.T, strict=True):
        alone = bootstrap(column)
        assert astuple(together)[:3] == pytest.approx(astuple(alone)[:3])
        assert together.kind == alone.kind


def test_where_there_is_no_interval_it_says_why():
    one = bootstrap([0.7])
    assert math.isnan(one.low)
    assert str(one) == "0.70 (no interval over one problem), n=1"
    missing = bootstrap([0.7, math.nan, 0.2])
    assert math.isnan(missing.mean)
    assert missing.kind == "not defined for 1 of the problems"
    even = bootstrap([0.3] * 5)
    assert even.low == even.high == 0.3


def test_any_figure_has_an_interval_over_problems():
    rng = np.random.default_rng(2)
    right = rng.random((60, 4)) < 0.5
    scores = right + rng.normal(0, 1, right.shape)
    interval = bootstrap_of(lambda rows: auc(scores[rows].ravel(), right[rows].ravel()), 60, resamples=200)
    assert interval.low < interval.mean < interval.high
    assert interval.low > 0.6
    assert math.isnan(bootstrap_of(lambda rows: auc(scores[rows, 0], np.ones(len(rows))), 60).low)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: bootstrap([]), "no problems"),
        (lambda: bootstrap([[0.1]]), "one a problem"),
        (lambda: bootstrap([0.1, 0.2], of=["a"]), "1 names for 2 values"),
        (lambda: bootstrap([0.1, 0.2], level=95), "between 0 and 1"),
        (lambda: bootstrap([0.1, 0.2], method="jeffrey"), "jeffreys"),
        (lambda: bootstrap([0.1, 0.2], method="jeffreys"), "alone"),
        (lambda: bootstrap([-0.1, 0.2], method="bayesian"), "0 to 1"),
        (lambda: bootstraps([0.1]), "problems x figures"),
        (lambda: difference([0.1], [0.1, 0.2]), "same problems"),
    ],
)
def test_what_has_no_interval_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()
