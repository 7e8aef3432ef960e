"""A pool's samples in the orders of a replay, with what several policies count of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.policies.voting import RunningVote, running_vote
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE, Flags, Numbers, Pool

Scalar = TypeVar("Scalar", bound=np.generic)
Counts = NDArray[np.int64]

LOGPROB = "mean_logprob"
"""The score that counts as its exponential, a mean probability a token, as the strategies have it."""
LATENCY = "latency"
"""The unit of what a user waits: seconds from the first call to the last, calls that are made at once side by side."""


class Draws:
    """P problems x S orders x N samples. Arrays are made when they are first asked for."""

    def __init__(self, pool: Pool, indices: NDArray[np.intp]) -> None:
        self.pool = pool
        self._indices = indices
        self._spent: dict[str, Numbers] = {}
        self._waited: dict[int, Numbers] = {}

    def ordered(self, array: NDArray[Scalar], samples: int | None = None) -> NDArray[Scalar]:
        """An array of the pool, P x N, in the orders: P x S x N, or the first `samples` of each."""
        return np.take_along_axis(array[:, None, :], self._indices[:, :, :samples], axis=2)

    @cached_property
    def codes(self) -> NDArray[np.int32]:
        """The answers' codes."""
        return self.ordered(self.pool.answers)

    @cached_property
    def right(self) -> Numbers:
        """P x A: how many of the samples that gave an answer are right by the record; 0 or 1 where they agree."""
        problems, answers = len(self.pool.problems), max(1, *map(len, self.pool.values))
        there = self.pool.answers >= 0
        place = (np.arange(problems)[:, None] * answers + np.maximum(self.pool.answers, 0))[there]
        times = np.bincount(place, minlength=problems * answers)
        won = np.bincount(place, weights=self.pool.correct[there], minlength=problems * answers)
        shares: Numbers = (won / np.maximum(times, 1)).reshape(problems, answers)
        return shares

    @cached_property
    def votes(self) -> RunningVote:
        """The majority vote after each sample."""
        return running_vote(self.codes, self.right)

    def weights(self, score: str, samples: int) -> Numbers:
        """The first samples' scores of that name; NaN for an abstention and where there is none."""
        found: Numbers = self.pool.score(score)
        found = np.where(self.pool.answers >= 0, found, np.nan)
        found = np.where(np.isfinite(found), np.exp(found) if score == LOGPROB else found, np.nan)
        return self.ordered(found, samples)

    def spent(self, unit: str) -> Numbers:
        """P x S x (N + 1): what the first m samples cost, at m."""
        if unit not in self._spent:
            costs = self.ordered(self.pool.cost(unit))
            total = np.zeros((*costs.shape[:2], costs.shape[2] + 1))
            np.cumsum(costs, axis=2, out=total[:, :, 1:])
            self._spent[unit] = total
        return self._spent[unit]

    def waited(self, batch: int) -> Numbers:
        """P x S x (N + 1): seconds until the first m samples are there, if `batch` are asked at once, then the next."""
        if batch not in self._waited:
            seconds = self.ordered(self.pool.cost("seconds"))
            problems, subsets, samples = seconds.shape
            whole = -(-samples // batch) * batch
            padded = np.zeros((problems, subsets, whole))
            padded[:, :, :samples] = seconds
            slowest = np.maximum.accumulate(padded.reshape(problems, subsets, -1, batch), axis=3)
            before = np.cumsum(slowest[..., -1], axis=2) - slowest[..., -1]
            total = np.zeros((problems, subsets, whole + 1))
            total[:, :, 1:] = (before[..., None] + slowest).reshape(problems, subsets, whole)
            self._waited[batch] = total[:, :, : samples + 1]
        return self._waited[batch]

    def charged(self, used: Counts, batch: int) -> dict[str, Numbers]:
        """What the first `used` (P x S) samples of each order cost, in each unit that the pool has."""
        place = used[:, :, None]
        costs = {
            unit: np.take_along_axis(self.spent(unit), place, axis=2)[:, :, 0]
            for unit in self.pool.costs
            if ":" not in unit
        }
        if "seconds" in costs:
            costs[LATENCY] = np.take_along_axis(self.waited(batch), place, axis=2)[:, :, 0]
        return costs

    def outcome(
        self,
        answer: NDArray[np.int32],
        correct: Numbers,
        used: Counts,
        *,
        batch: int | None = None,
        verdicts: Mapping[str, Numbers] | None = None,
    ) -> Outcome:
        """What a policy answered after `used` samples of each order, of which `batch` were asked at once (None: all).

        Where it would have used more than there are, it is not known what it would have said. `verdicts` are added to
        the costs.
        """
        known: Flags = used <= self.pool.counts[:, None]
        costs = self.charged(np.minimum(used, self.codes.shape[2]), batch or self.codes.shape[2])
        for unit, cost in costs.items():
            costs[unit] = np.where(known, cost + (verdicts or {}).get(unit, 0.0), np.nan)
        return Outcome(
            values=self.pool.values,
            answer=np.where(known, answer, NO_SAMPLE).astype(np.int32),
            correct=np.where(known, correct, np.nan),
            samples=np.where(known, used, np.nan),
            costs=costs,
        )

    def voted(self, samples: Counts) -> tuple[NDArray[np.int32], Numbers]:
        """The majority's answer after so many samples (P x S) of each order, and how right it is."""
        place = np.clip(samples - 1, 0, self.codes.shape[2] - 1)[:, :, None]
        answer = np.take_along_axis(self.votes.leader, place, axis=2)[:, :, 0]
        correct = np.take_along_axis(self.votes.correct, place, axis=2)[:, :, 0]
        none = samples < 1
        return np.where(none, ABSTAINED, answer), np.where(none, 0.0, correct)

    def each(self, samples: int) -> Counts:
        """The same number of samples in every order of every problem."""
        return np.full(self.codes.shape[:2], samples, dtype=np.int64)
