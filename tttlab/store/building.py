"""Building an archive under a temporary name: from segments, from other archives, with or without some of their rows.

Each step of the schema is taken in a transaction of its own, with its record, and the rows of an archive of an earlier
version go in before the steps that it lacks: so they are brought to the newest version by the steps themselves.
Segments lie in a folder that names their version.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import duckdb

from tttlab.errors import StoreError
from tttlab.store.archives import (
    SOURCES_SQL,
    STEPS_SQL,
    archive_folder,
    publish_archive,
    quoted,
    refuse_newer,
    sources_of,
    version_of,
)
from tttlab.store.layout import Step, steps
from tttlab.store.manifest import Manifest
from tttlab.store.segments import KINDS, Kind, pattern, segment_version
from tttlab.store.stopping import Stop

STORAGE_VERSION = "v1.5.0"
"""Read by every DuckDB from 1.5 on."""
ORDERED_BYTES = 64 * 2**20
"""So much of segments, packed, is put in order at a time: some hundred megabytes of memory."""
_LONG = re.compile(r"\b(attributes|events) JSON\b")
_ORDER: Mapping[Kind, str] = {"spans": " ORDER BY operation, name, start_ns"}
"""What is asked of spans is nearly always asked of one sort of them, and zstd unpacks whole vectors of 2048 rows."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What goes into a new archive."""

    segments: Mapping[Kind, Sequence[Path]] = field(default_factory=dict)
    archives: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The file names of all of it."""
        return [*(path.name for kind in KINDS for path in self.segments.get(kind, ())), *self.archives]


def build_archive(
    folder: Path,
    manifest: Manifest,
    sources: Sources,
    *,
    schema: Sequence[Step] | None = None,
    without: Mapping[Kind, str] | None = None,
    stop: Stop | None = None,
) -> str:
    """Publish an archive of these sources, which no manifest names yet; returns its name.

    `without` are SQL conditions on the rows that are left out; no byte of those is written. Raises `duckdb.Error`,
    `OSError`, and `StoreError` for a source of a newer schema than `schema`; `Stopped` where it was stopped.
    """
    stop = stop or Stop()
    archives = archive_folder(folder)
    archives.mkdir(exist_ok=True)
    temporary = archives / f"{secrets.token_hex(8)}.duckdb.tmp"
    connection = duckdb.connect(config={"threads": 1})
    try:
        with stop.interrupting(connection):
            connection.execute(f"ATTACH {quoted(temporary)} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute(f"USE made; {SOURCES_SQL}; {STEPS_SQL}")
            connection.execute("INSERT INTO sources SELECT unnest(?)", [_held(folder, manifest, sources)])
            _fill(connection, folder, sources, schema or steps(), without or {})
            connection.execute(
                "DELETE FROM stored_spans AS started WHERE end_ns IS NULL AND EXISTS ("
                "FROM stored_spans AS ended WHERE ended.span_key = started.span_key AND ended.end_ns IS NOT NULL)"
            )
            connection.execute("USE memory; CHECKPOINT made; DETACH made")
        connection.close()
        _sync(temporary)
        return publish_archive(temporary)
    finally:
        connection.close()
        remove_temporary(temporary)


def take(connection: duckdb.DuckDBPyConnection, step: Step) -> None:
    """Take a step of the schema in the database in use, in one transaction with its record. Raises `duckdb.Error`."""
    connection.execute("BEGIN")
    try:
        connection.execute(step.sql)
        record = [step.number, step.name, version("tttlab")]
        connection.execute("INSERT INTO schema_steps SELECT ?, ?, ?, now()::TIMESTAMP", record)
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def packed(step: Step) -> Step:
    """The step with zstd for the columns that hold most bytes of a span: what DuckDB chooses by itself is far larger.

    Which compression a column has is no part of the schema: archives with and without are read alike.
    """
    return replace(step, sql=_LONG.sub(r"\1 JSON USING COMPRESSION zstd", step.sql))


def remove_temporary(path: Path) -> None:
    """Remove a database that was not finished, with its log."""
    for each in (path, path.with_name(f"{path.name}.wal")):
        with suppress(OSError):  # Windows keeps a file that somebody has open; the next compaction tries again.
            each.unlink(missing_ok=True)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    sources: Sources,
    schema: Sequence[Step],
    without: Mapping[Kind, str],
) -> None:
    versions = {name: _attach(connection, folder, name, schema) for name in sources.archives}
    for step in schema:
        take(connection, packed(step))
        for name in sources.archives:
            if versions[name] == step.number:
                for kind in KINDS:
                    _insert(connection, kind, f'"{name}".stored_{kind}', without)
        for kind in KINDS:
            files = [path for path in sources.segments.get(kind, ()) if _goes_in(path, step, schema)]
            for portion in _portions(files) if kind in _ORDER else filter(None, [files]):
                listed = ", ".join(quoted(pattern(path)) for path in portion)
                _insert(connection, kind, f"read_parquet([{listed}])", without, _ORDER.get(kind, ""))


def _portions(files: Iterable[Path]) -> Iterator[list[Path]]:
    """The files in their order, as many at a time as have `ORDERED_BYTES` together."""
    portion, size = list[Path](), 0
    for path in files:
        portion.append(path)
        size += path.stat().st_size
        if size >= ORDERED_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _goes_in(segment: Path, step: Step, schema: Sequence[Step]) -> bool:
    """Whether a segment's rows go in after this step: that of its version, or the last if it is of a later one."""
    return min(segment_version(segment), schema[-1].number) == step.number


def _attach(connection: duckdb.DuckDBPyConnection, folder: Path, name: str, schema: Sequence[Step]) -> int:
    path = archive_folder(folder) / name
    version = version_of(path)
    if version is None:
        raise duckdb.IOException(f"{path} cannot be read")
    refuse_newer(path, version, schema[-1].number)
    if version not in [step.number for step in schema]:
        raise StoreError(
            f"the archive {path} has schema {version}, which this tttlab does not know: it is left as it is"
        )
    connection.execute(f'ATTACH {quoted(path)} AS "{name}" (READ_ONLY)')
    return version


def _insert(
    connection: duckdb.DuckDBPyConnection, kind: Kind, rows: str, without: Mapping[Kind, str], order: str = ""
) -> None:
    kept = f" WHERE NOT coalesce({without[kind]}, false)" if kind in without else ""
    connection.execute(f"INSERT INTO stored_{kind} BY NAME SELECT * FROM {rows}{kept}{order}")


def _held(folder: Path, manifest: Manifest, sources: Sources) -> list[str]:
    """What the new archive takes the place of: its sources, and theirs as far as the files are perhaps still there."""
    still = {*manifest.segments, *manifest.retired}
    before = set[str]().union(*(sources_of(archive_folder(folder) / name) for name in sources.archives))
    return sorted({*sources.names, *(before & still)})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
