"""The spans of a run as rows of its tree: what each is called, how it ended, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tttlab.charts.shown_text import shown

Row = dict[str, Any]
UNTIMED = 0.02
"""Where a bar ends whose times an imported log does not say, on an axis without numbers from 0 to 1."""


def tree_rows(found: Sequence[Row]) -> list[Row]:
    """Rows for a chart, in tree order, `line` counted from 0; `found` is what `SPANS` gives."""
    lines = {row["span_key"]: line for line, row in enumerate(found)}
    return [_row(row, line, lines.get(row["parent_key"])) for line, row in enumerate(found)]


def _row(row: Row, line: int, parent_line: int | None) -> Row:
    status, timed = _status(row), row["start_s"] is not None
    return {
        "line": line,
        "parent_line": parent_line,
        "depth": row["depth"],
        "kind": row["kind"],
        "label": shown(_label(row), 60),
        "status": shown(status, 60),
        "remark": shown(_remark(row, status), 60),
        "pale": row["incomplete"] or status.startswith(("cancelled", "failed", "pruned", "stopped")),
        "incomplete": row["incomplete"],
        "timed": timed,
        "start": row["start_s"] if timed else 0.0,
        "end": row["end_s"] if timed else UNTIMED,
        "seconds": row["end_s"] - row["start_s"] if timed else None,
        "output_tokens": row["output_tokens"],
        "answer": None if row["answer"] is None else shown(row["answer"], 200),
        "said": None if row["said"] is None else shown(row["said"], 300),
        "error": None if row["error"] is None else shown(row["error"], 300),
    }


def _label(row: Row) -> str:
    if row["kind"] == "call":
        role = "" if row["role"] in (None, "generator") else f" · {row['role']}"
        return f"call {row['number']}{role}"
    named = {"run": row["strategy"], "branch": f"branch {row['branch']}", "verification": f"verify {row['verifier']}"}
    return str(named.get(row["kind"]) or row["name"])


def _status(row: Row) -> str:
    """How it ended: in the words of the views, with who cancelled a call."""
    if row["incomplete"]:
        return "incomplete"
    if row["kind"] == "verification":
        return "failed" if row["error"] else {True: "passed", False: "not passed", None: "judged"}[row["passed"]]
    if row["cancelled_by"]:
        return f"cancelled by {row['cancelled_by']}"
    return str(row["status"] or ("failed" if row["status_code"] == "ERROR" else "ok"))


def _remark(row: Row, status: str) -> str:
    """What stands beside the bar: how it ended where that is news, else what came of it."""
    kind, ended_well = row["kind"], status in ("ok", "judged", "open", "expanded")
    parts = [] if ended_well else [f"failed: {row['error']}" if status == "failed" and row["error"] else status]
    if kind in ("branch", "verification") and row["score"] is not None:
        parts.append(f"score {row['score']:.2g}")
    if kind in ("run", "call") and row["answer"] is not None:
        parts.append(row["answer"])
    if kind == "run" and row["confidence"] is not None:
        parts.append(f"confidence {row['confidence']:.2g}")
    return " · ".join(parts)


SPANS = """
WITH RECURSIVE
call AS (
    SELECT *, row_number() OVER (ORDER BY started, branch, ordinal) AS number FROM calls WHERE run_id = $run
),
spoken AS (SELECT span_key, max(time_ns) AS last_ns FROM tokens WHERE run_id = $run GROUP BY span_key),
span AS (
    SELECT *, row_number() OVER (ORDER BY start_ns, span_key) AS place
    FROM spans WHERE run_id = $run AND name <> 'propose'
),
known AS (
    SELECT min(start_ns) AS first_ns, greatest(max(end_ns), max(start_ns), (SELECT max(last_ns) FROM spoken)) AS last_ns
    FROM spans WHERE run_id = $run
),
tree AS (
    SELECT span_key, 0 AS depth, [place] AS path FROM span
    WHERE parent_key IS NULL OR parent_key NOT IN (SELECT span_key FROM span)
    UNION ALL
    SELECT span.span_key, depth + 1, list_append(path, place) FROM span JOIN tree ON span.parent_key = tree.span_key
),
shown AS (SELECT *, count(*) OVER () AS spans FROM tree ORDER BY depth, path LIMIT $spans)
SELECT
    span.span_key, span.parent_key, shown.depth, shown.spans, span.name, span.status_code,
    CASE
        WHEN run.span_key IS NOT NULL THEN 'run'
        WHEN call.span_key IS NOT NULL THEN 'call'
        WHEN branch.span_key IS NOT NULL THEN 'branch'
        WHEN verdict.span_key IS NOT NULL THEN 'verification'
        WHEN span.name = 'limit' THEN 'limit'
        ELSE 'other'
    END AS kind,
    (span.start_ns - first_ns) / 1e9 AS start_s,
    (coalesce(span.end_ns, spoken.last_ns, known.last_ns) - first_ns) / 1e9 AS end_s,
    NOT span.complete AS incomplete,
    coalesce(run.status, call.status, branch.state) AS status,
    call.cancelled_by, call.number, call.role, run.strategy, branch.path AS branch, verdict.verifier, verdict.passed,
    coalesce(branch.score, verdict.score) AS score,
    coalesce(run.answer, call.answer, verdict.candidate) AS answer,
    run.confidence,
    coalesce(run.output_tokens, call.output_tokens) AS output_tokens,
    left(call."text", 400) AS said,
    coalesce(run.error, call.error, verdict.error, span.status_message) AS error
FROM shown
JOIN span USING (span_key)
CROSS JOIN known
LEFT JOIN spoken USING (span_key)
LEFT JOIN runs AS run ON run.run_id = $run AND run.span_key = span.span_key
LEFT JOIN call ON call.span_key = span.span_key
LEFT JOIN branches AS branch ON branch.run_id = $run AND branch.span_key = span.span_key
LEFT JOIN verdicts AS verdict ON verdict.run_id = $run AND verdict.span_key = span.span_key
ORDER BY shown.path
"""
"""The spans of the run `$run`, in tree order: the `$spans` nearest to the root."""
