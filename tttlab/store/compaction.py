"""Compaction: gathers segments into immutable DuckDB archives, and publishes a store as one file.

One process at a time compacts, under a lock that it only tries for. Nothing published is written to again: a new
archive is built under a temporary name, a new manifest is put in force by rename, and files go when no reader can need
them: nobody holds a lease on an older generation, and they were replaced a while ago. A process that is killed at any
point leaves a store that is whole.
"""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from tttlab.errors import StoreError
from tttlab.store.archives import STEPS_SQL, archive_folder, damage, quoted, refuse_newer, version_of
from tttlab.store.building import STORAGE_VERSION, Sources, build_archive, packed, remove_temporary, take
from tttlab.store.database import connect, set_aside_damaged
from tttlab.store.layout import Step, steps, views_sql
from tttlab.store.manifest import Manifest, manifest_path, read_manifest, write_manifest
from tttlab.store.segments import KINDS, segments
from tttlab.store.stopping import Stop
from tttlab.store.upkeep import KEPT_SECONDS, clear_strays, remove_unneeded, upkeep

SMALL_BYTES = 64 * 2**20
"""Archives below this size are merged when there are `MERGED_AT_ONCE` of them."""
MERGED_AT_ONCE = 4


def compact(
    folder: Path,
    to: Path | None = None,
    *,
    kept_seconds: float = KEPT_SECONDS,
    schema: Sequence[Step] | None = None,
    stop: Stop | None = None,
) -> bool:
    """Gather what is in segments into an archive; with `to`, also publish the whole store as one DuckDB file.

    A file that an archive replaces stays for `kept_seconds`, and as long as a reader holds a lease on it. Archives of
    an earlier version of the schema (its steps; tttlab's own unless given) are brought to the newest. Returns whether
    this process did it: another that is at it already is left to it. Raises `StoreError`; a store that cannot be
    compacted is published as it is, with a warning. `stop` ends it early, with `Stopped`.
    """
    folder = folder.absolute()
    done = False
    try:
        done = folder.is_dir() and _compacted(folder, kept_seconds, schema or steps(), stop or Stop())
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
        source.execute(f"USE published; {STEPS_SQL}")
        for step in steps():
            take(source, packed(step))
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
        remove_temporary(temporary)


def _compacted(folder: Path, kept_seconds: float, schema: Sequence[Step], stop: Stop) -> bool:
    with upkeep(folder, "compacted") as ours:
        if ours:
            _compact_locked(folder, kept_seconds, schema, stop)
    return ours


def _compact_locked(folder: Path, kept_seconds: float, schema: Sequence[Step], stop: Stop) -> None:
    manifest = read_manifest(folder)
    if not manifest_path(folder).exists():
        # Before the first archive is there, so that one without a manifest is known to have lost it.
        write_manifest(folder, manifest)
    versions = _versions(folder, manifest, schema)
    clear_strays(folder, manifest)
    sources = _sources(folder, manifest, set_aside_damaged(folder, manifest))
    if sources.names:
        manifest = _archived(folder, manifest, sources, schema, stop)
    for name, version in versions.items():
        if version < schema[-1].number and name in manifest.archives:
            manifest = _archived(folder, manifest, Sources(archives=[name]), schema, stop)
    remove_unneeded(folder, manifest, kept_seconds)


def _versions(folder: Path, manifest: Manifest, schema: Sequence[Step]) -> dict[str, int]:
    """The version of each archive that can be read. Raises `StoreError` for one that is newer than this tttlab."""
    paths = [archive_folder(folder) / name for name in manifest.archives]
    found = {path: version for path in paths if not damage(path) and (version := version_of(path)) is not None}
    for path, version in found.items():
        refuse_newer(path, version, schema[-1].number)
    return {path.name: version for path, version in found.items()}


def _sources(folder: Path, manifest: Manifest, damaged: set[str]) -> Sources:
    left_out = {*manifest.segments, *damaged}
    found = {kind: [path for path in segments(folder, kind) if path.name not in left_out] for kind in KINDS}
    return Sources(found, _to_merge(folder, manifest))


def _archived(folder: Path, manifest: Manifest, sources: Sources, schema: Sequence[Step], stop: Stop) -> Manifest:
    """Build an archive from these and put the manifest that names it in force."""
    try:
        name = build_archive(folder, manifest, sources, schema=schema, stop=stop)
    except duckdb.Error:
        # An archive that is damaged where its checksum does not tell must not hold up the segments for ever.
        sources = replace(sources, archives=[])
        if not sources.names:
            return manifest
        name = build_archive(folder, manifest, sources, schema=schema, stop=stop)
    return replaced(folder, manifest, sources, [name])


def replaced(
    folder: Path, manifest: Manifest, sources: Sources, archives: Sequence[str], *, at: float | None = None
) -> Manifest:
    """Put a manifest in force that names `archives` where it named `sources`, which were replaced now, or at `at`."""
    when = time.time() if at is None else at
    listed = [path.name for kind in KINDS for path in sources.segments.get(kind, ())]
    manifest = Manifest(
        generation=manifest.generation + 1,
        archives=(*(old for old in manifest.archives if old not in sources.archives), *archives),
        segments={**manifest.segments, **dict.fromkeys(listed, when)},
        retired={**manifest.retired, **dict.fromkeys(sources.archives, when)},
    )
    write_manifest(folder, manifest)
    return manifest


def _to_merge(folder: Path, manifest: Manifest) -> list[str]:
    paths = [archive_folder(folder) / name for name in manifest.archives]
    small = [path.name for path in paths if not damage(path) and path.stat().st_size < SMALL_BYTES]
    return small if len(small) >= MERGED_AT_ONCE else []
