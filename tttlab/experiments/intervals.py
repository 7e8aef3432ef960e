"""Intervals over problems: how much a mean would move with other problems of the same kind.

Which kind covers the truth as often as it says was found by simulation (`tests/experiments/test_coverage.py` has it):
resampling alone is too narrow for zeros and ones and for a difference of them, so those have intervals of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError, nearest
from tttlab.experiments.proportions import jeffreys, tango
from tttlab.experiments.resampling import Numbers, bayesian, bca, expanded_percentile, resampled_means, resampled_rows

RESAMPLES = 2000
FEWEST = 2
"""Problems of which there is an interval at all."""
AXES = 2
FEW = 5
"""Problems' worth of right answers, or of wrong ones, below which BCa does not hold its level."""

Method = Literal["bca", "percentile", "bayesian", "jeffreys", "tango"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `problems` problems, and the interval that holds it at the level asked for."""

    mean: float
    low: float
    high: float
    problems: int
    level: float = 0.95
    kind: str = ""
    """How it was made, or why there is none: `low` and `high` are then NaN."""

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.mean:.2f} ({self.kind}), n={self.problems}"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}], n={self.problems}"


def bootstrap(
    values: ArrayLike,
    *,
    level: float = 0.95,
    seed: int = 0,
    of: Sequence[Hashable] | None = None,
    method: Method | None = None,
) -> Interval:
    """The interval of a mean, one value a problem: problems are resampled, by BCa (Efron, 1987).

    It is widened for few problems. Two cases where that covers too little have an interval of their own: values that
    are all 0 or 1, Jeffreys' (Brown, Cai and DasGupta, 2001), and values that sum to less than five problems right, or
    wrong, a Bayesian bootstrap (Rubin, 1981) with a third of a problem at either end. With several runs a problem give
    one value a run and in `of` the problem of each: the problem's mean is its value, and problems, not runs, are
    resampled. For two methods on the same problems use `difference`. One problem alone, or a value of NaN, has no
    interval: `kind` says why. With fewer than about 20 problems it is too narrow. Raises `OptionError` for no values.
    """
    by_problem = _by_problem(values, of)
    return _interval(by_problem[:, None], level=level, seed=seed, method=method)[0]


def bootstraps(
    values: ArrayLike, *, level: float = 0.95, seed: int = 0, method: Method | None = None
) -> list[Interval]:
    """As `bootstrap` for each column of problems x figures, such as maj@k at many k: the same resamples serve all."""
    columns = np.asarray(values, dtype=np.float64)
    if columns.ndim != AXES:
        raise OptionError(f"the values are of shape {columns.shape}: give problems x figures")
    return _interval(columns, level=level, seed=seed, method=method)


def difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    seed: int = 0,
    of: Sequence[Hashable] | None = None,
    method: Method | None = None,
) -> Interval:
    """The interval of the mean of `first` less `second` on the same problems: pairs stay together.

    By BCa as in `bootstrap`; where both are 0 or 1 for each problem, by Tango's score (1998).
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise OptionError(f"a paired difference is of the same problems: {one.shape} and {other.shape} are not")
    paired = _by_problem(one - other, of)
    whole = bool(np.isin(paired, (-1, 0, 1)).all()) and bool(np.isin([one, other], (0, 1)).all())
    return _interval(paired[:, None], level=level, seed=seed, method=method or ("tango" if whole else "bca"))[0]


def bootstrap_of(
    statistic: Callable[[NDArray[np.intp]], float],
    problems: int,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 500,
) -> Interval:
    """The interval of any figure, such as an AUC: `statistic` is given the places of the problems that were drawn.

    By the percentiles of its values, widened for few problems. Draws for which it is NaN are left out; where they are
    more than one in ten there is no interval.
    """
    _checked(level)
    observed = statistic(np.arange(problems))
    if problems < FEWEST or math.isnan(observed):
        why = "no interval over one problem" if problems < FEWEST else "not defined for these problems"
        return Interval(observed, math.nan, math.nan, problems, level, why)
    drawn = np.array([statistic(rows) for rows in resampled_rows(problems, resamples, seed)])
    known = drawn[~np.isnan(drawn)]
    if len(known) < 0.9 * resamples:
        return Interval(observed, math.nan, math.nan, problems, level, "not defined for many draws of these problems")
    low, high = expanded_percentile(known[:, None], problems, level)
    return Interval(observed, float(low[0]), float(high[0]), problems, level, "percentile bootstrap over problems")


def _by_problem(values: ArrayLike, of: Sequence[Hashable] | None) -> Numbers:
    """One value a problem; where `of` names the problem of each value, the means."""
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim != 1:
        raise OptionError(f"the values are of shape {flat.shape}: give one a problem, or one a run and `of`")
    if of is None:
        return flat
    if len(of) != len(flat):
        raise OptionError(f"`of` names the problem of each value: {len(of)} names for {len(flat)} values")
    places = {name: place for place, name in enumerate(dict.fromkeys(of))}
    rows = [places[name] for name in of]
    return np.bincount(rows, flat) / np.bincount(rows)


def _checked(level: float) -> None:
    if not 0 < level < 1:
        raise OptionError(f"a level is between 0 and 1, such as 0.95, not {level}")


def _interval(columns: Numbers, *, level: float, seed: int, method: Method | None) -> list[Interval]:
    _checked(level)
    if method is not None and method not in get_args(Method):
        raise OptionError(f"there is no interval {method!r}{nearest(method, get_args(Method))}")
    problems = len(columns)
    if not problems:
        raise OptionError("there is no interval over no problems: give one value a problem")
    means = columns.mean(axis=0)
    # As Python's own sum would have it: a mean of equal values is that value.
    means = np.where((columns == columns[0]).all(axis=0), columns[0], means)
    kinds = [method or _suited(column) for column in columns.T]
    low, high = np.full((2, columns.shape[1]), np.nan)
    for kind in set(kinds):
        chosen = np.array([each == kind for each in kinds])
        if problems >= FEWEST and kind in get_args(Method):
            low[chosen], high[chosen] = _ends(columns[:, chosen], kind, level, seed)
    return [
        Interval(float(mean), float(least), float(most), problems, level, _NAMES.get(kind, kind))
        if problems >= FEWEST
        else Interval(float(mean), math.nan, math.nan, problems, level, "no interval over one problem")
        for mean, least, most, kind in zip(means, low, high, kinds, strict=True)
    ]


_NAMES = {
    "bca": "BCa bootstrap over problems",
    "percentile": "percentile bootstrap over problems",
    "bayesian": "Bayesian bootstrap over problems",
    "jeffreys": "Jeffreys over problems",
    "tango": "Tango's score over paired problems",
}


def _suited(column: Numbers) -> str:
    if missing := int(np.isnan(column).sum()):
        return f"not defined for {missing} of the problems"
    if np.isin(column, (0, 1)).all():
        return "jeffreys"
    within = column.min() >= 0 and column.max() <= 1
    few = len(column) * min(column.mean(), 1 - column.mean()) < FEW
    return "bayesian" if within and few and len(set(column.tolist())) > 1 else "bca"


def _ends(columns: Numbers, kind: str, level: float, seed: int) -> tuple[Numbers, Numbers]:
    problems = len(columns)
    if kind in ("jeffreys", "tango"):
        allowed = (0, 1) if kind == "jeffreys" else (-1, 0, 1)
        if not np.isin(columns, allowed).all():
            raise OptionError(f"the interval {kind!r} is for values of {allowed} alone: give none, or 'bca'")
        gained, lost = (columns == 1).sum(axis=0), (columns == -1).sum(axis=0)
        return jeffreys(gained, problems, level) if kind == "jeffreys" else tango(gained, lost, problems, level)
    if kind == "bayesian":
        if columns.min() < 0 or columns.max() > 1:
            raise OptionError("the interval 'bayesian' is for values from 0 to 1 alone: give none, or 'bca'")
        return bayesian(columns, level, RESAMPLES, seed)
    drawn = resampled_means(columns, RESAMPLES, seed)
    return bca(drawn, columns, level) if kind == "bca" else expanded_percentile(drawn, problems, level)
