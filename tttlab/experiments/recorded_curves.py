"""Curves of recorded runs, and the same question in SQL: accuracy against compute, from `runs` and `answers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from tttlab.errors import OptionError, nearest
from tttlab.experiments.asked import opened, runs_asked
from tttlab.experiments.equal_compute import Curve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.run import Run

Cost = Literal["spent", "basis"]

UNITS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "tokens": {"spent": "answers.spent_tokens", "basis": "answers.basis_tokens"},
        "output_tokens": {"spent": "answers.spent_output_tokens", "basis": "answers.basis_output_tokens"},
        "prompt_tokens": {
            "spent": "answers.spent_prompt_tokens",
            "basis": "answers.basis_tokens - answers.basis_output_tokens",
        },
        "thinking_tokens": {"spent": "answers.spent_thinking_tokens", "basis": "answers.basis_thinking_tokens"},
        "calls": {"spent": "answers.spent_calls", "basis": "answers.basis_calls"},
        "dollars": {"spent": "answers.spent_dollars", "basis": "answers.basis_dollars"},
        "seconds": {"spent": "answers.seconds"},
        "flops": {
            "spent": "answers.spent_tokens * computed.flops_a_token",
            "basis": "answers.basis_tokens * computed.flops_a_token",
        },
    }
)
"""What each unit is at a proposal. FLOPs are those of the run's calls, spread evenly over its tokens."""

_TOTALS = {
    "seconds": "runs.seconds", "flops": "computed.flops", "calls": "runs.calls", "dollars": "runs.dollars",
    "tokens": "runs.tokens", "output_tokens": "runs.output_tokens", "prompt_tokens": "runs.prompt_tokens",
    "thinking_tokens": "runs.thinking_tokens",
}  # fmt: skip

_COMPUTED = """(
    SELECT run_id, CASE WHEN count(flops) = count(*) THEN sum(calls.flops) END AS flops,
        CASE WHEN count(flops) = count(*) THEN sum(calls.flops) / nullif(sum(tokens), 0) END AS flops_a_token
    FROM calls WHERE status <> 'incomplete' GROUP BY run_id
)"""

_STEPS = """
SELECT runs.run_id, runs.problem_id AS problem, {total} AS total,
    runs.reference IS NOT NULL OR runs."check" IS NOT NULL AS judged,
    answers.step, {cost} AS cost, answers.correct, answers.answer IS NOT NULL AS answered
FROM runs LEFT JOIN answers USING (run_id) {computed}
WHERE run_id IN (SELECT unnest($ids::VARCHAR[])) ORDER BY list_position($ids::VARCHAR[], run_id), answers.step
"""


def recorded_curves(
    *runs: Run | str, unit: str = "tokens", cost: Cost = "spent", connection: DuckDBPyConnection | None = None
) -> list[Curve]:
    """The curves of these runs, one each, with what had been `spent` or what an answer's `basis` cost.

    `spent` counts calls in flight; `basis` the calls that the answer rests on, so that parallel samples count one by
    one. Units: tokens, output_tokens, prompt_tokens, thinking_tokens, calls, dollars, seconds, flops. Raises
    `OptionError` for an unknown run or unit, a run without reference or check, and a cost that is not known.
    """
    expression = _cost_of(unit, cost)
    sql = _STEPS.format(
        cost=expression,
        total=_TOTALS[unit],
        computed=f"LEFT JOIN {_COMPUTED} AS computed USING (run_id)" if unit == "flops" else "",
    )
    with opened(connection) as store:
        ids = [str(run["run_id"]) for run in runs_asked(store, runs)]
        rows = store.rows(sql, ids=ids)
    of: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        of.setdefault(str(row["run_id"]), []).append(row)
    return [_curve(run, found, unit) for run, found in of.items()]


def _cost_of(unit: str, cost: str) -> str:
    if unit not in UNITS:
        raise OptionError(f"there is no unit of compute {unit!r}{nearest(unit, UNITS)}")
    if cost not in UNITS[unit]:
        raise OptionError(f"a cost in {unit} is {' or '.join(map(repr, UNITS[unit]))}, not {cost!r}")
    return UNITS[unit][cost]


def _curve(run: str, rows: Sequence[Mapping[str, object]], unit: str) -> Curve:
    first = rows[0]
    if not first["judged"]:
        raise OptionError(f"the run {run} has no reference and no check: whether it was right is not known")
    steps = [row for row in rows if row["step"] is not None]
    if any(row["cost"] is None for row in steps):
        raise OptionError(f"the {unit} of the run {run} are not known: compare in another unit, such as tokens")
    return Curve(
        problem=str(first["problem"]),
        spent=np.array([row["cost"] for row in steps], dtype=np.float64),
        correct=np.array([bool(row["correct"]) for row in steps], dtype=np.bool_),
        answered=np.array([row["answered"] for row in steps], dtype=np.bool_),
        total=np.nan if first["total"] is None else float(str(first["total"])),
    )


_CASES = "\n            ".join(
    f"WHEN '{cost}_{unit}' THEN {expression}"
    for unit, costs in UNITS.items()
    if unit != "flops"
    for cost, expression in costs.items()
)

ACCURACY_AGAINST_COMPUTE = f"""
CREATE OR REPLACE MACRO accuracy_against_compute(compute, budgets) AS TABLE
WITH budget AS (SELECT unnest(budgets)::DOUBLE AS budget),
    asked AS (
        SELECT run_id, strategy, model, problem_id FROM runs WHERE reference IS NOT NULL OR "check" IS NOT NULL
    ),
    step AS (
        SELECT run_id, step, coalesce(correct, false) AS correct, answer IS NOT NULL AS answered,
            (CASE compute
            {_CASES}
            ELSE error('there is no compute ' || compute) END)::DOUBLE AS cost
        FROM answers
    ),
    stopped AS (
        SELECT run_id, budget, arg_max(correct, step) AS correct, arg_max(answered, step) AS answered
        FROM step JOIN budget ON cost <= budget GROUP BY run_id, budget
    ),
    unknown AS (SELECT DISTINCT run_id, true AS unknown FROM step WHERE cost IS NULL),
    each AS (
        SELECT strategy, model, problem_id, budget, count(*) AS runs, bool_or(unknown) AS unknown,
            avg(coalesce(correct, false)::INTEGER) AS correct, avg(coalesce(answered, false)::INTEGER) AS answered
        FROM asked CROSS JOIN budget LEFT JOIN stopped USING (run_id, budget) LEFT JOIN unknown USING (run_id)
        GROUP BY ALL
    )
SELECT strategy, model, budget, count(*) AS problems, sum(runs)::BIGINT AS runs,
    CASE WHEN bool_or(unknown) IS NULL THEN avg(correct) END AS accuracy,
    CASE WHEN bool_or(unknown) IS NULL THEN avg(answered) END AS answered
FROM each GROUP BY ALL ORDER BY strategy, model, budget
"""  # noqa: S608 - made of the expressions above alone
"""`accuracy_against_compute('spent_tokens', [100, 1000])`: a row a strategy, model and budget.

The answer of a run is its last proposal that costs at most the budget; none yet is wrong. Per problem, then over
problems. NULL where what some proposal cost is not known. Runs without reference and check are left out.
"""


def define_macros(connection: DuckDBPyConnection) -> None:
    """Make `accuracy_against_compute` a table function of the database behind this connection (`tttlab.connect()`)."""
    connection.execute(ACCURACY_AGAINST_COMPUTE)
