"""Compaction: gathers segments into immutable DuckDB archives, and publishes a store as one file.

One process at a time compacts, under a lock that it only tries for. Nothing published is written to again: a new
archive is built under a temporary name, a new manifest is put in force by rename, and files go when no reader can need
them: nobody holds a lease on an older generation, and they were replaced a while ago. A process that is killed at any
point leaves a store that is whole.
"""

from __future__ import annotations

import os
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from tttlab.errors import StoreError
from tttlab.store.archives import SOURCES_SQL, archive_folder, archives_in, damage, publish_archive, quoted, sources_of
from tttlab.store.database import connect, set_aside_damaged
from tttlab.store.layout import tables_sql, views_sql
from tttlab.store.manifest import Manifest, manifest_path, oldest_generation_read, read_manifest, write_manifest
from tttlab.store.segments import KINDS, Kind, pattern, segment_folder, segments

STORAGE_VERSION = "v1.5.0"
"""Read by every DuckDB from 1.5 on."""
SMALL_BYTES = 64 * 2**20
"""Archives below this size are merged when there are `MERGED_AT_ONCE` of them."""
MERGED_AT_ONCE = 4
KEPT_SECONDS = 600.0
"""How long a replaced file stays at least: a cursor may outlive its lease, and not every reader can write one."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """What goes into a new archive."""

    segments: dict[Kind, list[Path]]
    archives: list[str]

    def __bool__(self) -> bool:
        return any(self.segments.values()) or len(self.archives) > 1

    @property
    def names(self) -> list[str]:
        """The file names of all of it."""
        return [*(path.name for kind in KINDS for path in self.segments[kind]), *self.archives]


def compact(folder: Path, to: Path | None = None, *, kept_seconds: float = KEPT_SECONDS) -> bool:
    """Gather what is in segments into an archive; with `to`, also publish the whole store as one DuckDB file.

    A file that an archive replaces stays for `kept_seconds`, and as long as a reader holds a lease on it. Returns
    whether this process did it: another that is at it already is left to it. Raises `StoreError`; a store that cannot
    be compacted is published as it is, with a warning.
    """
    folder = folder.absolute()
    done = False
    try:
        done = folder.is_dir() and _compacted(folder, kept_seconds)
    except StoreError as error:
        if to is None:
            raise
        warnings.warn(f"{error}; it is published as it is", stacklevel=2)
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
        _remove_temporary(temporary)


def _compacted(folder: Path, kept_seconds: float) -> bool:
    lock = FileLock(folder / "compaction.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        raise StoreError(f"the store in {folder} cannot be compacted: {error.strerror or error}") from error
    try:
        _compact_locked(folder, kept_seconds)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the store in {folder} could not be compacted: {str(error).splitlines()[0]}") from error
    finally:
        lock.release()
    return True


def _compact_locked(folder: Path, kept_seconds: float) -> None:
    manifest = read_manifest(folder)
    if not manifest_path(folder).exists():
        # Before the first archive is there, so that one without a manifest is known to have lost it.
        write_manifest(folder, manifest)
    _clear_strays(folder, manifest)
    sources = _sources(folder, manifest, set_aside_damaged(folder, manifest))
    if sources:
        manifest = _archived(folder, manifest, sources)
    _remove_unneeded(folder, manifest, kept_seconds)


def _sources(folder: Path, manifest: Manifest, damaged: set[str]) -> _Sources:
    left_out = {*manifest.segments, *damaged}
    found = {kind: [path for path in segments(folder, kind) if path.name not in left_out] for kind in KINDS}
    return _Sources(found, _to_merge(folder, manifest))


def _archived(folder: Path, manifest: Manifest, sources: _Sources) -> Manifest:
    """Build an archive from these and put the manifest that names it in force."""
    try:
        name = _build(folder, manifest, sources)
    except duckdb.Error:
        # An archive that is damaged where its checksum does not tell must not hold up the segments for ever.
        sources = replace(sources, archives=[])
        if not sources:
            return manifest
        name = _build(folder, manifest, sources)
    now = time.time()
    manifest = Manifest(
        generation=manifest.generation + 1,
        archives=(*(old for old in manifest.archives if old not in sources.archives), name),
        segments={**manifest.segments, **{path.name: now for kind in KINDS for path in sources.segments[kind]}},
        retired={**manifest.retired, **dict.fromkeys(sources.archives, now)},
    )
    write_manifest(folder, manifest)
    return manifest


def _to_merge(folder: Path, manifest: Manifest) -> list[str]:
    paths = [archive_folder(folder) / name for name in manifest.archives]
    small = [path.name for path in paths if not damage(path) and path.stat().st_size < SMALL_BYTES]
    return small if len(small) >= MERGED_AT_ONCE else []


def _build(folder: Path, manifest: Manifest, sources: _Sources) -> str:
    archives = archive_folder(folder)
    archives.mkdir(exist_ok=True)
    temporary = archives / f"{secrets.token_hex(8)}.duckdb.tmp"
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute(f"ATTACH {quoted(temporary)} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute(f"USE made; {tables_sql()}; {SOURCES_SQL}")
        connection.execute("INSERT INTO sources SELECT unnest(?)", [_held(folder, manifest, sources)])
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
        connection.close()
        _sync(temporary)
        return publish_archive(temporary)
    finally:
        connection.close()
        _remove_temporary(temporary)


def _held(folder: Path, manifest: Manifest, sources: _Sources) -> list[str]:
    """What the new archive takes the place of: its sources, and theirs as far as the files are perhaps still there."""
    still = {*manifest.segments, *manifest.retired}
    before = set[str]().union(*(sources_of(archive_folder(folder) / name) for name in sources.archives))
    return sorted({*sources.names, *(before & still)})


def _insert(connection: duckdb.DuckDBPyConnection, kind: Kind, files: Sequence[Path]) -> None:
    listed = ", ".join(quoted(pattern(path)) for path in files)
    connection.execute(f"INSERT INTO stored_{kind} BY NAME FROM read_parquet([{listed}])")


def _remove_unneeded(folder: Path, manifest: Manifest, kept_seconds: float) -> None:
    """Remove the files that were replaced long enough ago, if every living reader reads the manifest in force."""
    oldest = oldest_generation_read(folder)
    if oldest is not None and oldest < manifest.generation:
        return
    before = time.time() - kept_seconds
    # The same generation: what readers see is the same with and without these names.
    kept = replace(
        manifest,
        segments=_kept(manifest.segments, before, lambda name: _segment_path(folder, name)),
        retired=_kept(manifest.retired, before, lambda name: archive_folder(folder) / name),
    )
    if kept != manifest:
        write_manifest(folder, kept)


def _kept(replaced: Mapping[str, float], before: float, path_of: Callable[[str], Path]) -> dict[str, float]:
    return {name: when for name, when in replaced.items() if when > before or not _removed(path_of(name))}


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
    """Remove what a killed compaction left: temporaries, and an archive no manifest names that nothing would miss."""
    for path in (*archive_folder(folder).glob("*.tmp*"), *folder.glob("manifest.*.tmp")):
        _removed(path)
    strays = [name for name in archives_in(folder) if name not in manifest.archives and name not in manifest.retired]
    if not strays:
        return
    there = {path.name for kind in KINDS for path in segments(folder, kind)}
    for name in manifest.archives:
        path = archive_folder(folder) / name
        if not damage(path):
            there |= {name, *sources_of(path)}
    for name in strays:
        sources = sources_of(archive_folder(folder) / name)
        if sources and sources <= there:
            _removed(archive_folder(folder) / name)


def _remove_temporary(path: Path) -> None:
    """Remove a database that was not finished, with its log."""
    for each in (path, path.with_name(f"{path.name}.wal")):
        _removed(each)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
