"""Making a pool of what the store has recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from tttlab.answers import same_answer
from tttlab.errors import OptionError
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE, Pool
from tttlab.run import Run
from tttlab.store.queries import query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COSTS = ("tokens", "prompt_tokens", "output_tokens", "seconds", "dollars", "flops")
_SAMPLES = """
SELECT runs.problem_id, runs.reference, runs."check", calls.run_id, calls.answer, calls.text, calls.correct,
    calls.model, calls.mean_logprob, {costs}
FROM calls JOIN runs USING (run_id)
WHERE run_id IN (SELECT unnest($run_ids)) AND calls.status = 'ok' AND calls.role = 'generator'
    AND calls.channel_source = 'model'
ORDER BY list_position($run_ids, run_id), calls.branch, calls.ordinal
"""
_VERDICTS = """
SELECT run_id, verifier, candidate, avg(score) AS score FROM verdicts
WHERE run_id IN (SELECT unnest($run_ids)) AND score IS NOT NULL GROUP BY ALL
"""
_OF_SWEEP = "SELECT run_id FROM runs WHERE labels ->> '$.sweep' = $sweep ORDER BY run_id"


def pool_of(
    runs: Iterable[Run | str] | None = None, *, sweep: str | None = None, connection: DuckDBPyConnection | None = None
) -> Pool:
    """The samples behind these runs or ids, or behind all runs of a sweep, gathered by problem in the runs' order.

    A sample is a finished call of the role `generator` whose answer text is the model's own; an abstention is one. It
    is right as the view `calls` says. Its scores are its `mean_logprob`, and what verifiers said of its text or of its
    answer, under their names. What it costs is its own call; what its verification cost is not among it.
    Raises `OptionError` where there are no samples, or nothing says which are right.
    """
    from tttlab.recording import connect

    with closing(connect() if connection is None else connection.cursor()) as opened:
        ids = _ids(runs, sweep, opened)
        rows = _rows(opened, _SAMPLES.format(costs=", ".join(f"calls.{unit}" for unit in COSTS)), run_ids=ids)
        verdicts = _rows(opened, _VERDICTS, run_ids=ids)
    if not rows:
        raise OptionError(f"there are no finished samples in {len(ids):,} runs: give runs that are in this store")
    return _gathered(rows, verdicts)


def _ids(runs: Iterable[Run | str] | None, sweep: str | None, connection: DuckDBPyConnection) -> list[str]:
    if (runs is None) == (sweep is None):
        raise OptionError("a pool is made of runs, or of a sweep: give one of the two")
    if runs is not None:
        return [run.id if isinstance(run, Run) else run for run in ([runs] if isinstance(runs, Run | str) else runs)]
    found = [row["run_id"] for row in _rows(connection, _OF_SWEEP, sweep=sweep)]
    if not found:
        raise OptionError(f"the store has no run with the label sweep={sweep!r}: look at `labels` in the view `runs`")
    return found


def _rows(connection: DuckDBPyConnection, sql: str, **values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(connection, sql, values).to_pylist()
    return found


def _gathered(rows: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]]) -> Pool:
    by_problem: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_problem[row["problem_id"]].append(row)
    said = {(each["run_id"], each["verifier"], each["candidate"]): each["score"] for each in verdicts}
    verifiers = sorted({verifier for _, verifier, _ in said})
    shape = (len(by_problem), max(map(len, by_problem.values())))
    answers = np.full(shape, NO_SAMPLE, dtype=np.int32)
    correct = np.zeros(shape, dtype=np.bool_)
    numbers = {name: np.full(shape, np.nan) for name in ("mean_logprob", *verifiers, *COSTS)}
    values = []
    for place, found in enumerate(by_problem.values()):
        codes: dict[str, int] = {}
        width = len(found)
        answers[place, :width] = [
            ABSTAINED if row["answer"] is None else codes.setdefault(row["answer"], len(codes)) for row in found
        ]
        correct[place, :width] = [_is_right(row) for row in found]
        for name in ("mean_logprob", *COSTS):
            numbers[name][place, :width] = [np.nan if row[name] is None else row[name] for row in found]
        for verifier in verifiers:
            numbers[verifier][place, :width] = [_score(said, row, verifier) for row in found]
        values.append(tuple(codes))
    drawn = answers != NO_SAMPLE
    return Pool(
        problems=tuple(by_problem),
        counts=drawn.sum(axis=1),
        answers=answers,
        values=tuple(values),
        correct=correct,
        scores={name: numbers[name] for name in ("mean_logprob", *verifiers)},
        costs={**{unit: numbers[unit] for unit in COSTS}, "calls": np.where(drawn, 1.0, np.nan)},
        models=tuple(sorted({row["model"] for row in rows})),
    )


def _is_right(row: Mapping[str, Any]) -> bool:
    """What the call says, or, where it was recorded before calls said it, what the reference says."""
    correct = row["correct"]
    if correct is None and row["check"] is None:
        correct = same_answer(row["answer"], row["reference"])
    if correct is None:
        raise OptionError(
            f"nothing says which answers to {row['problem_id']!r:.80} are right: accuracy needs a reference, or a check"
        )
    return bool(correct)


def _score(said: Mapping[tuple[str, str, str], float], row: Mapping[str, Any], verifier: str) -> float:
    for candidate in (row["text"], row["answer"]):
        if (score := said.get((row["run_id"], verifier, candidate))) is not None:
            return score
    return float("nan")
