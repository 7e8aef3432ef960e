"""Runs whose root span has no end: some are being recorded, of others the process was killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tttlab.store.contents import open_files
from tttlab.store.segments import KINDS, Kind, is_whole, segments
from tttlab.store.writers import still_runs, writer_of

_OPEN = """
SELECT coalesce(run_id, trace_id) FROM held_spans AS started
WHERE parent_key IS NULL AND end_ns IS NULL AND NOT EXISTS (
    FROM held_spans AS ended WHERE ended.span_key = started.span_key AND ended.end_ns IS NOT NULL
)
ORDER BY ALL
"""
_FILES = """
SELECT DISTINCT coalesce(run_id, trace_id) AS run, file FROM held_spans WHERE list_contains($runs, run)
UNION SELECT DISTINCT run_id, file FROM held_tokens WHERE list_contains($runs, run_id)
ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run, or a trace of another library, that has started and not ended."""

    id: str
    process: int | None
    """The process that recorded it last; None where no file tells any more: they went ten minutes ago or earlier."""
    alive: bool | None
    """Whether that process still runs here, as far as can be known; None where it cannot."""


def open_runs(folder: Path, held: duckdb.DuckDBPyConnection) -> list[OpenRun]:
    """The runs without an end among the rows of `held` (see `open_files`). Raises `duckdb.Error`.

    Who recorded them is told by the names of the segments, those included that an archive holds by now.
    """
    runs = [run for (run,) in held.execute(_OPEN).fetchall()]
    if not runs:
        return []
    files = _files(folder, runs)
    return [_known(run, files.get(run, ())) for run in dict.fromkeys(runs)]


def _files(folder: Path, runs: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The names of the segments that have rows of these runs, oldest first."""
    there: dict[Kind, list[Path]] = {
        kind: [path for path in segments(folder, kind) if is_whole(path)] for kind in KINDS
    }
    found: dict[str, list[str]] = {}
    with open_files(folder, (), there) as connection:
        for run, file in connection.execute(_FILES, {"runs": runs}).fetchall():
            found.setdefault(run, []).append(file)
    return found


def _known(run: str, files: Sequence[str]) -> OpenRun:
    writers = [writer for name in sorted(files) if (writer := writer_of(name))]
    if not writers:
        return OpenRun(run, None, None)
    alive = {process: still_runs(process, when) for process, when in writers}
    last = writers[-1][0]
    recording = next((process for process, runs in alive.items() if runs), last)
    return OpenRun(run, recording, alive[recording])
