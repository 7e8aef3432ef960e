"""`-s auto`: choose a strategy and its size for a new problem from what was recorded of the same model."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tttlab.budget import Budget
from tttlab.errors import OptionError
from tttlab.experiments.frontier import Frontier, FrontierPoint, frontier
from tttlab.experiments.intervals import Interval, difference
from tttlab.experiments.policies import (
    AdaptiveConsistency,
    BestOfN,
    EarlyStoppingConsistency,
    Policy,
    SelfConsistency,
    SingleSample,
    WeightedVote,
)
from tttlab.experiments.policies.draws import LATENCY, LOGPROB
from tttlab.experiments.pool import Pool
from tttlab.experiments.pooling import pool_of
from tttlab.protocols import Strategy
from tttlab.store.queries import query
from tttlab.strategies import resolve_strategy
from tttlab.tracing import names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEAST_PROBLEMS = 10
LEAST_SAMPLES = 4
FEW_PROBLEMS = 30
"""Below this the reason says that the pool is small."""
FITS = 0.95
"""The share of recorded problems and orders in which a strategy has to keep the budget."""
_SIZES = (3, 5, 8, 12, 16, 24, 32, 40)
_WINDOWS = (3, 5)
_LEVEL = 0.95
_SHARE_WITH_ALL = 0.8
"""Of the problems, at least, that have as many samples as are used; the others are left out."""

# Strategies that draw a number of samples that no answer has a say in: others would have stopped where they agreed.
_RECORDED = """
SELECT runs.run_id, problem_id, runs.seed, calls, (parameters ->> '$.temperature')::DOUBLE AS temperature,
    (parameters ->> '$.max_tokens')::BIGINT AS max_tokens, spans.attributes ->> '$."{thinking}"' AS thinking
FROM runs JOIN spans USING (trace_id, span_key)
WHERE runs.model = $model AND runs.status = 'ok' AND runs.correct IS NOT NULL
    AND problem_id IS DISTINCT FROM $without AND ($sweep IS NULL OR labels ->> '$.sweep' = $sweep)
    AND CASE runs.strategy
        WHEN 'self_consistency' THEN parameters ->> '$.stop_early' IS DISTINCT FROM 'true'
        WHEN 'best_of_n' THEN parameters ->> '$.inner' IS NULL
        WHEN 'confidence_filtering' THEN parameters ->> '$.mode' = 'offline'
        ELSE false END
ORDER BY calls DESC, runs.run_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A strategy with its size, why it is this one, and what it was chosen from."""

    strategy: Strategy
    policy: Policy
    reason: str
    """One sentence, with its figures and how many problems they rest on."""
    frontier: Frontier
    """All that were compared; `frontier.table()` is an Arrow table of them."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A pool, and how its samples were drawn."""

    pool: Pool
    temperature: float = 0.7
    max_tokens: int = 512


def choose(
    model: str,
    budget: str | Budget | None = None,
    connection: DuckDBPyConnection | None = None,
    *,
    sweep: str | None = None,
    without: str | None = None,
    thinking: Mapping[str, str | int] | None = None,
    pool: Pool | None = None,
) -> Choice:
    """The strategy and its size for a new problem of the kind that is recorded, under a budget for that problem.

    It goes by what independent samples of `model` are recorded in the store with known correctness: all of them, those
    of one `sweep`, or a `pool`. `without` is the id of the problem that is to be solved: its own outcome has no say.
    Samples that were drawn otherwise are not mixed: those of the temperature, the room and the `thinking` (an `effort`
    or a `thinking_budget`, as `Plan.thinking` has them) that most have are taken, or those of the `thinking` given.

    Every size of a few policies is replayed on them, and of those that keep the budget in 19 of 20 cases the cheapest
    is taken that is not clearly less accurate than the best: the paired interval of their difference holds 0; or one
    that costs no more than that one and was right more often. A budget in seconds is held against the recorded waiting
    time. Without a budget everything fits.

    Raises `OptionError` where too little is recorded; it says what to record.
    """
    recorded = _recorded(model, sweep, without, thinking, connection) if pool is None else _Recorded(_even(pool, model))
    limits = Budget.of(budget)
    known = [item.name for item in fields(limits) if getattr(limits, item.name) is not None]
    units = [LATENCY if name == "seconds" else name for name in known] or ["tokens"]
    for unit in units:
        cost = recorded.pool.costs.get("seconds" if unit == LATENCY else unit)
        if cost is None or np.isnan(cost).any():
            raise OptionError(
                f"what the recorded samples of {model} cost in {unit} is not known: give a budget in tokens or calls"
            )
    compared = frontier(recorded.pool, candidates(recorded.pool), unit=units[0], budget=limits, level=_LEVEL)
    point, reason = _chosen(compared, model, limits)
    strategy = strategy_of(point.policy, temperature=recorded.temperature, max_tokens=recorded.max_tokens)
    return Choice(strategy=strategy, policy=point.policy, reason=reason, frontier=compared)


