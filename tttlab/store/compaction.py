"""Compaction: gathers segments into immutable DuckDB archives, and publishes a store as one file.

One process at a time compacts, under a lock that it only tries for. Nothing published is written to again: a new
archive is built under a temporary name, a new manifest is put in force by rename, and files go when no reader can need
them. A process that is killed at any point leaves a store that is whole.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from tttlab.errors import StoreError
from tttlab.store.database import connect, quoted, set_aside_damaged
from tttlab.store.layout import tables_sql, views_sql
from tttlab.store.manifest import Manifest, oldest_generation_read, read_manifest, write_manifest
from tttlab.store.segments import KINDS, Kind, pattern, segment_folder, segments

STORAGE_VERSION = "v1.5.0"
"""Read by every DuckDB from 1.5 on."""
SMALL_BYTES = 64 * 2**20
"""Archives below this size are merged when there are `MERGED_AT_ONCE` of them."""
MERGED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Sources:
    """What goes into a new archive."""

    segments: dict[Kind, list[Path]]
    archives: list[str]

    def __bool__(self) -> bool:
        return any(self.segments.values()) or len(self.archives) > 1


def compact(folder: Path, to: Path | None = None) -> bool:
    """Gather what is in segments into an archive; with `to`, also publish the whole store as one DuckDB file.

    Returns whether this process did it: another that is at it already is left to it. Raises `StoreError`.
    """
    folder = folder.absolute()
    done = folder.is_dir() and _compacted(folder)
    if to is not None:
        publish(folder, to)
    return done


def publish(folder: Path, target: Path) -> None:
    """Write the whole store into one DuckDB file with the views in it, for any DuckDB client from 1.5 on.

    A file that is there is replaced. Raises `StoreError` where it cannot be written.
    """
    if not folder.is_dir():
        raise StoreError(f"there is no store in {folder}: run something first, or set TTTLAB_TRACES to your traces")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    source = connect(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.execute(f"ATTACH {quoted(temporary)} AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
        source.execute("USE published")
        source.execute(tables_sql())
        for kind in KINDS:
            source.execute(f"INSERT INTO published.stored_{kind} BY NAME SELECT * FROM memory.stored_{kind}")
        for statement in views_sql():
            source.execute(statement)
        source.execute("USE memory; CHECKPOINT published; DETACH published")
        temporary.replace(target)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the store could not be published as {target}: {str(error).splitlines()[0]}") from error
    finally:
        source.close()
        temporary.unlink(missing_ok=True)


def _compacted(folder: Path) -> bool:
    lock = FileLock(folder / "compaction.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        raise StoreError(f"the store in {folder} cannot be compacted: {error.strerror or error}") from error
    try:
        _compact_locked(folder)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the store in {folder} could not be compacted: {str(error).splitlines()[0]}") from error
    finally:
        lock.release()
    return True


def _compact_locked(folder: Path) -> None:
    manifest = read_manifest(folder)
    _clear_strays(folder, manifest)
    set_aside_damaged(folder, manifest)
    archived = set(manifest.segments)
    sources = _Sources(
        {kind: [path for path in segments(folder, kind) if path.name not in archived] for kind in KINDS},
        _to_merge(folder, manifest),
    )
    if sources:
        name = _build(folder, sources)
        manifest = Manifest(
            generation=manifest.generation + 1,
            archives=(*(old for old in manifest.archives if old not in sources.archives), name),
            segments=(*manifest.segments, *(path.name for kind in KINDS for path in sources.segments[kind])),
            retired=(*manifest.retired, *sources.archives),
        )
        write_manifest(folder, manifest)
    _remove_unneeded(folder, manifest)


def _to_merge(folder: Path, manifest: Manifest) -> list[str]:
    small = [name for name in manifest.archives if _size(folder / "archives" / name) < SMALL_BYTES]
    return small if len(small) >= MERGED_AT_ONCE else []


def _build(folder: Path, sources: _Sources) -> str:
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    name = f"{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}.duckdb"
    temporary = archives / f"{name}.tmp"
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute(f"ATTACH {quoted(temporary)} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute(f"USE made; {tables_sql()}")
        for number, old in enumerate(sources.archives):
            connection.execute(f"ATTACH {quoted(archives / old)} AS old_{number} (READ_ONLY)")
            for kind in KINDS:
                connection.execute(f"INSERT INTO stored_{kind} BY NAME FROM old_{number}.stored_{kind}")
        for kind in KINDS:
            if sources.segments[kind]:
                _insert(connection, kind, sources.segments[kind])
        connection.execute(
            "DELETE FROM stored_spans AS started WHERE end_ns IS NULL AND EXISTS ("
            "FROM stored_spans AS ended WHERE ended.span_key = started.span_key AND ended.end_ns IS NOT NULL)"
        )
        connection.execute("USE memory; CHECKPOINT made; DETACH made")
    finally:
        connection.close()
    _sync(temporary)
    temporary.replace(archives / name)
    return name


def _insert(connection: duckdb.DuckDBPyConnection, kind: Kind, files: Sequence[Path]) -> None:
    listed = ", ".join(quoted(pattern(path)) for path in files)
    connection.execute(f"INSERT INTO stored_{kind} BY NAME FROM read_parquet([{listed}])")


def _remove_unneeded(folder: Path, manifest: Manifest) -> None:
    """Remove the files of what was archived or merged, if every living reader reads the manifest in force."""
    oldest = oldest_generation_read(folder)
    if oldest is not None and oldest < manifest.generation:
        return
    kept_segments = [name for name in manifest.segments if not _removed(_segment_path(folder, name))]
    kept_retired = [name for name in manifest.retired if not _removed(folder / "archives" / name)]
    if len(kept_segments) < len(manifest.segments) or len(kept_retired) < len(manifest.retired):
        # The same generation: what readers see is the same with and without these names.
        write_manifest(
            folder,
            Manifest(
                generation=manifest.generation,
                archives=manifest.archives,
                segments=tuple(kept_segments),
                retired=tuple(kept_retired),
            ),
        )


def _segment_path(folder: Path, name: str) -> Path:
    for kind in KINDS:
        if (path := segment_folder(folder, kind) / name).exists():
            return path
    return segment_folder(folder, "spans") / name


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows keeps a file that somebody has open; the next compaction tries again.
        return False
    return True


def _clear_strays(folder: Path, manifest: Manifest) -> None:
    """Remove what a killed compaction left: archives that no manifest names."""
    named = {*manifest.archives, *manifest.retired}
    for path in (folder / "archives").glob("*.duckdb*"):
        if path.name not in named:
            _removed(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
