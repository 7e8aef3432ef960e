"""The majority of k samples, at any k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tttlab.checks import at_least
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsistency:
    """The most frequent answer of `samples` samples (Wang et al., 2022): maj@k.

    Over all orders its mean is `estimators.majority_at_k`. All samples are asked at once and charged whole.
    """

    name: ClassVar[str] = "self_consistency"
    samples: int = 16

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)

    @property
    def label(self) -> str:
        """Its name as a figure."""
        return f"maj@{self.samples}"

    @property
    def size(self) -> int:
        """The most samples that it uses."""
        return self.samples

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered."""
        draws = order.draws(pool)
        used = draws.each(self.samples)
        return draws.outcome(*draws.voted(used), used)
