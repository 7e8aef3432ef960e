"""How often an answer wins the vote of k samples, over all subsets of k: counted, not drawn."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_SAMPLES = 1000
"""Of more samples the number of subsets is beyond a float."""

Numbers = NDArray[np.float64]


@lru_cache(maxsize=4096)
def winning_shares(count: int, others: tuple[int, ...], abstained: int, most: int) -> Numbers:
    """The chance that an answer given `count` times wins among k samples, for k from 0 to `most`.

    `others` are the numbers of samples of the other answers, in falling order; a tie among t counts as 1 / t.
    Polynomials in x are counted: the factor of x^d is the number of ways to draw d samples.
    """
    total = count + sum(others) + abstained
    won = np.zeros(most + 1)
    for votes in range(1, min(count, most) + 1):
        reaching = [other for other in others if other >= votes]
        beaten = total - count - sum(reaching)
        ways = np.convolve(_shared(votes, reaching, most - votes), binomials(beaten, most - votes))
        won[votes:] += math.comb(count, votes) * ways[: most - votes + 1]
    return won / binomials(total, most)


def _shared(votes: int, reaching: list[int], most: int) -> Numbers:
    """Ways to draw from answers that have enough samples to reach `votes`, none above it; weighed by 1 / (ties + 1)."""
    tied_at_most = min(len(reaching), most // votes)
    # A row a number of ties. Rows are wide enough that one convolution of all of them in a line does not mix them.
    width = most + votes + 1
    ways = np.zeros((tied_at_most + 1, width))
    ways[0, 0] = 1
    for count in reaching:
        longer = np.convolve(ways.ravel(), binomials(count, votes - 1))[: ways.size].reshape(ways.shape)
        longer[1:, votes:] += math.comb(count, votes) * ways[:-1, :-votes]
        longer[:, most + 1 :] = 0
        ways = longer
    shared: Numbers = (1 / np.arange(1, tied_at_most + 2)) @ ways[:, : most + 1]
    return shared


@lru_cache(maxsize=4096)
def binomials(total: int, most: int) -> Numbers:
    """The number of subsets of each size from 0 to `most`."""
    return np.array([float(math.comb(total, size)) for size in range(most + 1)])
