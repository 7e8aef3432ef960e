"""What the store has of a sweep already: its finished runs, what may serve again, and what it cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tttlab.experiments.sweeps.cells import Cell
from tttlab.experiments.sweeps.swept import SweptRun
from tttlab.plan import Plan
from tttlab.protocols import digest_of
from tttlab.recording import flush
from tttlab.store.bundles import is_bundle
from tttlab.store.columns import as_json, storable
from tttlab.store.recorded import recorded_run
from tttlab.types import Problem, Usage

_OF_SWEEP = """
SELECT run_id, trace_id, span_key, status, strategy, model, start_ns, end_ns, prompt_tokens, cached_tokens,
    output_tokens, thinking_tokens, calls, dollars, attributes, seed, answer, correct,
    attributes ->> '$."tttlab.problem.prompt"' AS prompt
FROM stored_spans
WHERE operation = 'invoke_workflow' AND end_ns IS NOT NULL AND status IN ('ok', 'budget')
    AND attributes ->> '$."tttlab.run.labels".sweep' = $sweep
ORDER BY start_ns, run_id
"""
_KNOWN = """
SELECT DISTINCT attributes ->> '$."tttlab.problem.prompt"' AS prompt, seed FROM stored_spans
WHERE operation = 'invoke_workflow' AND list_contains($seeds, seed)
    AND attributes ->> '$."tttlab.problem.prompt"' IN (SELECT unnest($prompts))
"""
_SPENT = """
SELECT coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens,
    coalesce(sum(cached_tokens), 0)::BIGINT AS cached_tokens,
    coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens,
    coalesce(sum(thinking_tokens), 0)::BIGINT AS thinking_tokens,
    count(*) AS calls, CASE WHEN count(dollars) = count(*) THEN coalesce(sum(dollars), 0.0) END AS dollars
FROM stored_spans
WHERE operation = 'chat' AND end_ns IS NOT NULL AND (attributes ->> '$."tttlab.replay.of"') IS NULL AND run_id IN (
    SELECT run_id FROM stored_spans
    WHERE operation = 'invoke_workflow' AND attributes ->> '$."tttlab.run.labels".sweep' = $sweep
)
"""
_COSTS = """
SELECT strategy, model, attributes -> '$."tttlab.strategy.parameters"' AS parameters,
    attributes -> '$."tttlab.run.thinking"' AS thinking, attributes -> '$."tttlab.run.budget"' AS budget,
    count(*) AS runs, avg(prompt_tokens + output_tokens) AS tokens, avg(calls) AS calls,
    CASE WHEN count(dollars) = count(*) THEN avg(dollars) END AS dollars,
    avg((end_ns - start_ns) / 1e9) FILTER (coalesce((attributes ->> '$."tttlab.replay.calls"')::BIGINT, 0) = 0)
        AS seconds
FROM stored_spans
WHERE operation = 'invoke_workflow' AND end_ns IS NOT NULL AND status IN ('ok', 'budget')
    AND list_contains($models, model)
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run of a cell costs, as the mean of `runs`. Unknown is None."""

    runs: int
    tokens: float
    calls: float
    dollars: float | None
    seconds: float | None


class Record:
    """The store, asked before a sweep begins. Each of its methods is one query. They raise `StoreError`."""

    def __init__(self, store: Path) -> None:
        flush()
        self._store = store
        self._there = store.is_dir() or is_bundle(store.parent)

    def finished(
        self, sweep: str, cells: Sequence[Cell], problems: Sequence[Problem], seeds: Sequence[int]
    ) -> dict[tuple[int, str, int], SweptRun]:
        """The runs of the sweep that have come to their end and are still what is asked for, by their places.

        The latest of a place counts. A run does not count whose model is known to have had other weights. Nor do those
        of a strategy that its name and parameters do not tell wholly, such as a function of the user's, which may have
        been edited: these go through `think`, which compares their calls with what is recorded.
        """
        rows = self._ask(_OF_SWEEP, sweep=sweep)
        if not rows:
            return {}
        recorded = dict(map(_taken, rows))
        found = {}
        for cell in cells:
            if not cell.told_by_name:
                continue
            digest = digest_of(cell.planned.model)
            for problem in problems:
                for seed in seeds:
                    planned = cell.plan_of(problem, seed)
                    run = recorded.get(_key_of(planned))
                    if run is not None and digest in (None, run.digest or digest):
                        found[cell.index, problem.id, seed] = replace(run.swept, cell=cell.index)
        return found

    def known(self, prompts: Iterable[str], seeds: Sequence[int]) -> set[tuple[str, int]]:
        """The prompts and seeds of which something is recorded, in whatever run."""
        asked = {storable(prompt): prompt for prompt in prompts}
        rows = self._ask(_KNOWN, prompts=list(asked), seeds=list(seeds))
        return {(asked[row["prompt"]], row["seed"]) for row in rows}

    def spent(self, sweep: str) -> Usage:
        """What the calls of the sweep's runs cost; those that were served from their record cost nothing."""
        rows = self._ask(_SPENT, sweep=sweep)
        return Usage(**rows[0]) if rows else Usage()

    def costs(self, cells: Sequence[Cell]) -> dict[int, Means]:
        """What recorded runs of the same strategy, parameters and model cost, by cell."""
        rows = self._ask(_COSTS, models=sorted({cell.planned.model.name for cell in cells}))
        by_kind = {
            _canonical(
                row["strategy"], row["model"], *(json.loads(row[name] or "null") for name in ("parameters", *_LIMITS))
            ): row
            for row in rows
        }
        found = {}
        for cell in cells:
            said = cell.planned.identity()
            kind = _canonical(said["strategy"], said["model"], said["parameters"], said.get("thinking"), said["budget"])
            if (row := by_kind.get(kind)) is not None:
                found[cell.index] = Means(**{name: row[name] for name in Means.__slots__})
        return found

    def _ask(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        from tttlab.store.database import connect
        from tttlab.store.queries import query

        if not self._there:
            return []
        with closing(connect(self._store, views=False)) as connection:
            rows: list[dict[str, Any]] = query(connection, sql, values).to_pylist()
            return rows


_LIMITS = ("thinking", "budget")


@dataclass(frozen=True, slots=True)
class _Taken:
    """A finished run, and the digest of the weights that it had."""

    swept: SweptRun
    digest: str | None


def _taken(row: Mapping[str, Any]) -> tuple[bytes, _Taken]:
    run = recorded_run(row)
    swept = SweptRun(
        cell=-1,
        problem=run.plan["problem"],
        seed=row["seed"],
        id=run.run_id,
        status="budget" if run.status == "budget" else "ok",
        answer=row["answer"],
        correct=row["correct"],
        usage=run.usage,
        seconds=run.seconds,
    )
    return _key(run.plan, row["prompt"], row["seed"]), _Taken(swept, run.model_digest)


def _canonical(*parts: Any) -> str:
    return json.dumps(json.loads(as_json(list(parts))), sort_keys=True)


def _key(plan: Mapping[str, Any], prompt: str, seed: int) -> bytes:
    """What makes two runs the same run, digested: an index of many is to be small."""
    return hashlib.sha256(_canonical(dict(plan), prompt, seed).encode()).digest()[:16]


def _key_of(planned: Plan) -> bytes:
    return _key(planned.identity(), storable(planned.problem.prompt), planned.seed)
