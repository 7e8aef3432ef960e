"""One budget over many problems, replayed on a recorded pool: what each way of spreading it would have answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest
from tttlab.experiments.grouped_shares import Curves, Spread, spread_by_groups, spread_evenly
from tttlab.experiments.intervals import Interval, bootstrap, difference
from tttlab.experiments.policies import Order
from tttlab.experiments.policies.draws import Draws
from tttlab.experiments.pool import Pool
from tttlab.experiments.posterior_shares import spread_by_posterior

if TYPE_CHECKING:
    import pyarrow as pa

RULES = ("uniform", "oracle", "predicted", "posterior")
"""The same for all; by the true difficulty; by the first samples' disagreement; by the vote's posterior."""
BINS = 5
"""Of difficulty: a problem's share of right samples, in fifths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationPoint:
    """One rule under one total budget."""

    rule: str
    budget: float
    """The total, divided by the number of problems."""
    spent: float
    """The mean a problem: less than the budget where the rule had no use for more."""
    accuracy: Interval
    difference: Interval
    """Of its accuracy from that of `uniform`, problem by problem."""
    samples: tuple[float, ...]
    """The mean number a problem, by bin of difficulty; NaN where the bin has no problems."""
    shares: tuple[float, ...]
    """Of all samples, by bin of difficulty."""
    simulation_error: float
    """The standard error of the accuracy that is due to the number of orders alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAllocation:
    """What rules would have made of total budgets. Intervals resample problems, with the shares as they were."""

    points: tuple[AllocationPoint, ...]
    unit: str
    bins: tuple[str, ...]
    """Of difficulty, hardest first: the share of a problem's samples that are right."""
    problems_by_bin: tuple[int, ...]
    problems: int
    samples: int
    """Of each problem, that are used."""
    subsets: int
    level: float
    seed: int

    @property
    def data(self) -> list[dict[str, Any]]:
        """One row a rule and a budget, for charts of accuracy."""
        return [
            {
                "rule": point.rule,
                "budget": point.budget,
                "unit": self.unit,
                "spent": point.spent,
                "accuracy": point.accuracy.mean,
                "low": point.accuracy.low,
                "high": point.accuracy.high,
                "difference": point.difference.mean,
                "difference_low": point.difference.low,
                "difference_high": point.difference.high,
                "simulation_error": point.simulation_error,
                "problems": self.problems,
                "level": self.level,
            }
            for point in self.points
        ]

    @property
    def by_difficulty(self) -> list[dict[str, Any]]:
        """One row a rule, a budget and a bin of difficulty, for charts of who got what."""
        return [
            {
                "rule": point.rule,
                "budget": point.budget,
                "unit": self.unit,
                "difficulty": name,
                "problems": count,
                "samples": samples,
                "share": share,
            }
            for point in self.points
            for name, count, samples, share in zip(
                self.bins, self.problems_by_bin, point.samples, point.shares, strict=True
            )
        ]

    def table(self) -> pa.Table:
        """The rows of `data` as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.data)


def allocate_recorded(  # noqa: PLR0913 - each is an option of its own, by its name
    pool: Pool,
    budgets: Sequence[float],
    *,
    unit: str = "calls",
    rules: Sequence[str] = RULES,
    minimum: int = 2,
    threshold: float = 0.95,
    subsets: int = 20,
    seed: int = 0,
    level: float = 0.95,
) -> RecordedAllocation:
    """Spread total budgets over the pool's problems by each rule, in random orders of their samples.

    A budget is the mean a problem, in `unit`; the answer is the majority of what a problem got.

    - `uniform`: as many samples for every problem.
    - `oracle`: by fifths of the true difficulty, the share of a problem's samples that are right. No one could follow
      it: it says what knowing the difficulty would be worth.
    - `predicted`: by how many of the first `minimum` samples agree, which are charged (the groups are those of
      `allocation.rules.disagreement`).
    - `posterior`: the rule of `tttlab.allocate`, up to `threshold`, after `minimum` samples of each.

    How much a group of `oracle` or `predicted` gets is learned from the half of the problems that the problem is not in
    (Snell et al., 2024), so no problem's outcome sets its own share. Where problems have unequal counts the first of
    each are used, as many as all have. Raises `OptionError` for what cannot be used, such as a budget without room for
    the minimum.
    """
    for rule in rules:
        if rule not in RULES:
            raise OptionError(f"no rule of allocation is named {rule!r}{nearest(str(rule), RULES)}")
    at_least(1, **{"the minimum of samples": minimum}, subsets=subsets)
    at_least(0, threshold=threshold)
    if len(pool.problems) < 2:  # noqa: PLR2004 - of which one gets what the other does not
        raise OptionError("one problem leaves nothing to allocate: give a pool of several")
    even = pool.first(pool.samples)
    if minimum > even.samples:
        raise OptionError(f"the minimum of {minimum} samples is more than the {even.samples} that every problem has")
    draws = Order.random(even, subsets=subsets, seed=seed).draws(even)
    spent = draws.spent(unit)
    if np.isnan(spent).any():
        raise OptionError(f"what some samples cost in {unit} was not recorded: choose another unit")
    curves = Curves(correct=np.concatenate([np.zeros((*spent.shape[:2], 1)), draws.votes.correct], axis=2), spent=spent)
    listed = _budgets(budgets, curves, minimum, unit)
    difficulty = np.minimum((even.correct.mean(axis=1) * BINS).astype(np.int64), BINS - 1)
    spreads = {
        rule: _spreads(rule, draws, curves, listed, difficulty, minimum=minimum, threshold=threshold, seed=seed)
        for rule in dict.fromkeys(("uniform", *rules))
    }
    sizes = np.bincount(difficulty, minlength=BINS)
    return RecordedAllocation(
        points=tuple(
            _point(rule, budget, spreads[rule][place], spreads["uniform"][place], difficulty, level, seed)
            for rule in dict.fromkeys(rules)
            for place, budget in enumerate(listed)
        ),
        unit=unit,
        bins=tuple(f"{place / BINS:.0%} to {(place + 1) / BINS:.0%} right" for place in range(BINS)),
        problems_by_bin=tuple(int(size) for size in sizes),
        problems=len(even.problems),
        samples=even.samples,
        subsets=subsets,
        level=level,
        seed=seed,
    )


def _budgets(given: Sequence[float], curves: Curves, minimum: int, unit: str) -> list[float]:
    listed = sorted(dict.fromkeys(float(each) for each in given))
    if not listed:
        raise OptionError("there is no budget to allocate: give budgets, the mean a problem, such as [2, 4, 8]")
    needed = float(curves.spent[:, :, minimum].mean(axis=0).max())
    # A NaN is below nothing, and no budget.
    if not listed[0] >= needed * (1 - 1e-12):
        raise OptionError(
            f"a budget of {listed[0]:g} {unit} a problem has no room for {minimum} samples of each: "
            f"give at least {needed:g}, or a smaller minimum"
        )
    return listed


def _spreads(
    rule: str,
    draws: Draws,
    curves: Curves,
    budgets: Sequence[float],
    difficulty: NDArray[np.int64],
    *,
    minimum: int,
    threshold: float,
    seed: int,
) -> list[Spread]:
    if rule == "uniform":
        return spread_evenly(curves, budgets)
    if rule == "posterior":
        return spread_by_posterior(draws, curves, budgets, least=minimum, threshold=threshold)
    places = np.random.default_rng(seed).permutation(len(difficulty))
    if rule == "oracle":
        groups = np.broadcast_to(difficulty[:, None], curves.spent.shape[:2])
        return spread_by_groups(curves, groups, places % 2, budgets, least=0)
    agreeing = draws.votes.first[:, :, minimum - 1].astype(np.int64)
    return spread_by_groups(curves, agreeing, places % 2, budgets, least=minimum)


def _point(
    rule: str,
    budget: float,
    spread: Spread,
    uniform: Spread,
    difficulty: NDArray[np.int64],
    level: float,
    seed: int,
) -> AllocationPoint:
    correct, samples = spread.correct.mean(axis=1), spread.samples.mean(axis=1)
    totals = np.bincount(difficulty, weights=samples, minlength=BINS)
    sizes = np.bincount(difficulty, minlength=BINS)
    by_order = spread.correct.mean(axis=0)
    orders = len(by_order)
    return AllocationPoint(
        rule=rule,
        budget=budget,
        spent=float(spread.spent.mean()),
        accuracy=bootstrap(correct, level=level, seed=seed),
        difference=Interval(0.0, 0.0, 0.0, len(correct), level, "uniform itself")
        if rule == "uniform"
        else difference(correct, uniform.correct.mean(axis=1), level=level, seed=seed),
        samples=tuple(
            float(each) if size else math.nan for each, size in zip(totals / np.maximum(sizes, 1), sizes, strict=True)
        ),
        shares=tuple(float(each) for each in totals / totals.sum()),
        simulation_error=float(by_order.std(ddof=1)) / math.sqrt(orders) if orders > 1 else math.nan,
    )
