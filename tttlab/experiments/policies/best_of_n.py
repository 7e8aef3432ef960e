"""The sample that scores best among n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.policies.scored import Scored
from tttlab.experiments.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Scored):
    """Best-of-N by a recorded score (Cobbe et al., 2021): the strategy `best_of_n` with `selection=argmax`.

    An abstention has no score and is never chosen; where no answer has one, the majority decides. Samples with one
    score are chosen in equal parts, so over all orders the mean is `estimators.best_of_k` wherever some sample has a
    score. Charged are the samples, and a verdict on each with an answer: `verdict`, by unit, or as `verdict_costs` has
    it.
    """

    name: ClassVar[str] = "best_of_n"

    @property
    def label(self) -> str:
        """Its name as a figure."""
        return f"best of {self.samples} by {self.score}"

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered. Raises `OptionError` where the pool has no such score."""
        draws = order.draws(pool)
        used = draws.each(self.samples)
        scores = draws.weights(self.score, self.samples)
        ranked = np.where(np.isnan(scores), -np.inf, scores)
        best = (ranked == ranked.max(axis=2, keepdims=True)) & np.isfinite(ranked)
        scored, codes = best.any(axis=2), draws.codes[:, :, : self.samples]
        right = draws.ordered(pool.correct, self.samples).astype(np.float64)
        answer, correct = draws.voted(used)
        first = np.take_along_axis(codes, best.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        mean = (best * right).sum(axis=2) / np.maximum(best.sum(axis=2), 1)
        return draws.outcome(
            np.where(scored, first, answer),
            np.where(scored, mean, correct),
            used,
            verdicts=self.verdicts(draws),
        )
