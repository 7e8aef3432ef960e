"""A pool of recorded samples as arrays: what estimators, policies and charts of independent samples work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tttlab.errors import OptionError, nearest

ABSTAINED = -1
NO_SAMPLE = -2

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """P problems with up to N independent samples each, in the order in which they were drawn.

    Arrays are P x N; where a problem has fewer samples than the most, its row ends in places without a sample.
    """

    problems: tuple[str, ...]
    """Ids, P of them."""
    counts: NDArray[np.int64]
    """How many samples each problem has."""
    answers: NDArray[np.int32]
    """The code of each answer within its problem; `ABSTAINED`, or `NO_SAMPLE`."""
    values: tuple[tuple[str, ...], ...]
    """For each problem, the answer that each code stands for."""
    correct: Flags
    """False for abstentions, and where there is no sample."""
    scores: Mapping[str, Numbers]
    """By name, such as `mean_logprob` or a verifier's; NaN where a sample has none."""
    costs: Mapping[str, Numbers]
    """By unit: tokens, prompt_tokens, output_tokens, seconds, dollars, calls, flops; NaN where unknown."""
    models: tuple[str, ...] = ()
    """Who gave the samples."""

    def __post_init__(self) -> None:
        shape = (len(self.problems), int(self.counts.max(initial=0)))
        if not self.problems or shape[1] == 0:
            raise OptionError("a pool needs at least one problem with at least one sample")
        arrays = {"answers": self.answers, "correct": self.correct, **self.scores, **self.costs}
        for name, array in arrays.items():
            if array.shape != shape:
                raise OptionError(
                    f"the pool's {name} have the shape {array.shape}, and its problems and counts {shape}"
                )

    @property
    def samples(self) -> int:
        """How many samples every problem has: the smallest count."""
        return int(self.counts.min())

    @property
    def drawn(self) -> Flags:
        """Where there is a sample, an abstention included."""
        there: Flags = self.answers != NO_SAMPLE
        return there

    def score(self, name: str) -> Numbers:
        """The scores of that name. Raises `OptionError` with the nearest names."""
        return _named(self.scores, name, "score")

    def cost(self, unit: str) -> Numbers:
        """The costs in that unit. Raises `OptionError` with the nearest units."""
        return _named(self.costs, unit, "cost")

    def of_problems(self, chosen: Sequence[int]) -> Pool:
        """The pool of these problems, by their places; one may be there twice."""
        rows = np.asarray(chosen, dtype=np.intp)
        return self._part(rows, self.counts[rows])

    def first(self, samples: int) -> Pool:
        """The first samples of each problem. Raises `OptionError` where a problem has fewer, naming it."""
        if samples < 1:
            raise OptionError(f"cannot take the first {samples} samples: ask for at least 1")
        if self.samples < samples:
            fewest = int(self.counts.argmin())
            raise OptionError(
                f"the problem {self.problems[fewest]!r:.80} has {self.samples:,} samples, and not {samples:,}"
            )
        return self._part(np.arange(len(self.problems)), np.full_like(self.counts, samples))

    def _part(self, rows: NDArray[np.intp], counts: NDArray[np.int64]) -> Pool:
        place = np.ix_(rows, np.arange(counts.max(initial=0)))
        return Pool(
            problems=tuple(self.problems[row] for row in rows),
            counts=counts,
            answers=self.answers[place],
            values=tuple(self.values[row] for row in rows),
            correct=self.correct[place],
            scores={name: array[place] for name, array in self.scores.items()},
            costs={unit: array[place] for unit, array in self.costs.items()},
            models=self.models,
        )


def _named(arrays: Mapping[str, Numbers], name: str, kind: str) -> Numbers:
    if name not in arrays:
        raise OptionError(f"the pool has no {kind} {name!r}{nearest(name, arrays)}")
    return arrays[name]
