"""Registering a store in a lake: each of its rows is there once, however often and from wherever it is done.

Segments are copied under their own names, whose checksum is compared. Rows that were compacted before they were
registered are written out of their archives, without those that the lake has already. A file is in the lake when the
transaction is that also notes its name: what a killed process leaves is finished by the next.
"""

from __future__ import annotations

import os
import platform
import secrets
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, damage, quoted, refuse_newer, sources_of, version_of
from tttlab.store.checksums import checksum
from tttlab.store.database import JSON_COLUMNS, set_aside_damaged
from tttlab.store.lake.catalogue import alone, said_plainly, transaction
from tttlab.store.lake.extensions import connection_with_extensions
from tttlab.store.lake.secrecy import masked
from tttlab.store.lake.tables import checked_folder, open_to_change, table_folder
from tttlab.store.manifest import Lease, Manifest, read_manifest
from tttlab.store.segments import KINDS, Kind, segments

AT_ONCE = 200
"""Segments in one transaction: what a killed process has to do again at most."""
ROWS_AT_ONCE = 100_000
"""Of an archive, in memory."""
WAIT_SECONDS = 600.0
"""How long is waited for other machines that register."""
_SAME = {
    "spans": "there.span_key = held.span_key AND there.trace_id IS NOT DISTINCT FROM held.trace_id "
    "AND (there.end_ns IS NULL) = (held.end_ns IS NULL)",
    "tokens": "there.span_key = held.span_key AND there.run_id = held.run_id AND there.position = held.position",
}


@dataclass(frozen=True, slots=True)
class Registered:
    """What was new to the lake."""

    segments: int = 0
    archives: int = 0
    rows: Mapping[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def __add__(self, other: Registered) -> Registered:
        rows = {kind: self.rows[kind] + other.rows[kind] for kind in KINDS}
        return Registered(self.segments + other.segments, self.archives + other.archives, rows)


@dataclass(frozen=True, slots=True)
class _Lake:
    """A lake that is open to be changed, and the store that is registered in it."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    store: Path
    known: set[str]


def register(
    store: Path, catalogue: str, data: str | Path | None = None, *, wait_seconds: float = WAIT_SECONDS
) -> Registered:
    """Put what a store has published into the lake of a catalogue, a PostgreSQL connection string.

    `data` is the folder of the lake's files, as this machine sees it: needed for a lake that is not there yet, and
    where the folder is mounted elsewhere than on the machine that made it. The store stays as it is. Damaged files are
    left out with a warning. Raises `OptionError` and `StoreError`; what was registered until then is.
    """
    store, folder = store.absolute(), checked_folder(data)
    if not store.is_dir():
        raise StoreError(f"there is no store in {store}: run something first, or set TTTLAB_TRACES to your traces")
    connection = connection_with_extensions()
    try:
        with (
            said_plainly(catalogue, f"the store in {store} could not be registered in {masked(catalogue)}"),
            alone(connection, catalogue, wait_seconds),
        ):
            where = open_to_change(connection, catalogue, folder)
            known = {name for (name,) in connection.execute("SELECT name FROM lake.registered").fetchall()}
            return _registered(_Lake(connection, where, store, known))
    finally:
        connection.close()


def _registered(lake: _Lake) -> Registered:
    lease = Lease(lake.store)
    try:
        manifest = read_manifest(lake.store)
        lease.hold(manifest.generation)
        done = Registered()
        new = _new_segments(lake, manifest)
        for start in range(0, len(new), AT_ONCE):
            done += _take_segments(lake, new[start : start + AT_ONCE])
        for name in manifest.archives:
            if name not in lake.known:
                done += _take_archive(lake, name)
        return done
    finally:
        lease.release()


def _new_segments(lake: _Lake, manifest: Manifest) -> list[tuple[Kind, Path]]:
    left_out = {*manifest.segments, *set_aside_damaged(lake.store, manifest), *lake.known}
    found = [(kind, path) for kind in KINDS for path in segments(lake.store, kind) if path.name not in left_out]
    return sorted(found, key=lambda each: each[1].name)  # In the order in which they were written.


def _take_segments(lake: _Lake, chosen: Sequence[tuple[Kind, Path]]) -> Registered:
    copies: dict[Kind, list[Path]] = {kind: [] for kind in KINDS}
    for kind, path in chosen:
        if copy := _copied(path, table_folder(lake.folder, kind)):
            copies[kind].append(copy)
    rows = _add(lake, copies)
    return Registered(sum(map(len, copies.values())), 0, rows)


def _copied(segment: Path, folder: Path) -> Path | None:
    """A segment in the lake's folder; None for one that is damaged, or that was deleted meanwhile."""
    target, expected = folder / segment.name, int(segment.stem[-8:], 16)
    if target.exists() and checksum(target) == expected:  # Whoever copied it was killed before it was registered.
        return target
    try:
        data = segment.read_bytes()
    except FileNotFoundError:
        return None
    if zlib.crc32(data) != expected:
        warnings.warn(f"{segment} is damaged and is left out of the lake", stacklevel=2)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data)
        _sync(temporary)
        temporary.replace(target)
        _sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _take_archive(lake: _Lake, name: str) -> Registered:
    """Put the rows of an archive into the lake that it has not from segments or other archives."""
    path = archive_folder(lake.store) / name
    if (reason := damage(path)) or (version := version_of(path)) is None:
        warnings.warn(f"the archive {path} is left out of the lake ({reason or 'it cannot be read'})", stacklevel=2)
        return Registered()
    refuse_newer(path, version)
    sources = sources_of(path)
    written: dict[Kind, list[Path]] = {kind: [] for kind in KINDS}
    if not sources or not sources <= lake.known:
        lake.connection.execute(f"ATTACH {quoted(path)} AS held (READ_ONLY)")
        try:
            written = {kind: _written_out(lake, kind, path) for kind in KINDS}
        finally:
            lake.connection.execute("DETACH held")
    rows = _add(lake, written, name)
    return Registered(0, int(any(rows.values())), rows)