def candidates(pool: Pool) -> list[Policy]:
    """Every policy that has a strategy to go with it, at each size that the pool can tell of."""
    most = pool.samples
    sizes = sorted({size for size in _SIZES if size < most} | {most})
    found: list[Policy] = [SingleSample()]
    found += [SelfConsistency(samples=size) for size in sizes]
    found += [AdaptiveConsistency(max_samples=size) for size in sizes if size > LEAST_SAMPLES]
    found += [
        EarlyStoppingConsistency(window=window, max_samples=size)
        for window in _WINDOWS
        for size in sizes
        if size >= 2 * window
    ]
    if LOGPROB in pool.scores and np.isfinite(pool.score(LOGPROB)[pool.answers >= 0]).all():
        found += [kind(samples=size) for kind in (BestOfN, WeightedVote) for size in sizes]
    return found


def _chosen(compared: Frontier, model: str, limits: Budget) -> tuple[FrontierPoint, str]:
    known = [point for point in compared.points if not math.isnan(point.accuracy.mean)]
    fitting = [point for point in known if point.within >= FITS]
    [single] = [point for point in known if isinstance(point.policy, SingleSample)]
    on = f"on {compared.problems} recorded problems of {model} with {compared.samples} samples each"
    small = ", which are few: the intervals are wide" if compared.problems < FEW_PROBLEMS else ""
    if not fitting:
        return single, (
            f"one sample: nothing kept the budget of {limits} in {FITS:.0%} of cases {on}{small}, and one sample, which"
            f" costs {_cost(single, compared)}, did in {single.within:.0%}"
        )
    best = max(fitting, key=lambda point: (point.accuracy.mean, -point.cost))

    def lost(point: FrontierPoint) -> Interval:
        return difference(best.by_problem, point.by_problem, level=compared.level, seed=compared.seed)

    alike = [point for point in fitting if point is best or (point.cost <= best.cost and lost(point).low <= 0)]
    cheapest = min(alike, key=lambda point: (point.cost, -point.accuracy.mean))
    # One that is a sure step below the best may still be better than the cheapest that chance may have put below it.
    no_dearer = [point for point in fitting if point.cost <= cheapest.cost]
    taken = max(no_dearer, key=lambda point: (point.accuracy.mean, -point.cost))
    said = f"{taken.label}: {_percent(taken.accuracy)} right at {_cost(taken, compared)} {on}{small}"
    if taken is not single:
        said += f", against {_percent(single.accuracy)} for one sample (difference {_points(taken.difference)})"
    within = f" that keep {limits}" if str(limits) != "no limit" else ""
    if taken is best:
        return taken, f"{said}; the most accurate of {len(fitting)} policies{within}, and no cheaper one is as good"
    why = f"the difference of {_points(lost(taken))} may be chance, so the cheaper one is taken"
    if taken is not cheapest:
        why = f"{cheapest.label} may be as good for {_cost(cheapest, compared)}, and this one beats it for no more"
    return taken, (
        f"{said}; of {len(fitting)} policies{within} {best.label} was the most accurate, {best.accuracy.mean:.0%} at "
        f"{_cost(best, compared)}, but {why}"
    )


