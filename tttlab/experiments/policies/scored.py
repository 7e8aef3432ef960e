"""What policies take that go by a score of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.experiments.policies.draws import LOGPROB, Draws
from tttlab.experiments.policies.verdicts import verdict_costs
from tttlab.experiments.pool import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A number of samples, the name of their score, and what one verdict costs, by unit (see `verdict_costs`)."""

    samples: int = 16
    score: str = LOGPROB
    verdict: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)

    @property
    def size(self) -> int:
        """The most samples that it uses."""
        return self.samples

    def verdicts(self, draws: Draws) -> dict[str, Numbers]:
        """What scoring its samples costs, by unit."""
        return verdict_costs(draws, self.score, self.samples, self.verdict)