def _written_out(lake: _Lake, kind: Kind, archive: Path) -> list[Path]:
    folder = table_folder(lake.folder, kind)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{archive.stem}.{secrets.token_hex(4)}.tmp"
    text = f" REPLACE ({', '.join(f'{name}::VARCHAR AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    order = "trace_id, start_ns, span_key" if kind == "spans" else "run_id, span_key, position"
    try:
        asked: Any = lake.connection.execute(
            f"SELECT *{text} FROM held.stored_{kind} AS held WHERE NOT EXISTS ("
            f"FROM lake.stored_{kind} AS there WHERE {_SAME[kind]}) ORDER BY {order}"
        )
        rows = asked.to_arrow_reader(ROWS_AT_ONCE)
        # Without statistics, as segments are: where only some files have them, DuckLake takes theirs for the table's,
        # and gives wrong values.
        with pq.ParquetWriter(temporary, rows.schema, compression="zstd", write_statistics=False) as writer:
            for batch in rows:
                writer.write_batch(batch)
        if not pq.read_metadata(temporary).num_rows:
            return []
        _sync(temporary)
        target = folder / f"{archive.stem}-{checksum(temporary):08x}.parquet"
        temporary.replace(target)
        _sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return [target]


def _add(lake: _Lake, files: Mapping[Kind, Sequence[Path]], archive: str | None = None) -> dict[Kind, int]:
    """Make files part of the lake and note it, in one transaction. Returns how many rows they have."""
    rows = {kind: [int(pq.read_metadata(path).num_rows) for path in files[kind]] for kind in KINDS}
    sums = {kind: sum(counts) for kind, counts in rows.items()}
    notes: list[tuple[str, str, int]] = [
        (path.name, kind, count)
        for kind in KINDS
        if archive is None
        for path, count in zip(files[kind], rows[kind], strict=True)
    ]
    notes += [(archive, "archive", sum(sums.values()))] if archive else []
    if not notes:
        return sums
    with transaction(lake.connection):
        for kind in KINDS:
            if files[kind]:
                lake.connection.execute(
                    "CALL ducklake_add_data_files('lake', ?, ?, allow_missing => true)",
                    [f"stored_{kind}", [path.as_posix() for path in files[kind]]],
                )
        lake.connection.execute(
            "INSERT INTO lake.registered SELECT unnest(?), unnest(?), unnest(?), ?, ?, now()::TIMESTAMP",
            [*map(list, zip(*notes, strict=True)), platform.node(), str(lake.store)],
        )
    lake.known.update(name for name, _, _ in notes)
    return sums


def _sync(path: Path) -> None:
    """Have it on the disk before the catalogue says that it is there: a file, or which files are in a folder."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # Some shared folders cannot say it of themselves.
            raise
    finally:
        os.close(descriptor)
