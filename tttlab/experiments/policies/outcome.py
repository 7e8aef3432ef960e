"""What a policy would have answered, and what it would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tttlab.experiments.pool import Numbers, Pool

if TYPE_CHECKING:
    from tttlab.experiments.policies.order import Order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Of each of P problems in each of S orders. Arrays are P x S.

    Where the record ends before the policy does, the answer is `NO_SAMPLE` and every number is NaN: unknown, not wrong.
    """

    values: tuple[tuple[str, ...], ...]
    """For each problem, the answer that each code stands for."""
    answer: NDArray[np.int32]
    """The code of the answer that the strategy would give, of tied ones the first seen; `ABSTAINED` for none."""
    correct: Numbers
    """How right it is: tied answers count in equal parts, so this is an expectation; an abstention is 0."""
    samples: Numbers
    """How many samples are used, and so charged."""
    costs: Mapping[str, Numbers]
    """By unit, all that is charged: the units of the pool, and `latency`, in seconds."""

    @property
    def accuracy(self) -> Numbers:
        """Of each problem, over its orders: NaN where any of them is unknown."""
        means: Numbers = self.correct.mean(axis=1)
        return means

    def said(self, problem: int, subset: int) -> str | None:
        """The answer's words; None for an abstention, and where it is not known."""
        code = int(self.answer[problem, subset])
        return self.values[problem][code] if code >= 0 else None


class Policy(Protocol):
    """A rule that says from recorded samples alone what to answer and when to stop. None sees what is right."""

    @property
    def name(self) -> str:
        """Of the strategy that it replays."""
        ...

    @property
    def label(self) -> str:
        """The rule with its size, as a figure is named: `maj@8`."""
        ...

    @property
    def size(self) -> int:
        """The most samples that it may use."""
        ...

    def replay(self, pool: Pool, order: Order) -> Outcome:
        """What it would have answered, in each order of each problem's samples."""
        ...
