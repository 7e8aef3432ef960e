"""The rule `posterior` of `tttlab.allocation`, replayed on recorded samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from tttlab.allocation.rules import Ballot, Standing, is_satisfied, priority
from tttlab.experiments.grouped_shares import Curves, Spread
from tttlab.experiments.policies.draws import Draws

RULE = "posterior"


def spread_by_posterior(
    draws: Draws, curves: Curves, budgets: Sequence[float], *, least: int, threshold: float
) -> list[Spread]:
    """Spend budgets (ascending, the mean a problem) sample by sample, each where the rule says, order by order.

    Like `tttlab.allocate` with a batch of 1: `least` samples of each problem, then wherever the next may add most to
    the stability of a vote for its predicted cost, the mean of the problem's own so far. A problem is left once its
    vote is stable, or it has no more samples. The sample that would pass the budget is not drawn.
    """
    problems, subsets = draws.codes.shape[:2]
    taken = np.empty((len(budgets), problems, subsets), dtype=np.int64)
    for order in range(subsets):
        taken[:, :, order] = _trajectory(
            draws.codes[:, order].tolist(),
            curves.spent[:, order].tolist(),
            [each * problems for each in budgets],
            least,
            threshold,
        )
    found = []
    for counts in taken:
        place = counts[:, :, None]
        correct, spent = (np.take_along_axis(array, place, axis=2)[:, :, 0] for array in (curves.correct, curves.spent))
        found.append(Spread(correct=correct, samples=counts.astype(np.float64), spent=spent))
    return found


def _trajectory(
    codes: list[list[int]], spent: list[list[float]], totals: Sequence[float], least: int, threshold: float
) -> NDArray[np.int64]:
    """How many samples each problem has when each of the totals, ascending, is spent."""
    taken = [least] * len(codes)
    votes = [_counted(said[:least]) for said in codes]
    used, reached = sum(cost[least] for cost in spent), list[list[int]]()
    queue = [
        (-urgency, place)
        for place in range(len(codes))
        if (urgency := _urgency(votes[place], spent[place], taken[place], len(codes[place]), threshold)) is not None
    ]
    heapify(queue)
    while queue and len(reached) < len(totals):
        _, place = queue[0]
        drawn = taken[place]
        cost = spent[place][drawn + 1] - spent[place][drawn]
        while len(reached) < len(totals) and used + cost > totals[len(reached)] * (1 + 1e-12):
            reached.append(list(taken))
        heappop(queue)
        used += cost
        taken[place] += 1
        if (code := codes[place][drawn]) >= 0:
            votes[place][code] = votes[place].get(code, 0) + 1
        urgency = _urgency(votes[place], spent[place], taken[place], len(codes[place]), threshold)
        if urgency is not None:
            heappush(queue, (-urgency, place))
    reached += [list(taken)] * (len(totals) - len(reached))
    return np.array(reached, dtype=np.int64)


def _counted(codes: Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for code in codes:
        if code >= 0:
            counts[code] = counts.get(code, 0) + 1
    return counts


def _urgency(votes: dict[int, int], spent: Sequence[float], drawn: int, most: int, threshold: float) -> float | None:
    """The rule's priority of a problem's next sample; None where it is to have no more."""
    if drawn >= most:
        return None
    urgency = _priority(tuple(sorted(votes.values(), reverse=True)), drawn, threshold)
    return None if urgency is None else urgency / (spent[drawn] / drawn or 1.0)


@lru_cache(maxsize=200_000)
def _priority(counts: tuple[int, ...], seen: int, threshold: float) -> float | None:
    """At a cost of 1. Votes without their names are all that the rule looks at, and come again and again."""
    standing = Standing(ballot=Ballot(votes={str(place): votes for place, votes in enumerate(counts)}, seen=seen))
    return None if is_satisfied(RULE, standing, threshold) else priority(RULE, standing)
