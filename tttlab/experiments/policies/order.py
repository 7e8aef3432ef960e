"""The orders in which a policy is given each problem's samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.policies.draws import Draws
from tttlab.experiments.pool import Pool

SUBSETS = 200
"""Random orders of each problem's samples, unless another number is given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """S orders of each problem's samples: `indices[p, s]` are the places of problem p's samples, first to last.

    Places without a sample stay at the end. A policy that uses k samples uses the first k: with random orders, S
    subsets of k, drawn without replacement.
    """

    problems: tuple[str, ...]
    indices: NDArray[np.intp]
    """P x S x N."""
    seed: int | None
    """From which random orders were drawn; None for the recorded one."""
    _drawn: list[Draws] = field(default_factory=list, repr=False)

    @classmethod
    def recorded(cls, pool: Pool) -> Self:
        """The one order in which the samples were recorded."""
        places = np.broadcast_to(np.arange(pool.answers.shape[1]), (len(pool.problems), 1, pool.answers.shape[1]))
        return cls(problems=pool.problems, indices=places, seed=None)

    @classmethod
    def random(cls, pool: Pool, *, subsets: int = SUBSETS, seed: int = 0, stream: int = 0) -> Self:
        """Random permutations of each problem's samples.

        Those of a problem depend on its id, the seed and the stream alone: other problems beside it change nothing.
        """
        at_least(1, subsets=subsets)
        at_least(0, seed=seed)
        places = np.broadcast_to(np.arange(pool.answers.shape[1]), (subsets, pool.answers.shape[1]))
        indices = np.empty((len(pool.problems), *places.shape), dtype=np.intp)
        for row, (problem, count) in enumerate(zip(pool.problems, pool.counts, strict=True)):
            generator = np.random.default_rng([seed, stream, crc32(problem.encode(errors="surrogatepass"))])
            indices[row] = places
            indices[row, :, :count] = generator.permuted(places[:, :count], axis=1)
        return cls(problems=pool.problems, indices=indices, seed=seed)

    @property
    def subsets(self) -> int:
        """How many orders there are of each problem's samples."""
        return int(self.indices.shape[1])

    def draws(self, pool: Pool) -> Draws:
        """The pool's samples in this order. Raises `OptionError` where it is the order of another pool."""
        if pool.problems != self.problems or pool.answers.shape[1] != self.indices.shape[2]:
            raise OptionError("the order is of other samples than the pool's: make it with Order.random(pool)")
        if not self._drawn or self._drawn[0].pool is not pool:
            # What one policy has counted serves the next.
            self._drawn[:] = [Draws(pool, self.indices)]
        return self._drawn[0]

    def beside(self, pool: Pool, stream: int) -> Self:
        """As many orders of another pool's samples of the same problems, independent of these."""
        if self.seed is None:
            return type(self).recorded(pool)
        return type(self).random(pool, subsets=self.subsets, seed=self.seed, stream=stream)
