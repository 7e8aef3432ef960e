"""Samples until the vote is unlikely to change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from tttlab.checks import at_least
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import Numbers, Pool
from tttlab.strategies.adaptive_consistency import beta_stability


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConsistency:
    """Adaptive-Consistency (Aggarwal et al., 2023) by its Beta rule, the one that `strategies` has.

    It stops when 1 - I_0.5(v1 + 1, v2 + 1) of the two leading counts reaches `threshold`, after `min_samples` to
    `max_samples`; the answer is the majority then. `batch` samples are asked at once, and those after the stop are
    charged too.
    """

    name: ClassVar[str] = "adaptive_consistency"
    threshold: float = 0.95
    min_samples: int = 1
    max_samples: int = 40
    batch: int = 1

    def __post_init__(self) -> None:
        at_least(1, min_samples=self.min_samples, batch=self.batch)
        at_least(self.min_samples, max_samples=self.max_samples)
        at_least(0, threshold=self.threshold)

    @property
    def label(self) -> str:
        """Its name as a figure."""
        return f"adaptive (to {self.threshold:g}, at most {self.max_samples})"

    @property
    def size(self) -> int:
        """The most samples that it may use."""
        return self.max_samples

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered; unknown where the record ends before the vote is stable."""
        draws = order.draws(pool)
        most = min(self.max_samples, draws.codes.shape[2])
        first, second = draws.votes.first[:, :, :most], draws.votes.second[:, :, :most]
        stable = (_stabilities(most)[first, second] >= self.threshold) & (first > 0)
        stable[:, :, : self.min_samples - 1] = False
        seen = np.where(stable.any(axis=2), stable.argmax(axis=2) + 1, self.max_samples)
        used = np.minimum(-(-seen // self.batch) * self.batch, self.max_samples)
        return draws.outcome(*draws.voted(seen), used, batch=self.batch)


@lru_cache(maxsize=4)
def _stabilities(most: int) -> Numbers:
    """The rule at every pair of leading counts."""
    table = np.zeros((most + 1, most + 1))
    for first in range(1, most + 1):
        for second in range(min(first, most - first) + 1):
            table[first, second] = beta_stability({"a": first, "b": second} if second else {"a": first})
    return table
