"""What a store holds, file by file, and the runs in it that have no end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, refuse_newer, version_of
from tttlab.store.contents import open_files
from tttlab.store.findings import Finding, counted, size
from tttlab.store.layout import steps
from tttlab.store.open_runs import OpenRun, open_runs
from tttlab.store.segments import KINDS, Kind

SHOWN_RUNS = 5
"""Of those without an end; the others are counted."""


def inventory(folder: Path, archives: Sequence[str], segments: Mapping[Kind, Sequence[Path]]) -> Iterator[Finding]:
    """What these archives and segments hold, of which none is known to be damaged."""
    paths = [archive_folder(folder) / name for name in archives]
    try:
        for path in paths:
            refuse_newer(path, version_of(path) or 1)
    except StoreError as error:
        yield Finding("trouble", str(error), folder)
        return
    try:
        with open_files(folder, archives, segments) as held:
            yield from _counts(held, paths, segments)
            yield from _open_runs(folder, open_runs(folder, held), _open_spans(held))
    except duckdb.Error as error:
        yield Finding(
            "trouble",
            f"what the files hold cannot be read: {str(error).splitlines()[0]}",
            folder,
            "a file is damaged where its checksum does not tell, or it went while it was read",
            "ask again; if it stays so, move the file that is named away",
        )


def _counts(
    held: duckdb.DuckDBPyConnection, paths: Sequence[Path], segments: Mapping[Kind, Sequence[Path]]
) -> Iterator[Finding]:
    rows = {
        kind: dict(held.execute(f"SELECT file, count(*) FROM held_{kind} GROUP BY file").fetchall()) for kind in KINDS
    }
    for path in paths:
        said = ", ".join(_rows(kind, rows[kind].get(path.name, 0)) for kind in KINDS)
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        version = version_of(path) or 1
        older = f"; schema {version}: the next compaction brings it to {steps()[-1].number}"
        what = f"an archive of {made}: {said}, {size(path.stat().st_size)}"
        yield Finding("fine", what + (older if version < steps()[-1].number else ""), path)
    for kind in KINDS:
        files = [path for path in segments[kind] if path.exists()]
        count = sum(rows[kind].get(path.name, 0) for path in files)
        total = size(sum(path.stat().st_size for path in files))
        if files:
            what = f"{counted(len(files), 'segment')}: {_rows(kind, count)}, {total}"
            yield Finding("fine", what, files[0].parent, remedy="`tttlab compact` gathers them into an archive")


def _rows(kind: Kind, count: int) -> str:
    # A span has a row for its start, and one for its end; archives keep the start only of those that have no end.
    return f"{counted(count, 'row')} of {kind}"


def _open_spans(held: duckdb.DuckDBPyConnection) -> int:
    found = held.execute(
        "SELECT count(*) FROM held_spans AS started WHERE end_ns IS NULL AND NOT EXISTS ("
        "FROM held_spans AS ended WHERE ended.span_key = started.span_key AND ended.end_ns IS NOT NULL)"
    ).fetchone()
    return int(found[0]) if found else 0


def _open_runs(folder: Path, runs: Sequence[OpenRun], spans: int) -> Iterator[Finding]:
    for run in runs:
        if run.alive:
            yield Finding("note", f"run {run.id} is being recorded by process {run.process}", folder)
    ended = [run for run in runs if not run.alive]
    for run in ended[:SHOWN_RUNS]:
        by = f"process {run.process}, which has ended" if run.process and run.alive is False else "an unknown process"
        yield Finding(
            "note",
            f"run {run.id} has no end: it was recorded by {by}",
            folder,
            "what it recorded until then is there, with status `incomplete`",
            f"nothing; `tttlab delete {shlex.quote(run.id)}` takes it out for good",
        )
    if more := ended[SHOWN_RUNS:]:
        yield Finding(
            "note",
            f"{counted(len(more), 'more run')} have no end",
            folder,
            remedy="`tttlab sql \"FROM runs WHERE status = 'incomplete'\"` shows them",
        )
    if spans > len(runs):
        yield Finding("note", f"{counted(spans, 'span')} have no end, those of these runs included", folder)
