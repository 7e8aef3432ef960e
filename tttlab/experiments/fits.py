"""Accuracy against compute as a law: which shape tells the larger budgets from the smaller, and what a doubling buys.

Each law is fitted on the smaller budgets and tested on the larger; the one with the least held-out error is chosen (a
simpler one, where it does as well to half a point) and fitted again on all. Intervals draw problems anew and choose
and fit anew, so that they hold the doubt about the law as well. What cannot be told is said in `reason`, and has no
number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError
from tttlab.experiments.intervals import AXES, Interval, bootstraps
from tttlab.experiments.laws import LAWS, Law
from tttlab.experiments.resampling import expanded_percentile, resampled_means

Numbers = NDArray[np.float64]

FEWEST_BUDGETS = 6
"""Four to fit a law of three parameters on, and two to test it on."""
FEWEST_PROBLEMS = 10
LEAST_DOUBLINGS = 2.0
WIDEST = 0.3
"""An interval of a prediction that is wider than this predicts nothing."""
WIDEST_GAIN = 0.15
AS_WELL = 0.005
"""Half a point of accuracy: held-out errors this close do not speak for the less simple law."""
RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LawTrial:
    """How one law did: fitted on the smaller budgets, asked about the larger."""

    law: str
    formula: str
    held_out_error: float
    """Root of the mean squared distance from the measured accuracy at the larger budgets."""
    chosen_share: float
    """In how many of the resamples of the problems it was chosen: how sure the choice is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPoint:
    """One budget: what was measured, and what the chosen law says that was fitted on the smaller budgets."""

    budget: float
    measured: Interval
    predicted: Interval
    held_out: bool
    """Whether the fit that predicts here did not see it."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """One law with its parameters."""

    law: Law
    parameters: Numbers

    def at(self, x: Numbers) -> Numbers:
        return self.law.at(x, self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccuracyFit:
    """Accuracy against compute. Where `reason` says that there is not enough data, there is no law and no number."""

    unit: str
    problems: int
    points: tuple[FittedPoint, ...]
    trials: tuple[LawTrial, ...]
    law: str | None
    reason: str | None
    gain_per_doubling: Interval
    """What one more doubling of the largest budget adds to accuracy, by the law fitted on all budgets."""
    level: float
    _fit: _Fit | None
    _drawn: tuple[_Fit, ...]

    def at(self, budgets: Sequence[float]) -> list[Interval]:
        """The law's accuracy at any budgets, with intervals over problems.

        NaN where there is no law, and where the interval is too wide to be a prediction; `kind` says so.
        """
        wanted = np.asarray(budgets, dtype=np.float64)
        if (wanted <= 0).any():
            raise OptionError("a budget is above 0: accuracy at none is not on a logarithmic axis")
        if self._fit is None:
            return [_none(self.reason or "", self.problems, self.level) for _ in wanted]
        x = np.log2(wanted / self.points[0].budget)
        return _told(self._fit.at(x), np.array([fit.at(x) for fit in self._drawn]), self.problems, self.level)


def fit_accuracy(
    budgets: Sequence[float], values: ArrayLike, *, unit: str = "tokens", level: float = 0.95, seed: int = 0
) -> AccuracyFit:
    """Fit accuracy against the logarithm of compute: constant, linear, saturating or logistic.

    `values` are problems x budgets: whether (or how often) each problem is right at each budget, as `at_equal_compute`
    gives them. Intervals resample problems and fit anew. Raises `OptionError` for budgets that are not above 0, or
    come twice, or values that do not fit them.
    """
    sizes, measured = np.asarray(budgets, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if measured.ndim != AXES or measured.shape[1] != len(sizes):
        raise OptionError(f"the values are of shape {measured.shape}: give problems x {len(sizes)} budgets")
    if (sizes <= 0).any() or len(np.unique(sizes)) != len(sizes) or not np.isfinite(sizes).all():
        raise OptionError("budgets are numbers above 0, each once")
    order = np.argsort(sizes)
    sizes, measured = sizes[order], measured[:, order]
    intervals = bootstraps(measured, level=level, seed=seed)
    if reason := _too_little(sizes, measured):
        return _without(reason, sizes, intervals, (), unit, level)
    x, mean, problems = np.log2(sizes / sizes[0]), measured.mean(axis=0), len(measured)
    choice = _choose(x, mean)
    redone = _choose_all(x, resampled_means(measured, RESAMPLES, seed))
    trials = tuple(
        LawTrial(
            law=name,
            formula=law.formula,
            held_out_error=choice.errors[name],
            chosen_share=sum(each.small.law is law for each in redone) / RESAMPLES,
        )
        for name, law in LAWS.items()
    )
    if choice.whole.law.name == "constant":
        reason = "not enough data: flat, no law tells the larger budgets better than a constant"
        return _without(reason, sizes, intervals, trials, unit, level)
    drawn = tuple(each.whole for each in redone)
    predicted = _told(choice.small.at(x), np.array([each.small.at(x) for each in redone]), problems, level)
    next_one = np.array([x[-1], x[-1] + 1])
    gain = np.diff(choice.whole.at(next_one))
    gains = np.diff([fit.at(next_one) for fit in drawn], axis=1)
    return AccuracyFit(
        unit=unit,
        problems=problems,
        points=_points(sizes, intervals, predicted),
        trials=trials,
        law=choice.whole.law.name,
        reason=None,
        gain_per_doubling=_told(gain, gains, problems, level, widest=WIDEST_GAIN)[0],
        level=level,
        _fit=choice.whole,
        _drawn=drawn,
    )


_KIND = "percentile bootstrap over problems, the law chosen anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The law that was chosen: as fitted on the smaller budgets, and on all of them."""

    errors: dict[str, float]
    small: _Fit
    whole: _Fit


