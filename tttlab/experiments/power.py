"""How many problems a comparison needs, so that a difference that is there is seen.

A difference is seen when the interval of the mean difference at `level` excludes 0. Its chance is the power of the
t test, paired or not (Cohen, 1988), with the variance between problems from pilot runs or from proportions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tttlab.errors import OptionError

MOST_PROBLEMS = 10_000_000
FEWEST = 3
"""Problems below which a test has no use."""


def paired_variance(first: ArrayLike, second: ArrayLike) -> float:
    """The variance over problems of the difference of two methods, from pilot runs on the same problems."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise OptionError(f"a pilot has one value a problem from each method, not {one.shape} and {other.shape}")
    return variance_of(one - other)


def variance_of(values: ArrayLike) -> float:
    """The variance over problems of a method's figure, from a pilot. For unpaired comparisons add two."""
    known = np.asarray(values, dtype=np.float64)
    if known.ndim != 1 or len(known) < FEWEST:
        raise OptionError(f"a pilot needs at least {FEWEST} problems, one value each: there are {known.size}")
    if np.isnan(known).any():
        raise OptionError("a pilot's values must be known: some are NaN")
    return float(known.var(ddof=1))


def proportions_variance(first: float, second: float, *, paired: bool = True, correlation: float = 0.0) -> float:
    """The variance of a difference of two accuracies when each problem is asked once, with no pilot.

    `correlation` is that of the two methods over problems, 0 if they fail independently: the more they fail on the same
    ones, the fewer problems a paired comparison needs. Raises `OptionError` for a correlation that cannot be.
    """
    for share in (first, second):
        if not 0 <= share <= 1:
            raise OptionError(f"an accuracy is between 0 and 1, not {share}")
    apart = first * (1 - first) + second * (1 - second)
    if not paired:
        if correlation:
            raise OptionError("an unpaired comparison has no correlation: leave it out, or pair the problems")
        return apart
    shared = correlation * math.sqrt(first * (1 - first) * second * (1 - second))
    both = first * second + shared
    if not max(0.0, first + second - 1) - 1e-12 <= both <= min(first, second) + 1e-12:
        raise OptionError(f"accuracies of {first} and {second} cannot be correlated by {correlation}")
    return apart - 2 * shared


def power_of(problems: int, difference: float, variance: float, *, level: float = 0.95, paired: bool = True) -> float:
    """The chance that so many problems (of each method, if not `paired`) show the difference at this level."""
    from scipy.stats import nct
    from scipy.stats import t as student

    _checked(difference, variance, level)
    if problems < FEWEST:
        raise OptionError(f"{problems} problems show nothing: ask for at least {FEWEST}")
    if variance == 0:
        return 1.0
    freedom = problems - 1 if paired else 2 * problems - 2
    limit = float(student.ppf((1 + level) / 2, freedom))
    away = abs(difference) * math.sqrt(problems / variance)
    return float(nct.sf(limit, freedom, away) + nct.cdf(-limit, freedom, away))


def problems_needed(
    difference: float, variance: float, *, power: float = 0.8, level: float = 0.95, paired: bool = True
) -> int:
    """The fewest problems (of each method, if not `paired`) that show a difference of so much with this power.

    `variance` is that of the difference on one problem: `paired_variance` of a pilot, the sum of two `variance_of`, or
    `proportions_variance`. Raises `OptionError` for no difference, or one that would take more than ten million.
    """
    _checked(difference, variance, level)
    if not 0 < power < 1:
        raise OptionError(f"a power is a chance between 0 and 1, such as 0.8, not {power}")

    def enough(problems: int) -> bool:
        return power_of(problems, difference, variance, level=level, paired=paired) >= power

    above = FEWEST
    while not enough(above):
        above *= 2
        if above > MOST_PROBLEMS:
            raise OptionError(f"a difference of {difference:g} would take more than {MOST_PROBLEMS:,} problems")
    below = max(FEWEST - 1, above // 2)
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if enough(middle) else (middle, above)
    return above


def _checked(difference: float, variance: float, level: float) -> None:
    if not 0 < abs(difference) < math.inf:
        raise OptionError(f"no number of problems shows a difference of {difference}: say how much would matter")
    if not 0 <= variance < math.inf:
        raise OptionError(f"a variance is 0 or more, not {variance}")
    if not 0 < level < 1:
        raise OptionError(f"a level is between 0 and 1, such as 0.95, not {level}")
