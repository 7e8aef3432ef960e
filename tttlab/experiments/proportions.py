"""Intervals of shares of problems, and of differences of them, that need no resampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def jeffreys(right: ArrayLike, problems: int, level: float) -> tuple[Numbers, Numbers]:
    """The interval of a share: equal tails of Beta(x + 1/2, n - x + 1/2), x right of n (Brown et al., 2001)."""
    from scipy.special import betaincinv

    found, tail = np.asarray(right, dtype=np.float64), (1 - level) / 2
    low = betaincinv(found + 0.5, problems - found + 0.5, tail)
    high = betaincinv(found + 0.5, problems - found + 0.5, 1 - tail)
    return np.where(found == 0, 0.0, low), np.where(found == problems, 1.0, high)


def tango(gained: ArrayLike, lost: ArrayLike, problems: int, level: float) -> tuple[Numbers, Numbers]:
    """The interval of (gained - lost) / problems, of pairs where one method alone is right: Tango's score (1998).

    The differences whose score test they pass, found by halving. Holds its level with few pairs that differ, or none.
    """
    from scipy.special import ndtri

    won, gave = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    middle = (won - gave) / problems
    limit = float(ndtri((1 + level) / 2))
    ends = []
    for side, end in ((1.0, np.full_like(middle, -1.0)), (-1.0, np.full_like(middle, 1.0))):
        outside, inside = end, middle.copy()
        for _ in range(60):
            between = (outside + inside) / 2
            beyond = side * _score(between, won, gave, problems) > limit
            outside, inside = np.where(beyond, between, outside), np.where(beyond, inside, between)
        ends.append((outside + inside) / 2)
    return ends[0], ends[1]


def _score(assumed: Numbers, gained: Numbers, lost: Numbers, problems: int) -> Numbers:
    """How many standard errors the difference found lies above the one assumed."""
    linear = -gained - lost + (2 * problems - gained + lost) * assumed
    constant = -lost * assumed * (1 - assumed)
    chance = (np.sqrt(np.maximum(linear**2 - 8 * problems * constant, 0)) - linear) / (4 * problems)
    variance = problems * (2 * chance + assumed * (1 - assumed))
    found = gained - lost - problems * assumed
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, found / np.sqrt(variance), np.sign(found) * np.inf)