def _percent(interval: Interval) -> str:
    return f"{interval.mean:.0%} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def _points(interval: Interval) -> str:
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.mean:+.0f} points [{low:+.0f}, {high:+.0f}]"


def _cost(point: FrontierPoint, compared: Frontier) -> str:
    if compared.unit == "dollars":
        return f"${point.cost:.3g} a problem"
    return f"{point.cost:,.3g} {'s' if compared.unit == LATENCY else compared.unit} a problem"


def strategy_of(policy: Policy, *, temperature: float, max_tokens: int) -> Strategy:
    """The strategy that a policy replays, with the sampling of the samples that it is judged by."""
    told: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
    if not isinstance(policy, SingleSample):
        told |= {
            item.name: getattr(policy, item.name)
            for item in fields(policy)  # type: ignore[arg-type]  # every policy is a dataclass
            if item.name not in ("score", "verdict")
        }
    if isinstance(policy, WeightedVote):
        told["selection"] = "weighted"
    return resolve_strategy(policy.name, told)


def _recorded(
    model: str,
    sweep: str | None,
    without: str | None,
    thinking: Mapping[str, str | int] | None,
    connection: DuckDBPyConnection | None,
) -> _Recorded:
    from tttlab.recording import connect

    with closing(connect() if connection is None else connection.cursor()) as opened:
        asked = {"model": model, "sweep": sweep, "without": without}
        rows: list[dict[str, Any]] = query(opened, _RECORDED.format(thinking=names.RUN_THINKING), asked).to_pylist()
        kept = _alike(rows, thinking)
        if not kept:
            raise _too_little(model, 0, 0, sweep)
        pool = pool_of([row["run_id"] for row in kept], connection=opened)
    return _Recorded(_even(pool, model, sweep), kept[0]["temperature"], kept[0]["max_tokens"])


def _alike(rows: Sequence[dict[str, Any]], thinking: Mapping[str, str | int] | None) -> list[dict[str, Any]]:
    """The runs with the sampling that most samples have; of runs with one problem and seed the largest alone.

    Such runs share their first samples, which would else count twice.
    """
    groups: dict[tuple[Any, ...], dict[tuple[str, int], dict[str, Any]]] = defaultdict(dict)
    for row in rows:  # the largest first
        told = json.loads(row["thinking"] or "{}")
        if thinking is None or told == dict(thinking):
            sampling = (row["temperature"], row["max_tokens"], *sorted(told.items()))
            groups[sampling].setdefault((row["problem_id"], row["seed"]), row)
    most = max(groups.values(), key=lambda group: sum(row["calls"] for row in group.values()), default={})
    return list(most.values())


def _even(pool: Pool, model: str, sweep: str | None = None) -> Pool:
    """As many samples of each problem as most problems have. Raises `OptionError` where that is too little."""
    enough = np.sort(pool.counts[pool.counts >= LEAST_SAMPLES])
    if len(enough) < LEAST_PROBLEMS:
        raise _too_little(model, len(pool.problems), int(np.median(pool.counts)), sweep)
    spare = min(round((1 - _SHARE_WITH_ALL) * len(enough)), len(enough) - LEAST_PROBLEMS)
    size = int(enough[spare])
    return pool.of_problems(np.flatnonzero(pool.counts >= size).tolist()).first(size)


def _too_little(model: str, problems: int, samples: int, sweep: str | None) -> OptionError:
    where = f" in the sweep {sweep!r}" if sweep else ""
    has = f"{problems} problems with about {samples} independent samples" if problems else "no independent samples"
    return OptionError(
        f"auto has too little to choose by: of {model} there are {has} of known correctness{where}; record at least"
        f" {LEAST_PROBLEMS} problems with references first (better {FEW_PROBLEMS} or more), each with"
        " strategy='self_consistency', samples=16"
    )
