"""A vote in which each sample weighs as much as its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.policies.scored import Scored
from tttlab.experiments.policies.voting import weighted_vote
from tttlab.experiments.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedVote(Scored):
    """The answer whose samples' scores add up highest (Lightman et al., 2023): weighted@k.

    It is the strategy `best_of_n` with `selection=weighted`. Scores below 0 weigh nothing, nor do missing ones; where
    nothing weighs anything, it is the majority. A `mean_logprob` weighs as its exponential. Charged as `BestOfN` is.
    """

    name: ClassVar[str] = "best_of_n"

    @property
    def label(self) -> str:
        """Its name as a figure."""
        return f"vote of {self.samples} weighted by {self.score}"

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered. Raises `OptionError` where the pool has no such score."""
        draws = order.draws(pool)
        weights = np.nan_to_num(draws.weights(self.score, self.samples), nan=0.0)
        return draws.outcome(
            *weighted_vote(draws.codes[:, :, : self.samples], weights, draws.right),
            draws.each(self.samples),
            verdicts=self.verdicts(draws),
        )
