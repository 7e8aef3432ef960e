"""The run's tree over time: its branches, calls and verifications as bars, its proposed answers as ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.shown_text import counted, quoted, shown
from tttlab.charts.span_rows import SPANS, UNTIMED, tree_rows
from tttlab.checks import at_least
from tttlab.experiments.asked import opened, runs_asked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.charts.renderer import OfflineChart
    from tttlab.run import Run

Row = dict[str, Any]


def run_tree(
    run: Run | str,
    *,
    spans: int = 80,
    proposals: int = 500,
    connection: DuckDBPyConnection | None = None,
) -> OfflineChart:
    """The spans of a run in tree order, each a bar from its start to its end, with lines from parent to child.

    Of larger trees the `spans` nearest to the root are shown, and the chart says so. Bars of what did not end well
    (cancelled, failed, pruned, or still open when its process was killed) are pale, with the reason beside them; one
    that never ended is dashed and reaches to the last that is known of it. Ticks are proposed answers, on the span
    that proposed them.

    Raises `OptionError` for a run that is not in the store.
    """
    at_least(1, spans=spans, proposals=proposals)
    with opened(connection) as store:
        [asked] = runs_asked(store, [run])
        found = store.rows(SPANS, run=asked["run_id"], spans=spans)
        proposed = store.rows(_PROPOSALS, run=asked["run_id"], proposals=proposals)
    rows = tree_rows(found)

    from tttlab.charts.tree_marks import drawn

    return drawn(rows, _ticks(found, proposed), "Run over time", _lines(asked, found, rows, proposed))


def _ticks(found: Sequence[Row], proposed: Sequence[Row]) -> list[Row]:
    """Where the proposals stand: on the span above them, or on the run where that is not shown."""
    lines = {row["span_key"]: line for line, row in enumerate(found)}
    return [
        {
            "line": lines.get(row["parent_key"], 0),
            "at": UNTIMED if row["seconds"] is None else row["seconds"],
            "answer": None if row["answer"] is None else shown(row["answer"], 200),
            "confidence": row["confidence"],
            "step": row["step"],
            "spent_tokens": row["spent_tokens"],
            "basis_tokens": row["basis_tokens"],
        }
        for row in proposed
    ]


def _lines(run: Mapping[str, Any], found: Sequence[Row], rows: Sequence[Row], proposed: Sequence[Row]) -> list[str]:
    spans = found[0]["spans"] if found else 0
    answers = proposed[0]["proposals"] if proposed else 0
    said = f"n = {counted(spans, 'span')}" if spans == len(rows) else f"n = {len(rows)} of {counted(spans, 'span')}"
    lines = [
        f"{said} of 1 run ({run['status']}): {shown(run['strategy'], 60)}, {shown(run['model'], 60)}",
        quoted(run["prompt"]),
    ]
    if spans > len(rows):
        lines.append("not shown: the spans farthest from the root")
    keys = [f"ticks: {counted(answers, 'proposed answer')}"] if answers else []
    if answers > len(proposed):
        keys[0] += f", {len(proposed)} of them drawn"
    if any(row["pale"] for row in rows):
        keys.append("pale: did not end well, the reason beside it")
    if not any(row["timed"] for row in rows):
        keys.append("no times: its log does not say them")
    if any(row["incomplete"] for row in rows):
        keys.append("dashed: never ended, drawn to the last that is known")
    return [*lines, "; ".join(keys)] if keys else lines


# Where there are very many proposals, they are thinned evenly; the last one stays.
_PROPOSALS = """
SELECT
    answer.step, answer.answer, answer.seconds, answer.spent_tokens, answer.basis_tokens, span.parent_key,
    CASE WHEN isfinite(answer.confidence) THEN answer.confidence END AS confidence,
    count(*) OVER () AS proposals
FROM answers AS answer
JOIN spans AS span USING (run_id, span_key)
WHERE run_id = $run
QUALIFY (step - 1) % ceil(proposals / $proposals)::BIGINT = 0 OR step = proposals
ORDER BY step
"""
