"""How logged runs get into a store: as rows like any other's, marked as imported, and no file twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tttlab.errors import OptionError, StoreError, nearest
from tttlab.experiments.importers.logged import LoggedRun
from tttlab.experiments.importers.rows import UNKNOWN_NS, RunRows
from tttlab.labels import Label, checked_labels
from tttlab.options import store_folder
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

if TYPE_CHECKING:
    from tttlab.store.segments import SegmentWriter

KINDS = ("calls", "branches", "verdicts", "answers")
"""What is counted of a run."""
ROWS_AT_ONCE = 20_000
"""As many rows, in whole runs, become one file: a run is there whole, or not at all."""
_OF_FILE = """
SELECT run_id FROM stored_spans WHERE starts_with(run_id, $beginning) AND operation = 'invoke_workflow'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of logged runs: what it is, and the digest by which it is known again, wherever it lies."""

    path: Path
    format: str
    version: int
    """Of the importer that reads it."""
    digest: str

    def run_id(self, number: int) -> str:
        """The id of the file's run of that number: the same at every import."""
        return f"imported-{self.digest.removeprefix('sha256:')[:10]}-{number:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import added to the store; `already` runs of the same file were there, and were left as they are."""

    source: Source
    run_ids: tuple[str, ...]
    """All runs of the file, in its order, those that were there already too."""
    runs: int
    calls: int
    branches: int
    verdicts: int
    answers: int
    already: int = 0
    notes: tuple[str, ...] = ()
    """What the log has and the store cannot hold, and what had to be left out."""

    def __str__(self) -> str:
        counted = {name: getattr(self, name) for name in ("runs", *KINDS)}
        said = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count or name == "runs")
        left = f"; {self.already:,} runs of this file were there already" if self.already else ""
        return "; ".join([f"{self.source.path.name} ({self.source.format}): {said}{left}", *self.notes])


def source_of(path: str | Path, *, format: str, version: int) -> Source:  # noqa: A002 - it is the word for it
    """The file of that name. Raises `OptionError` where it cannot be read, with the nearest name beside it."""
    found = Path(path).expanduser()
    try:
        with found.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        beside = [each.name for each in found.parent.iterdir()] if found.parent.is_dir() else []
        hint = "" if found.exists() else nearest(found.name, beside)
        raise OptionError(f"{found} cannot be read: {error.strerror or error}{hint}") from error
    return Source(path=found, format=format, version=version, digest=f"sha256:{digest}")


def write_runs(
    source: Source,
    runs: Iterable[LoggedRun],
    *,
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
    notes: Sequence[str] = (),
) -> Imported:
    """Record the runs of a file, in its order; those that the store has already are left as they are.

    `store` is a folder of traces, as `tttlab.connect` takes it. What `runs` raises comes through; what was written by
    then is there, and is not written again. Raises `StoreError` where the store cannot be written to.
    """
    from tttlab.models.credentials import keep_file_secret
    from tttlab.store.upkeep import taking_in

    keep_file_secret()
    folder = store_folder() if store is None else Path(store).expanduser().absolute() / "store"
    facts = {
        names.RUN_LABELS: checked_labels(labels) or None,
        names.IMPORTED_FORMAT: source.format,
        names.IMPORTED_FILE: source.path.name,
        names.IMPORTED_DIGEST: source.digest,
        names.IMPORTED_VERSION: source.version,
    }
    with taking_in(folder):
        return _write(folder, source, facts, runs, tuple(notes))


def _write(
    folder: Path, source: Source, facts: Mapping[str, object], runs: Iterable[LoggedRun], notes: tuple[str, ...]
) -> Imported:
    from tttlab.store.segments import SegmentWriter

    there, now_ns, writer = _there(folder, source), time.time_ns(), SegmentWriter(folder)
    ids: list[str] = []
    waiting: list[SpanRow] = []
    new = dict.fromkeys(("runs", *KINDS), 0)
    for number, run in enumerate(runs):
        ids.append(source.run_id(number))
        if ids[-1] in there:
            continue
        waiting += RunRows(run, ids[-1], facts, now_ns)
        new["runs"] += 1
        for kind in KINDS:
            new[kind] += len(getattr(run, kind))
        if len(waiting) >= ROWS_AT_ONCE:
            _publish(writer, folder, waiting)
            waiting.clear()
    _publish(writer, folder, waiting)
    return Imported(source=source, run_ids=tuple(ids), already=len(ids) - new["runs"], notes=notes, **new)


def _there(folder: Path, source: Source) -> set[str]:
    """The runs of the file that the store has."""
    from tttlab.store.database import connect

    with closing(connect(folder, views=False)) as connection:
        found = connection.execute(_OF_FILE, {"beginning": source.run_id(0).rpartition("-")[0]}).fetchall()
    return {run_id for (run_id,) in found}


def _publish(writer: SegmentWriter, folder: Path, rows: Sequence[SpanRow]) -> None:
    from pyarrow import compute

    from tttlab.store.hiding import spans_without_secrets

    if not rows:
        return
    table = spans_without_secrets(rows)
    place, start = table.schema.get_field_index("start_ns"), table["start_ns"]
    known = compute.if_else(compute.equal(start, UNKNOWN_NS), None, start)
    try:
        writer.write("spans", table.set_column(place, table.schema.field(place), known))
    except OSError as error:
        raise StoreError(f"the store in {folder} cannot be written to: {error.strerror or error}") from error
