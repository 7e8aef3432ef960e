"""Coverage against samples as c(k) = exp(a k^b) (Brown et al., 2024): fitted on few samples, it says what many find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError
from tttlab.experiments.estimators import pass_at_ks
from tttlab.experiments.intervals import Interval, bootstraps
from tttlab.experiments.resampling import expanded_percentile, resampled_means

Numbers = NDArray[np.float64]

A_DECADE = 12
"""Sizes fitted for each factor of ten, even on a logarithmic axis: else the many large k outvote the small."""
FEWEST_SAMPLES = 4
FEWEST_SIZES = 2
FEWEST_PROBLEMS = 10
RESAMPLES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint:
    """Coverage at k samples: measured, and what the law says."""

    samples: int
    measured: Interval
    predicted: Interval
    held_out: bool
    """Whether the fit did not see it: k is above `up_to`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoverageLaw:
    """c(k) = exp(a k^b). Where `reason` says that there is not enough data, a and b are NaN."""

    a: float
    b: float
    up_to: int
    """The greatest k that was fitted."""
    problems: int
    residual: float
    """The greatest distance of the law from a measured point, of those that were fitted."""
    held_out_residual: float
    """Likewise of the points beyond `up_to`; NaN without any."""
    points: tuple[CoveragePoint, ...]
    reason: str | None
    level: float
    _drawn: Numbers

    def at(self, ks: Sequence[float]) -> list[Interval]:
        """The coverage that the law says of any numbers of samples, with intervals over problems, given the law."""
        wanted = np.asarray(ks, dtype=np.float64)
        if (wanted <= 0).any():
            raise OptionError("k is a number of samples, above 0")
        if self.reason is not None:
            return [Interval(math.nan, math.nan, math.nan, self.problems, self.level, self.reason) for _ in wanted]
        curves = _law(wanted, self._drawn[:, :1], self._drawn[:, 1:])
        low, high = expanded_percentile(curves, self.problems, self.level)
        return [
            Interval(float(mean), float(least), float(most), self.problems, self.level, _KIND)
            for mean, least, most in zip(_law(wanted, self.a, self.b), low, high, strict=True)
        ]


_KIND = "percentile bootstrap over problems, given the law"


def fitted_sizes(samples: int) -> tuple[int, ...]:
    """The numbers of samples at which the law is fitted: 12 a factor of ten, rounded, each once."""
    steps = max(2, round(A_DECADE * math.log10(samples)) + 1) if samples > 1 else 1
    return tuple(sorted({int(size) for size in np.round(np.geomspace(1, samples, steps))}))


def fit_coverage(ks: Sequence[float], coverage: ArrayLike) -> tuple[float, float]:
    """The law's a and b by least squares on coverage itself. NaN where it is nowhere above 0, or nowhere below 1."""
    from scipy.optimize import curve_fit

    sizes, measured = np.asarray(ks, dtype=np.float64), np.asarray(coverage, dtype=np.float64)
    if sizes.shape != measured.shape or len(sizes) < FEWEST_SIZES or (sizes <= 0).any():
        raise OptionError(f"a fit needs a coverage for each of two or more sizes: {sizes.shape} and {measured.shape}")
    if np.isnan(measured).any() or measured[0] <= 0 or measured[0] >= 1:
        return math.nan, math.nan
    first, last = -math.log(measured[0]), -math.log(min(float(measured[-1]), 1 - 1e-9))
    begin = (-first, math.log(last / first) / math.log(sizes[-1] / sizes[0]))
    try:
        (a, b), _ = curve_fit(_law, sizes, measured, p0=begin, jac=_slopes)
    except RuntimeError:  # it did not settle
        return math.nan, math.nan
    return float(a), float(b)


def coverage_law(
    correct: ArrayLike,
    *,
    counts: ArrayLike | None = None,
    up_to: int | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> CoverageLaw:
    """Fit the law to samples (problems x samples) from k = 1 to `up_to`; what lies beyond is its held-out test.

    pass@k is estimated without bias at `fitted_sizes`. Every problem must have the greatest k's samples: `counts` says
    where they are fewer, and the smallest count ends the range. Intervals resample problems and fit anew.
    """
    right = np.asarray(correct, dtype=np.bool_)
    pass_at_ks(right, [1], counts=counts)
    most = right.shape[1] if counts is None else int(np.asarray(counts).min())
    end = most if up_to is None else up_to
    if not 1 <= end <= most:
        raise OptionError(f"the law cannot be fitted up to k = {end}: every problem has {most} samples")
    inner = fitted_sizes(end)
    sizes = (*inner, *(k for k in fitted_sizes(most) if k > end))
    estimates = pass_at_ks(right, sizes, counts=counts)
    measured = bootstraps(estimates, level=level, seed=seed)
    a, b, drawn, reason = _fitted(inner, estimates[:, : len(inner)], seed)
    made = CoverageLaw(
        a=a, b=b, up_to=end, problems=len(right), level=level, reason=reason, _drawn=drawn,
        points=(), residual=math.nan, held_out_residual=math.nan,
    )  # fmt: skip
    points = tuple(
        CoveragePoint(samples=k, measured=of, predicted=said, held_out=k > end)
        for k, of, said in zip(sizes, measured, made.at(sizes), strict=True)
    )
    return replace(
        made, points=points, residual=_residual(points[: len(inner)]), held_out_residual=_residual(points[len(inner) :])
    )


def _fitted(sizes: tuple[int, ...], estimates: Numbers, seed: int) -> tuple[float, float, Numbers, str | None]:
    """The law's a and b, and those of resampled problems; or why there are none."""
    nothing = math.nan, math.nan, np.empty((0, 2))
    if sizes[-1] < FEWEST_SAMPLES:
        return *nothing, f"not enough data: k up to {sizes[-1]}, and the law needs at least {FEWEST_SAMPLES}"
    if len(estimates) < FEWEST_PROBLEMS:
        return (
            *nothing,
            f"not enough data: {len(estimates)} problems, and intervals over problems need {FEWEST_PROBLEMS}",
        )
    mean = estimates.mean(axis=0)
    if mean[-1] <= 0 or mean[0] >= 1:
        return *nothing, f"not enough data: coverage is {mean[0]:g} at every k"
    a, b = fit_coverage(sizes, mean)
    tried = [fit_coverage(sizes, each) for each in resampled_means(estimates, RESAMPLES, seed)]
    drawn = np.array([each for each in tried if not math.isnan(each[0])]).reshape(-1, 2)
    if math.isnan(a) or len(drawn) < 0.9 * RESAMPLES:
        return *nothing, "not enough data: too few problems are ever right for the law to be fitted"
    return a, b, drawn, None


def _residual(points: Sequence[CoveragePoint]) -> float:
    return max((abs(point.measured.mean - point.predicted.mean) for point in points), default=math.nan)


def _law(k: Numbers, a: float | Numbers, b: float | Numbers) -> Numbers:
    said: Numbers = np.exp(a * k**b)
    return said


def _slopes(k: Numbers, a: float, b: float) -> Numbers:
    power = k**b
    said = np.exp(a * power)
    return np.stack([power * said, a * power * np.log(k) * said], axis=1)
