"""Intervals over problems: how much a mean would move with other problems of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from tttlab.errors import OptionError

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `problems` problems, and the interval that holds it at the level asked for."""

    mean: float
    low: float
    high: float
    problems: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}], n={self.problems}"


def bootstrap(values: Sequence[float], *, level: float = 0.95, seed: int = 0) -> Interval:
    """The percentile interval of a mean, one value a problem, problems resampled (Efron, 1979).

    For the difference between two methods on the same problems give the differences: pairs stay together. With fewer
    than about 20 problems such an interval is too narrow. Raises `OptionError` where there are no values.
    """
    if not values:
        raise OptionError("there is no interval over no problems: give one value a problem")
    rng, count = Random(seed), len(values)  # noqa: S311 - reproducible, not secret
    means = sorted(fmean(rng.choices(values, k=count)) for _ in range(RESAMPLES))
    tail = int((1 - level) / 2 * RESAMPLES)
    return Interval(fmean(values), means[tail], means[-1 - tail], count)
