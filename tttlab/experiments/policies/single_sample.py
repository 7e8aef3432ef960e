"""One sample, and its answer: what every other policy is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleSample:
    """The first sample's answer. Its accuracy is the mean of the samples, not that of a greedy answer."""

    name: ClassVar[str] = "direct"
    label: ClassVar[str] = "one sample"
    size: ClassVar[int] = 1

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered."""
        draws = order.draws(pool)
        used = draws.each(1)
        return draws.outcome(*draws.voted(used), used)
