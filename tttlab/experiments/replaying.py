"""Policies over a whole pool, a few problems at a time: what each gives per problem, averaged over its orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from tttlab.budget import Budget
from tttlab.experiments.policies import Order, Outcome, Policy
from tttlab.experiments.policies.draws import LATENCY
from tttlab.experiments.pool import Numbers, Pool

_AT_ONCE = 1_000_000
"""Samples that are replayed at once: more would take more memory and no less time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """What a policy gives on each of P problems."""

    accuracy: Numbers
    """Mean correctness over the orders; NaN where the record ends first in any of them."""
    variance: Numbers
    """Of the correctness over the orders."""
    samples: Numbers
    costs: Mapping[str, Numbers]
    """By unit, the mean over the orders."""
    within: Numbers
    """The share of orders in which it stays within the budget; 1 without one."""


def replayed(pool: Pool, policies: Sequence[Policy], *, subsets: int, seed: int, budget: Budget) -> list[Replayed]:
    """Each policy on every problem of the pool, all in the same random orders."""
    parts: list[list[Replayed]] = [[] for _ in policies]
    for part in _parts(pool, subsets):
        order = Order.random(part, subsets=subsets, seed=seed)
        for policy, found in zip(policies, parts, strict=True):
            found.append(_means(policy.replay(part, order), budget))
    return [_joined(found) for found in parts]


def _parts(pool: Pool, subsets: int) -> Iterator[Pool]:
    size = max(1, _AT_ONCE // (subsets * pool.answers.shape[1]))
    for start in range(0, len(pool.problems), size):
        yield pool.of_problems(range(start, min(start + size, len(pool.problems))))


def _means(outcome: Outcome, budget: Budget) -> Replayed:
    within = np.ones(outcome.correct.shape, dtype=np.bool_)
    for item in fields(budget):
        if (limit := getattr(budget, item.name)) is not None:
            unit = LATENCY if item.name == "seconds" else item.name
            cost = outcome.costs.get(unit)
            within &= np.zeros_like(within) if cost is None else cost <= limit
    return Replayed(
        accuracy=outcome.accuracy,
        variance=outcome.correct.var(axis=1),
        samples=outcome.samples.mean(axis=1),
        costs={unit: cost.mean(axis=1) for unit, cost in outcome.costs.items()},
        within=within.mean(axis=1),
    )


def _joined(parts: Sequence[Replayed]) -> Replayed:
    return Replayed(
        accuracy=np.concatenate([part.accuracy for part in parts]),
        variance=np.concatenate([part.variance for part in parts]),
        samples=np.concatenate([part.samples for part in parts]),
        costs={unit: np.concatenate([part.costs[unit] for part in parts]) for unit in parts[0].costs},
        within=np.concatenate([part.within for part in parts]),
    )
