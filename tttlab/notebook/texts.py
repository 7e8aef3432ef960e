"""What the calls of a run said, for its display: from memory while the run is recent, else from the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from tttlab.notebook.transcript import Said
from tttlab.run import Run

REMEMBERED = 32
"""How many runs are kept in memory, so that a result is shown at once and even where the store cannot be written to."""

_recent: OrderedDict[str, Sequence[Said]] = OrderedDict()
_notes: dict[str, Sequence[str]] = {}

_CALLS = """
SELECT calls.span_id, role, branch, status, answer,
    string_agg(tokens.text, '' ORDER BY position) FILTER (channel = 'thinking') AS thinking,
    string_agg(tokens.text, '' ORDER BY position) FILTER (channel = 'answer') AS said
FROM calls LEFT JOIN tokens ON tokens.span_key = calls.span_key AND tokens.run_id = $run
WHERE calls.run_id = $run
GROUP BY ALL ORDER BY min(calls.started), min(calls.ordinal)
"""


def remember(run: Run, calls: Sequence[Said], notes: Sequence[str] = ()) -> None:
    """Keep what a run's calls said for its display, and what there is to note below its result."""
    _notes[run.id] = notes
    _recent[run.id] = [replace(said, thinking_pieces=[said.thinking], text_pieces=[said.text]) for said in calls]
    while len(_recent) > REMEMBERED:
        forgotten, _ = _recent.popitem(last=False)
        _notes.pop(forgotten, None)


def noted(run: Run) -> Sequence[str]:
    """What there is to note below the run's result, while it is remembered."""
    return _notes.get(run.id, ())


def said_in(run: Run) -> Sequence[Said]:
    """What the run's calls said, in the order in which they began; nothing where no record of it is left."""
    if run.id in _recent:
        return _recent[run.id]
    if run.store is None:
        return []
    from tttlab.errors import StoreError
    from tttlab.recording import connect
    from tttlab.store.queries import query

    try:
        connection = connect(run.store.parent)
        rows = query(connection, _CALLS, {"run": run.id}).to_pylist()
    except StoreError:
        return []
    calls = [
        Said(
            number=number,
            role=row["role"],
            branch=row["branch"],
            status="running" if row["status"] == "incomplete" else row["status"],
            answer=row["answer"],
            thinking_pieces=[row["thinking"] or ""],
            text_pieces=[row["said"] or ""],
        )
        for number, row in enumerate(rows, 1)
    ]
    connection.close()
    if calls:
        remember(run, calls)
    return calls
