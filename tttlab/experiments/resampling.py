"""Problems drawn again with replacement, and the ends of the intervals that follow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

CELLS = 2_000_000
"""Of a table resamples x problems that is made at once: 16 MB."""
AT_AN_END = 1 / 3
"""Of a problem. Half of one, as Jeffreys adds to zeros and ones, covers too often where values lie between."""


def resampled_rows(problems: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """The places of the problems of each resample."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rng.integers(0, problems, problems)


def resampled_means(columns: Numbers, resamples: int, seed: int) -> Numbers:
    """The mean of each column in each resample of the rows. resamples x columns; the same draws for every column."""
    problems = len(columns)
    most = max(1, min(resamples, CELLS // problems))
    parts = range(0, resamples, most)
    return np.concatenate(
        [_times(problems, min(most, resamples - part), seed + part) @ columns / problems for part in parts]
    )


@lru_cache(maxsize=4)
def _times(problems: int, resamples: int, seed: int) -> Numbers:
    """How often each resample holds each problem."""
    drawn = np.random.default_rng(seed).integers(0, problems, (resamples, problems))
    places = drawn + np.arange(resamples)[:, None] * problems
    return np.bincount(places.ravel(), minlength=resamples * problems).reshape(resamples, problems).astype(np.float64)


def bayesian(columns: Numbers, level: float, resamples: int, seed: int) -> tuple[Numbers, Numbers]:
    """Percentiles of means under random weights (Rubin, 1981), a third of a problem added at 0 and at 1.

    The third is Kerman's (2011). For values in [0, 1]: where few differ from an end, this allows for those that other
    problems would have shown.
    """
    rng = np.random.default_rng(seed)
    parts = []
    most = max(1, CELLS // len(columns))
    for part in range(0, resamples, most):
        count = min(most, resamples - part)
        weights, ends = rng.exponential(size=(count, len(columns))), rng.gamma(AT_AN_END, size=(count, 2))
        parts.append((weights @ columns + ends[:, 1:]) / (weights.sum(axis=1) + ends.sum(axis=1))[:, None])
    low, high = np.quantile(np.concatenate(parts), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def expanded_percentile(drawn: Numbers, problems: int, level: float) -> tuple[Numbers, Numbers]:
    """The percentiles of resampled figures, taken further out by as much as few problems need (Hesterberg, 2015)."""
    from scipy.special import ndtr

    low, high = np.quantile(drawn, ndtr(_reach(problems, level)), axis=0)
    return low, high


def bca(drawn: Numbers, columns: Numbers, level: float) -> tuple[Numbers, Numbers]:
    """The bias-corrected and accelerated percentiles of resampled means (Efron, 1987), reaching as far as above."""
    from scipy.special import ndtr, ndtri

    means = columns.mean(axis=0)
    away = columns - means
    near = 1e-12 * np.maximum(np.abs(columns).max(axis=0), 1e-300)
    below = ((drawn < means - near).mean(axis=0) + (drawn <= means + near).mean(axis=0)) / 2
    bias = ndtri(np.clip(below, 0.001, 0.999))
    spread = (away**2).sum(axis=0)
    even = spread <= near**2 * len(columns)
    acceleration = (away**3).sum(axis=0) / (6 * np.where(even, 1.0, spread) ** 1.5)
    ends = []
    for reach in _reach(len(columns), level):
        shifted = bias + reach
        # A skew so strong that the correction turns round: the outermost resample is the end.
        turned = np.maximum(1 - acceleration * shifted, 0.05)
        ends.append(_quantiles(drawn, ndtr(bias + shifted / turned)))
    return np.where(even, columns[0], ends[0]), np.where(even, columns[0], ends[1])


def _reach(problems: int, level: float) -> Numbers:
    """Where a t interval with n - 1 degrees of freedom ends, in standard errors of the plug-in kind."""
    from scipy.special import stdtrit

    end = float(stdtrit(problems - 1, (1 + level) / 2)) * np.sqrt(problems / (problems - 1))
    return np.array([-end, end])


def _quantiles(drawn: Numbers, shares: Numbers) -> Numbers:
    """Of each column the quantile at a share of its own."""
    ordered = np.sort(drawn, axis=0)
    place = shares * (len(drawn) - 1)
    below = np.clip(np.floor(place).astype(np.intp), 0, len(drawn) - 2)
    columns = np.arange(drawn.shape[1])
    first, second = ordered[below, columns], ordered[below + 1, columns]
    between: Numbers = first + (place - below) * (second - first)
    return between