def _choose(x: Numbers, y: Numbers) -> _Choice:
    seen = _seen(len(x))
    fits = {name: law.fit(x[:seen], y[:seen]) for name, law in LAWS.items()}
    errors = {name: _error(_Fit(law, fits[name]), x[seen:], y[seen:]) for name, law in LAWS.items()}
    law = _least(errors)
    return _Choice(errors=errors, small=_Fit(law, fits[law.name]), whole=_Fit(law, law.fit(x, y)))


def _choose_all(x: Numbers, curves: Numbers) -> list[_Choice]:
    """As `_choose` for many curves at once, by the grids alone: resamples differ by more than a grid's step."""
    seen = _seen(len(x))
    small = {name: law.searched(x[:seen], curves[:, :seen]) for name, law in LAWS.items()}
    whole = {name: law.searched(x, curves) for name, law in LAWS.items()}
    choices = []
    for row, y in enumerate(curves):
        errors = {name: _error(_Fit(law, small[name][row]), x[seen:], y[seen:]) for name, law in LAWS.items()}
        law = _least(errors)
        choices.append(
            _Choice(errors=errors, small=_Fit(law, small[law.name][row]), whole=_Fit(law, whole[law.name][row]))
        )
    return choices


def _error(fit: _Fit, x: Numbers, y: Numbers) -> float:
    return float(np.sqrt(((fit.at(x) - y) ** 2).mean()))


def _least(errors: dict[str, float]) -> Law:
    enough = min(errors.values()) + AS_WELL
    return next(LAWS[name] for name in LAWS if errors[name] <= enough)


def _seen(budgets: int) -> int:
    """How many of the smaller budgets the laws are fitted on: two in three."""
    return max(4, math.ceil(budgets * 2 / 3))


def _too_little(sizes: Numbers, measured: Numbers) -> str | None:
    if np.isnan(measured).any():
        return "not enough data: some problems have no value at some budgets"
    if len(sizes) < FEWEST_BUDGETS:
        return f"not enough data: {len(sizes)} budgets, and a law needs {FEWEST_BUDGETS}, some to fit and some to test"
    if len(measured) < FEWEST_PROBLEMS:
        return f"not enough data: {len(measured)} problems, and intervals over problems need {FEWEST_PROBLEMS}"
    if (span := float(np.log2(sizes[-1] / sizes[0]))) < LEAST_DOUBLINGS:
        return f"not enough data: the budgets span {span:.1f} doublings, and a trend needs {LEAST_DOUBLINGS:g}"
    rise = bootstraps((measured[:, -1] - measured[:, 0])[:, None], method="bca")[0]
    if rise.low <= 0 <= rise.high:
        return (
            f"not enough data: flat, from the smallest to the largest budget accuracy changes by {rise.mean:+.3f}, "
            f"interval [{rise.low:+.3f}, {rise.high:+.3f}]"
        )
    return None


def _told(said: Numbers, drawn: Numbers, problems: int, level: float, *, widest: float = WIDEST) -> list[Interval]:
    low, high = expanded_percentile(drawn, problems, level)
    return [
        Interval(float(mean), float(least), float(most), problems, level, _KIND)
        if most - least <= widest
        else _none(f"not enough data: the interval is wide, {least:.2f} to {most:.2f}", problems, level)
        for mean, least, most in zip(said, low, high, strict=True)
    ]


def _points(sizes: Numbers, measured: list[Interval], predicted: list[Interval]) -> tuple[FittedPoint, ...]:
    return tuple(
        FittedPoint(budget=float(size), measured=one, predicted=other, held_out=place >= _seen(len(sizes)))
        for place, (size, one, other) in enumerate(zip(sizes, measured, predicted, strict=True))
    )


def _none(reason: str, problems: int, level: float) -> Interval:
    return Interval(math.nan, math.nan, math.nan, problems, level, reason)


def _without(
    reason: str, sizes: Numbers, measured: list[Interval], trials: tuple[LawTrial, ...], unit: str, level: float
) -> AccuracyFit:
    nothing = _none(reason, measured[0].problems, level)
    return AccuracyFit(
        unit=unit,
        problems=nothing.problems,
        points=_points(sizes, measured, [nothing] * len(sizes)),
        trials=trials,
        law=None,
        reason=reason,
        gain_per_doubling=nothing,
        level=level,
        _fit=None,
        _drawn=(),
    )
