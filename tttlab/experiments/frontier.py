"""What accuracy costs: policies of many sizes replayed on one pool, and which of them nothing else beats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tttlab.budget import Budget
from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest
from tttlab.experiments.intervals import Interval, bootstrap, bootstraps, difference
from tttlab.experiments.policies import Policy, SingleSample
from tttlab.experiments.policies.order import SUBSETS
from tttlab.experiments.pool import Numbers, Pool
from tttlab.experiments.replaying import Replayed, replayed

if TYPE_CHECKING:
    import pyarrow as pa

_EQUAL = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """One policy at one size: what it would have answered right, and what it would have cost."""

    policy: Policy
    accuracy: Interval
    """The share of problems that it answers right, over its orders; NaN where that is not known: `note` says why."""
    cost: float
    """The mean a problem, in the frontier's unit."""
    costs: Mapping[str, float]
    """The mean a problem, in every unit."""
    samples: float
    """The mean number of samples a problem."""
    simulation_error: float
    """The standard error of the accuracy that is due to the number of orders alone."""
    within: float
    """The share of problems and orders in which the budget is kept; 1 without one."""
    difference: Interval
    """Of its accuracy from the baseline's, problem by problem."""
    on_frontier: bool
    """Nothing else is at least as accurate at no more cost, and better in one of the two.

    By the figures as they are: whether such a difference is more than chance, the intervals say.
    """
    dominated_by: str | None = None
    """The label of the most accurate policy that beats it."""
    note: str | None = None
    by_problem: Numbers = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """The policy with its size."""
        return self.policy.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Points from cheap to dear. Intervals resample problems, the orders averaged inside; differences are paired."""

    points: tuple[FrontierPoint, ...]
    unit: str
    baseline: str
    level: float
    problems: int
    subsets: int
    """Random orders of each problem's samples."""
    samples: int
    """Recorded of each problem, at least."""
    seed: int

    @property
    def best(self) -> tuple[FrontierPoint, ...]:
        """The points that nothing beats, from cheap to dear."""
        return tuple(point for point in self.points if point.on_frontier)

    @property
    def data(self) -> list[dict[str, Any]]:
        """One row a point, for charts and tables."""
        return [
            {
                "policy": point.policy.name,
                "label": point.label,
                "size": point.policy.size,
                "accuracy": point.accuracy.mean,
                "low": point.accuracy.low,
                "high": point.accuracy.high,
                "cost": point.cost,
                "unit": self.unit,
                "samples": point.samples,
                "on_frontier": point.on_frontier,
                "dominated_by": point.dominated_by,
                "baseline": self.baseline,
                "difference": point.difference.mean,
                "difference_low": point.difference.low,
                "difference_high": point.difference.high,
                "simulation_error": point.simulation_error,
                "within_budget": point.within,
                "problems": self.problems,
                "level": self.level,
                "note": point.note,
            }
            for point in self.points
        ]

    def table(self) -> pa.Table:
        """The rows as an Arrow table."""
        import pyarrow as pa

        rows = self.data
        texts = ("policy", "label", "unit", "dominated_by", "baseline", "note")
        kinds = {name: pa.string() for name in texts} | {"on_frontier": pa.bool_()}
        kinds |= dict.fromkeys(("size", "problems"), pa.int64())
        return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.float64())) for name in rows[0]]))

    def __str__(self) -> str:
        width = max(len(point.label) for point in self.points)
        head = (
            f"{len(self.points)} policies on {self.problems} problems, {self.subsets} orders of at least "
            f"{self.samples} samples; {self.level:.0%} intervals over problems; difference to {self.baseline}"
        )
        lines = [head, f"{'':{width}}  {self.unit:>12}  {'accuracy':21}  difference"]
        for point in self.points:
            verdict = "on the frontier" if point.on_frontier else point.note or f"beaten by {point.dominated_by}"
            figures = f"{point.cost:12.4g}  {_said(point.accuracy):21}  {_said(point.difference, '+'):24}"
            lines.append(f"{point.label:{width}}  {figures}  {verdict}")
        return "\n".join(lines)


