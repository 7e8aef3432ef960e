"""Shapes that accuracy may have against the logarithm of compute, and their fit by least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RATES = np.geomspace(0.02, 3, 80)
SLOPES = np.geomspace(0.1, 5, 40)
MIDDLES = 60
BEYOND = 4.0
"""How many doublings beyond the largest budget the middle of a logistic may lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A curve of x = log2(compute / smallest budget)."""

    name: str
    formula: str
    curve: Callable[[Numbers, Numbers], Numbers]
    """From x and parameters to accuracy."""
    searched: Callable[[Numbers, Numbers], Numbers]
    """From x (B) and many curves (R x B) the parameters (R x p): shapes from a grid, the rest by least squares."""
    bounds: tuple[tuple[float, ...], tuple[float, ...]]

    def fit(self, x: Numbers, y: Numbers) -> Numbers:
        """The parameters of least squares for one curve: the best of the grid, and from there to the bottom."""
        from scipy.optimize import least_squares

        def away(of: Numbers) -> Numbers:
            return self.curve(x, of) - y

        low, high = (np.array(end) for end in self.bounds)
        start = np.clip(self.searched(x, y[None])[0], low + 1e-9, high - 1e-9)
        found: Numbers = least_squares(away, start, bounds=(low, high)).x
        return found

    def at(self, x: Numbers, parameters: Numbers) -> Numbers:
        """The accuracy that it says, held between 0 and 1."""
        return np.clip(self.curve(x, parameters), 0.0, 1.0)


def _constant_fit(_: Numbers, curves: Numbers) -> Numbers:
    level: Numbers = curves.mean(axis=1, keepdims=True)
    return level


def _linear_fit(x: Numbers, curves: Numbers) -> Numbers:
    away = x - x.mean()
    slope = curves @ away / (away @ away)
    return np.stack([curves.mean(axis=1) - slope * x.mean(), slope], axis=1)


def _saturating(x: Numbers, of: Numbers) -> Numbers:
    said: Numbers = of[0] - of[1] * np.exp2(-of[2] * x)
    return said


def _saturating_fit(x: Numbers, curves: Numbers) -> Numbers:
    """For each rate the straight line in 2^(-rate x), its top held between 0 and 1."""
    missing = np.exp2(-RATES[:, None] * x)
    away = missing - missing.mean(axis=1, keepdims=True)
    drop = -(curves @ away.T) / (away**2).sum(axis=1)
    top = np.clip(curves.mean(axis=1, keepdims=True) + drop * missing.mean(axis=1), 0, 1)
    drop = (top * missing.sum(axis=1) - curves @ missing.T) / (missing**2).sum(axis=1)
    said = top[:, :, None] - drop[:, :, None] * missing
    best = ((said - curves[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    row = np.arange(len(curves))
    return np.stack([top[row, best], drop[row, best], RATES[best]], axis=1)


def _logistic(x: Numbers, of: Numbers) -> Numbers:
    said: Numbers = of[0] / (1 + np.exp(-of[2] * (x - of[1])))
    return said


def _logistic_fit(x: Numbers, curves: Numbers) -> Numbers:
    """For each middle and slope the best top between 0 and 1."""
    middles = np.linspace(x[0] - 1, x[-1] + BEYOND, MIDDLES)
    shapes = np.array([(1.0, middle, slope) for middle in middles for slope in SLOPES])
    rise = _logistic(x[:, None], shapes.T)
    power = (rise**2).sum(axis=0)
    product = curves @ rise
    top = np.clip(product / power, 0, 1)
    # The squares of the curve itself are the same for every shape.
    best = (top * (top * power - 2 * product)).argmin(axis=1)
    return np.column_stack([top[np.arange(len(curves)), best], shapes[best, 1:]])


_ANY = float("inf")

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            Law(
                name="constant",
                formula="a",
                curve=lambda x, of: np.full_like(x, of[0]),
                searched=_constant_fit,
                bounds=((0.0,), (1.0,)),
            ),
            Law(
                name="linear",
                formula="a + b log2(compute)",
                curve=lambda x, of: of[0] + of[1] * x,
                searched=_linear_fit,
                bounds=((-_ANY, -_ANY), (_ANY, _ANY)),
            ),
            Law(
                name="saturating",
                formula="top - d compute^-r",
                curve=_saturating,
                searched=_saturating_fit,
                bounds=((0.0, -_ANY, float(RATES[0])), (1.0, _ANY, float(RATES[-1]))),
            ),
            Law(
                name="logistic",
                formula="top / (1 + exp(-s (log2(compute) - m)))",
                curve=_logistic,
                searched=_logistic_fit,
                bounds=((0.0, -10.0, float(SLOPES[0])), (1.0, 60.0, float(SLOPES[-1]))),
            ),
        )
    }
)
"""The simplest first."""
