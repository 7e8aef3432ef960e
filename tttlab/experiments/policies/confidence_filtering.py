"""A vote of the samples that score highest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.policies.draws import LOGPROB
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.policies.verdicts import verdict_costs
from tttlab.experiments.policies.voting import weighted_vote
from tttlab.experiments.pool import ABSTAINED, Numbers, Pool

_ROUNDING = 1e-9
"""Scores that differ by rounding alone are equal: whoever ties with the threshold is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceFiltering:
    """Filtered voting (DeepConf, offline; Fu et al., 2025), by any recorded score.

    Of the samples with an answer and a score those at or above the percentile 1 - `keep` vote: `weighted` by their
    scores (then those above 0 alone), or each as 1. Where no sample has a score, or none above 0 to weigh by, the
    majority decides. All `samples` are charged, kept or not, and a verdict on each as in `BestOfN`. It is the paper's
    rule, and that of the strategy of this name, where `score` is the trace's confidence.
    """

    name: ClassVar[str] = "confidence_filtering"
    samples: int = 16
    keep: float = 0.9
    score: str = LOGPROB
    weighted: bool = True
    verdict: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        if not 0 < self.keep <= 1:
            raise OptionError(f"keep={self.keep:g} cannot be kept: give a share above 0 and at most 1")

    @property
    def label(self) -> str:
        """Its name as a figure."""
        how = "weighted vote" if self.weighted else "vote"
        return f"{how} of the top {self.keep:.0%} of {self.samples} by {self.score}"

    @property
    def size(self) -> int:
        """The most samples that it uses."""
        return self.samples

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered. Raises `OptionError` where the pool has no such score."""
        draws = order.draws(pool)
        codes, scores = draws.codes[:, :, : self.samples], draws.weights(self.score, self.samples)
        least = _percentiles(scores, 1 - self.keep)
        # A NaN is at or above nothing.
        kept = scores >= (least - np.abs(least) * _ROUNDING)[:, :, None]
        usable = ~np.isnan(least)
        if self.weighted:
            kept &= scores > 0
            usable &= (np.nan_to_num(scores, nan=0.0) > 0).any(axis=2)
        weights = np.where(kept, scores if self.weighted else 1.0, 0.0)
        voting = np.where(kept | ~usable[:, :, None], codes, ABSTAINED).astype(np.int32)
        return draws.outcome(
            *weighted_vote(voting, weights, draws.right),
            draws.each(self.samples),
            verdicts=verdict_costs(draws, self.score, self.samples, self.verdict),
        )


def _percentiles(scores: Numbers, share: float) -> Numbers:
    """P x S: the value below which `share` of an order's scores lie, between two in proportion; NaN without scores."""
    ordered = np.sort(scores, axis=2)  # NaN last
    known = (~np.isnan(scores)).sum(axis=2)
    place = np.round(share * np.maximum(known - 1, 0), 9)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, np.maximum(known - 1, 0))
    low = np.take_along_axis(ordered, below[:, :, None], axis=2)[:, :, 0]
    high = np.take_along_axis(ordered, above[:, :, None], axis=2)[:, :, 0]
    between: Numbers = np.where(low == high, low, low + (high - low) * (place - below))
    return between