def frontier(
    pool: Pool,
    policies: Iterable[Policy],
    *,
    unit: str = "tokens",
    baseline: Policy | None = None,
    budget: str | Budget | None = None,
    subsets: int = SUBSETS,
    seed: int = 0,
    level: float = 0.95,
) -> Frontier:
    """Replay policies on a pool and compare what they answer right with what they cost, a problem, in `unit`.

    The unit is one of the pool's, or `latency`: seconds that a user waits. The baseline is one sample unless another
    policy is given. All policies see the same random orders. A policy that may use more samples than a problem has is
    NaN, with a note. With a `budget`, each point says how often it keeps it (`within`; seconds are those of latency).

    Raises `OptionError` where there are no policies, two alike, no such unit, or no such score.
    """
    at_least(1, subsets=subsets)
    listed, compared = list(policies), baseline or SingleSample()
    if not listed:
        raise OptionError("there are no policies to compare: give some, such as SelfConsistency(samples=8)")
    labels = [policy.label for policy in listed]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise OptionError(f"the policy {twice[0]!r} is given twice: give each once")
    results = replayed(pool, [compared, *listed], subsets=subsets, seed=seed, budget=Budget.of(budget))
    for policy, result in zip(listed, results[1:], strict=True):
        if unit not in result.costs:
            raise OptionError(f"{policy.label} has no costs in {unit!r}{nearest(unit, result.costs)}")
    accuracies = bootstraps(np.stack([result.accuracy for result in results[1:]], axis=1), level=level, seed=seed)
    points = [
        _point(
            policy,
            result,
            accuracy,
            _from_baseline(result, results[0], level, seed, itself=policy == compared),
            unit=unit,
            subsets=subsets,
        )
        for policy, result, accuracy in zip(listed, results[1:], accuracies, strict=True)
    ]
    judged = [_judged(point, points) for point in points]
    return Frontier(
        points=tuple(sorted(judged, key=lambda point: (math.isnan(point.cost), point.cost, -point.accuracy.mean))),
        unit=unit,
        baseline=compared.label,
        level=level,
        problems=len(pool.problems),
        subsets=subsets,
        samples=pool.samples,
        seed=seed,
    )


def _from_baseline(result: Replayed, baseline: Replayed, level: float, seed: int, *, itself: bool) -> Interval:
    if itself:
        return Interval(0.0, 0.0, 0.0, len(result.accuracy), level, "the baseline itself")
    if np.isnan(result.accuracy).any() or np.isnan(baseline.accuracy).any():
        return bootstrap(result.accuracy - baseline.accuracy, level=level, seed=seed)
    return difference(result.accuracy, baseline.accuracy, level=level, seed=seed)


def _point(
    policy: Policy, result: Replayed, accuracy: Interval, from_baseline: Interval, *, unit: str, subsets: int
) -> FrontierPoint:
    problems = len(result.accuracy)
    costs = {name: float(cost.mean()) for name, cost in result.costs.items()}
    note = None
    if unknown := int(np.isnan(result.accuracy).sum()):
        note = f"not known: {unknown} of {problems} problems have too few samples for it"
    elif math.isnan(costs[unit]):
        note = f"not known: what it costs in {unit} was not recorded"
    elif problems == 1:
        note = "one problem says nothing about others: there is no interval"
    return FrontierPoint(
        policy=policy,
        accuracy=accuracy,
        cost=costs[unit],
        costs=costs,
        samples=float(result.samples.mean()),
        simulation_error=math.sqrt(float(result.variance.sum()) / subsets) / problems,
        within=float(result.within.mean()),
        difference=from_baseline,
        on_frontier=False,
        note=note,
        by_problem=result.accuracy,
    )


def _judged(point: FrontierPoint, points: Sequence[FrontierPoint]) -> FrontierPoint:
    """The point with whether anything beats it; one that is not known neither beats nor is beaten."""
    if math.isnan(point.cost) or math.isnan(point.accuracy.mean):
        return point
    above = [other for other in points if _beats(other, point)]
    best = max(above, key=lambda other: (other.accuracy.mean, -other.cost), default=None)
    return replace(point, on_frontier=best is None, dominated_by=best.label if best else None)


def _beats(one: FrontierPoint, other: FrontierPoint) -> bool:
    if math.isnan(one.cost) or math.isnan(one.accuracy.mean):
        return False
    more, less = one.accuracy.mean - other.accuracy.mean, other.cost - one.cost
    rounding = _EQUAL * max(1.0, abs(other.cost))
    return more >= -_EQUAL and less >= -rounding and (more > _EQUAL or less > rounding)


def _said(interval: Interval, sign: str = "") -> str:
    if math.isnan(interval.mean):
        return "not known"
    ends = "" if math.isnan(interval.low) else f" [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"
    return f"{interval.mean:{sign}.3f}{ends}"
