"""Samples one after another until a budget is spent."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from tttlab.budget import Budget
from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.policies.draws import LATENCY, Counts, Draws
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import NO_SAMPLE, Numbers, Pool

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinBudget:
    """The majority of the samples that a smaller budget would have paid for.

    Samples are drawn one at a time until one does not fit, or `max_samples` are there. That one is cut: it does not
    vote, and what was left of the budget is charged for it (in other units in proportion, and as one call). If not
    even the first fits, there is no answer, and that is wrong.
    """

    name: ClassVar[str] = "self_consistency"
    budget: str | Budget
    max_samples: int | None = None

    def __post_init__(self) -> None:
        at_least(1, max_samples=self.max_samples)
        if not _limits(Budget.of(self.budget)):
            raise OptionError("there is no budget to keep: give one, such as budget='2000 tokens'")

    @property
    def label(self) -> str:
        """Its name as a figure."""
        most = "" if self.max_samples is None else f" of at most {self.max_samples}"
        return f"majority{most} within {Budget.of(self.budget)}"

    @property
    def size(self) -> int:
        """The most samples that it may use; 0 where the budget alone says it."""
        return self.max_samples or 0

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered; unknown where the record ends before the budget. Raises for units not there."""
        draws = order.draws(pool)
        most = draws.codes.shape[2] if self.max_samples is None else self.max_samples
        used, priced = draws.each(min(most, draws.codes.shape[2])), np.ones(draws.codes.shape[:2], dtype=np.bool_)
        for unit, limit in _limits(Budget.of(self.budget)).items():
            spent = draws.spent(unit)[:, :, 1:]
            fits = spent <= limit * (1 + _ROUNDING)
            used = np.minimum(used, fits.sum(axis=2))
            # A sample of unknown cost fits nowhere, and may not end the count as if it were too dear.
            priced &= ~(np.isnan(_at(spent, used)) & (used < pool.counts[:, None]))
        part = self._part_of_next(draws, used)
        enough = used == self.max_samples
        known = priced & (used <= pool.counts[:, None]) & (enough | (used < pool.counts[:, None]) | (part == 0))
        whole = draws.outcome(*draws.voted(used), used, batch=1)
        cut = np.where(enough | (used >= pool.counts[:, None]), 0.0, part)
        costs = {
            unit: np.where(known, cost + self._cut(draws, unit, used, cut), np.nan)
            for unit, cost in whole.costs.items()
        }
        return replace(
            whole,
            answer=np.where(known, whole.answer, NO_SAMPLE).astype(np.int32),
            correct=np.where(known, whole.correct, np.nan),
            samples=np.where(known, used + (cut > 0), np.nan),
            costs=costs,
        )

    def _part_of_next(self, draws: Draws, used: Counts) -> Numbers:
        """How much of one sample more the budget would pay for: 0 where nothing is left of it."""
        part = np.ones(used.shape)
        for unit, limit in _limits(Budget.of(self.budget)).items():
            left = limit - np.take_along_axis(draws.spent(unit), used[:, :, None], axis=2)[:, :, 0]
            left = np.where(left <= limit * _ROUNDING, 0.0, left)
            if unit == "calls":
                part = np.where(left < 1, 0.0, part)
                continue
            dear = np.nan_to_num(_at(draws.ordered(draws.pool.cost(unit)), used), nan=0.0)
            part = np.minimum(
                part, np.where(left <= 0, 0.0, np.where(dear > left, left / np.maximum(dear, 1e-300), 1.0))
            )
        return part

    def _cut(self, draws: Draws, unit: str, used: Counts, part: Numbers) -> Numbers:
        """What the sample that was cut is charged."""
        if unit == "calls":
            return (part > 0).astype(np.float64)
        cost = _at(draws.ordered(draws.pool.cost("seconds" if unit == LATENCY else unit)), used)
        charged: Numbers = np.where(part > 0, part * cost, 0.0)
        return charged


def _limits(budget: Budget) -> dict[str, float]:
    return {item.name: limit for item in fields(budget) if (limit := getattr(budget, item.name)) is not None}


def _at(array: Numbers, place: Counts) -> Numbers:
    """The entry at a place of each order; of the last where there is none."""
    return np.take_along_axis(array, np.minimum(place, array.shape[2] - 1)[:, :, None], axis=2)[:, :, 0]
