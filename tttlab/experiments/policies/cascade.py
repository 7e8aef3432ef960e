"""A cheap vote first, and a dearer one where its answers disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest
from tttlab.experiments.policies.draws import Counts, Draws
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE, Numbers, Pool

Step = int | tuple[int, Pool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Steps from cheap to dear, left as soon as the samples of one agree (Yue et al., 2023; FrugalGPT, Chen, 2023).

    A step is a number (bring the vote of the pool's samples up to it), or a pair of a number and another pool, of the
    same problems (a vote of so many of its samples). An answer is trusted where its share of the step's samples,
    abstentions among them, is at least `threshold`; if none is, the last step that gave one decides. Every step taken
    is charged whole, in units that both pools have. Tokens of different models are not alike: compare in dollars,
    seconds or FLOPs.
    """

    name: ClassVar[str] = "cascade"
    steps: tuple[Step, ...] = (3, 8, 16)
    threshold: float = 0.8

    def __post_init__(self) -> None:
        at_least(0, threshold=self.threshold)
        if not isinstance(self.steps, tuple) or not self.steps:
            raise OptionError(f"the steps {self.steps!r} cannot be taken: give a tuple, such as steps=(3, 8, 16)")
        for step in self.steps:
            at_least(1, step=_size(step))

    @property
    def label(self) -> str:
        """Its name as a figure."""
        said = [str(step) if isinstance(step, int) else f"{step[0]} of {_called(step[1])}" for step in self.steps]
        return f"cascade {', '.join(said)} (agreement {self.threshold:g})"

    @property
    def size(self) -> int:
        """The most samples that it may use, of all pools."""
        own = max((step for step in self.steps if isinstance(step, int)), default=0)
        return own + sum(step[0] for step in self.steps if not isinstance(step, int))

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered. Raises `OptionError` where another pool lacks one of the problems."""
        own = order.draws(pool)
        shape = own.codes.shape[:2]
        standing, correct = np.full(shape, ABSTAINED, dtype=np.int32), np.zeros(shape)
        taken, known = np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=np.bool_)
        going, values, parts = np.ones(shape, dtype=np.bool_), pool.values, list[Outcome]()
        for number, step in enumerate(self.steps):
            size, draws, offset = _size(step), own, np.zeros((shape[0], 1), dtype=np.int32)
            if isinstance(step, int):
                taken = np.where(going, np.maximum(taken, size), taken)
                known &= ~going | (taken <= pool.counts[:, None])
            else:
                beside = _aligned(step[1], pool)
                draws = order.beside(beside, number + 1).draws(beside)
                offset = np.array([[len(each)] for each in values], dtype=np.int32)
                values = tuple(ours + theirs for ours, theirs in zip(values, beside.values, strict=True))
                part = draws.outcome(*draws.voted(draws.each(size)), np.where(going, size, 0))
                known &= ~going | ~np.isnan(part.correct)
                parts.append(part)
            counted = np.maximum(taken, 1) if isinstance(step, int) else draws.each(size)
            answer, right = draws.voted(counted)
            counts = going & (answer >= 0)
            standing, correct = np.where(counts, answer + offset, standing), np.where(counts, right, correct)
            going = going & ~(counts & (_lead(draws, counted) / counted >= self.threshold))
        first = own.outcome(standing, correct, taken)
        costs = {unit: cost for unit, cost in first.costs.items() if all(unit in part.costs for part in parts)}
        for part in parts:
            costs = {unit: cost + part.costs[unit] for unit, cost in costs.items()}
        samples = first.samples + sum(part.samples for part in parts)
        return replace(
            first,
            values=values,
            answer=np.where(known, standing, NO_SAMPLE).astype(np.int32),
            correct=np.where(known, correct, np.nan),
            samples=np.where(known, samples, np.nan),
            costs={unit: np.where(known, cost, np.nan) for unit, cost in costs.items()},
        )


def _size(step: Step) -> int:
    return step if isinstance(step, int) else step[0]


def _called(pool: Pool) -> str:
    return ", ".join(pool.models) or "another pool"


def _lead(draws: Draws, samples: Counts) -> Numbers:
    """The leader's votes after so many samples."""
    place = np.clip(samples - 1, 0, draws.codes.shape[2] - 1)[:, :, None]
    return np.take_along_axis(draws.votes.first, place, axis=2)[:, :, 0].astype(np.float64)


def _aligned(other: Pool, pool: Pool) -> Pool:
    """The other pool's samples of this pool's problems, in their order."""
    places = {problem: place for place, problem in enumerate(other.problems)}
    for problem in pool.problems:
        if problem not in places:
            raise OptionError(
                f"the pool of the dearer step has no samples of {problem!r:.80}{nearest(problem, places)}"
            )
    return other.of_problems([places[problem] for problem in pool.problems])
