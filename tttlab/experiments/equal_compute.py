"""Accuracy at equal compute: what runs would have answered, had each stopped at the same budget.

A run's proposals are steps of a curve: from its cost on, a proposal is the answer. Before the first there is no answer,
which counts as wrong. At each budget a problem's value is the mean over its runs, and accuracy the mean over problems.
Reading curves from the store is in `recorded_curves`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError
from tttlab.experiments.intervals import Interval, bootstraps, difference

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One run's proposals in their order. T of them, perhaps none."""

    problem: str
    spent: Numbers
    """What had been spent at each, in the unit of the comparison."""
    correct: Flags
    answered: Flags
    """False where the proposal says "none yet"."""
    total: float = math.nan
    """What the whole run spent; NaN where unknown."""

    def at(self, budgets: Numbers) -> NDArray[np.intp]:
        """For each budget the place of the last proposal that it pays for; -1 where it pays for none."""
        # A later proposal may rest on less: then it stands at once in place of those before it.
        least = np.minimum.accumulate(self.spent[::-1])[::-1]
        found: NDArray[np.intp] = np.searchsorted(least, budgets, side="right") - 1
        return found


def curve(problem: str, steps: Sequence[tuple[float, bool | None]], *, total: float = math.nan) -> Curve:
    """A curve from its steps: what had been spent, and whether the answer was right (None: no answer yet)."""
    spent = np.array([each for each, _ in steps], dtype=np.float64)
    if not np.isfinite(spent).all() or (spent < 0).any():
        raise OptionError(f"the curve of {problem!r:.80} has a cost that is unknown or below 0: give what was spent")
    right = np.array([bool(correct) for _, correct in steps], dtype=np.bool_)
    return Curve(
        problem=problem, spent=spent, correct=right, total=total,
        answered=np.array([correct is not None for _, correct in steps], dtype=np.bool_),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AtBudget:
    """One row of the table: the share of problems that are right at one budget."""

    budget: float
    accuracy: Interval
    answered: float
    """The share that has an answer at all, right or wrong."""
    ended: float
    """The share of runs that had ended by then: where it is 1, more budget cannot change anything. NaN if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EqualCompute:
    """Accuracy of one method over budgets. P problems x B budgets."""

    unit: str
    budgets: tuple[float, ...]
    problems: tuple[str, ...]
    correct: Numbers
    """The share of each problem's runs that are right."""
    answered: Numbers
    ended: Numbers

    def table(self, *, level: float = 0.95, seed: int = 0) -> list[AtBudget]:
        """A row a budget, with intervals over problems."""
        return [
            AtBudget(budget=budget, accuracy=accuracy, answered=float(answered), ended=float(ended))
            for budget, accuracy, answered, ended in zip(
                self.budgets,
                bootstraps(self.correct, level=level, seed=seed),
                self.answered.mean(axis=0),
                self.ended.mean(axis=0),
                strict=True,
            )
        ]

    def less(self, other: EqualCompute, *, level: float = 0.95, seed: int = 0) -> list[Interval]:
        """At each budget, by how much this method is more accurate than the other on the same problems: paired.

        Raises `OptionError` where problems, budgets or units differ.
        """
        if (self.unit, self.budgets) != (other.unit, other.budgets):
            raise OptionError(
                f"equal compute means the same budgets: {self.unit} {self.budgets} and {other.unit} {other.budgets}"
            )
        if alone := set(self.problems) ^ set(other.problems):
            raise OptionError(
                f"{len(alone):,} problems are of one method alone, such as {min(alone)!r:.80}: compare on the same"
            )
        rows = [other.problems.index(problem) for problem in self.problems]
        return [
            difference(mine, its, level=level, seed=seed)
            for mine, its in zip(self.correct.T, other.correct[rows].T, strict=True)
        ]


def budget_grid(curves: Sequence[Curve], *, points: int = 12) -> tuple[float, ...]:
    """Budgets evenly spaced on a logarithmic axis, from the cheapest first proposal to the dearest last one."""
    spent = np.concatenate([curve.spent for curve in curves]) if curves else np.empty(0)
    known = spent[spent > 0]
    if not known.size:
        raise OptionError("these curves have no proposal that cost anything: there are no budgets to compare at")
    if points < 1:
        raise OptionError(f"a grid of {points} budgets holds nothing: ask for at least 1")
    return tuple(float(each) for each in np.unique(np.geomspace(known.min(), known.max(), points)))


def at_equal_compute(curves: Sequence[Curve], budgets: ArrayLike, *, unit: str = "tokens") -> EqualCompute:
    """The accuracy at each budget, per problem, then over problems. `budgets` are what one run may spend.

    Raises `OptionError` for no curves, or budgets that are not rising numbers above 0.
    """
    sizes = np.asarray(budgets, dtype=np.float64)
    if sizes.ndim != 1 or not sizes.size or not np.isfinite(sizes).all() or sizes[0] < 0 or (np.diff(sizes) <= 0).any():
        raise OptionError("budgets are rising numbers, 0 or more, at least one of them")
    if not curves:
        raise OptionError("there are no curves: give those of one run or more")
    places = {problem: place for place, problem in enumerate(dict.fromkeys(each.problem for each in curves))}
    shape = (len(places), len(sizes))
    correct, answered, ended, runs = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros((len(places), 1))
    for each in curves:
        row, found = places[each.problem], each.at(sizes)
        # Place -1 is the last of each, which says "no answer yet".
        correct[row] += np.append(each.correct, False)[found]
        answered[row] += np.append(each.answered, False)[found]
        ended[row] += np.where(np.isnan(each.total), np.nan, each.total <= sizes)
        runs[row] += 1
    return EqualCompute(
        unit=unit,
        budgets=tuple(float(size) for size in sizes),
        problems=tuple(places),
        correct=correct / runs,
        answered=answered / runs,
        ended=ended / runs,
    )
