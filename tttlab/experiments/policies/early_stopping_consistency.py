"""Windows of samples until one is unanimous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tttlab.checks import at_least
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome
from tttlab.experiments.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStoppingConsistency:
    """Early-stopping self-consistency (ESC; Li et al., 2024), with the answer rule of the published code.

    Sampling ends after the first window of which all samples give one answer, and that is then the answer, whatever the
    majority; without such a window it is the majority of `max_samples`. A window with an abstention, or cut short by
    `max_samples`, is not unanimous. A window's samples are asked at once, and charged whole.
    """

    name: ClassVar[str] = "early_stopping_consistency"
    window: int = 5
    max_samples: int = 40

    def __post_init__(self) -> None:
        at_least(1, window=self.window, max_samples=self.max_samples)

    @property
    def label(self) -> str:
        """Its name as a figure."""
        return f"early stopping (window {self.window}, at most {self.max_samples})"

    @property
    def size(self) -> int:
        """The most samples that it may use."""
        return self.max_samples

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered; unknown where the record ends before a window is unanimous."""
        draws = order.draws(pool)
        whole = min(self.max_samples, draws.codes.shape[2]) // self.window
        windows = draws.codes[:, :, : whole * self.window].reshape(*draws.codes.shape[:2], whole, self.window)
        agreed = (windows >= 0).all(axis=3) & (windows == windows[..., :1]).all(axis=3)
        answer, correct = draws.voted(draws.each(self.max_samples))
        if not whole:
            return draws.outcome(answer, correct, draws.each(self.max_samples), batch=self.window)
        stops, at = agreed.any(axis=2), agreed.argmax(axis=2)
        said = np.take_along_axis(windows[..., 0], at[:, :, None], axis=2)[:, :, 0]
        right = np.take_along_axis(draws.right, np.maximum(said, 0), axis=1)
        return draws.outcome(
            np.where(stops, said, answer),
            np.where(stops, right, correct),
            np.where(stops, (at + 1) * self.window, self.max_samples),
            batch=self.window,
        )
