"""Upkeep: the locks under which a store's files are replaced and spans of elsewhere taken in; removal of old files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, archives_in, damage, sources_of
from tttlab.store.manifest import Manifest, oldest_generation_read, write_manifest
from tttlab.store.segments import KINDS, segment_folder, segment_folders, segments

KEPT_SECONDS = 600.0
"""How long a replaced file stays at least: a cursor may outlive its lease, and not every reader can write one."""

AT_ONCE = 0.0
"""When a file was replaced, for one that is to go as soon as no reader holds it."""


@contextmanager
def upkeep(folder: Path, doing: str, *, wait: float = 0.0) -> Iterator[bool]:
    """Hold the lock under which one process at a time replaces files; false if another holds it after `wait` seconds.

    Raises `StoreError`, which says what could not be done (`doing`: "compacted"), for an error of the disk or DuckDB.
    """
    lock = FileLock(folder / "compaction.lock")
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise StoreError(f"the store in {folder} cannot be {doing}: {error.strerror or error}") from error
    try:
        yield True
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the store in {folder} could not be {doing}: {str(error).splitlines()[0]}") from error
    finally:
        lock.release()


@contextmanager
def taking_in(folder: Path) -> Iterator[None]:
    """Wait for the lock under which one process at a time records what the store may have already, and hold it.

    Whoever looks whether a span is there, and records it where it is not, does both under it. Makes the folder. Raises
    `StoreError` where it cannot be written to.
    """
    lock = FileLock(folder / "import.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise StoreError(f"the store in {folder} cannot be written to: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def remove_unneeded(folder: Path, manifest: Manifest, kept_seconds: float = KEPT_SECONDS) -> Manifest:
    """Remove the files that were replaced long enough ago, if every living reader reads the manifest in force.

    Returns the manifest in force then. Only under the lock.
    """
    oldest = oldest_generation_read(folder)
    if oldest is not None and oldest < manifest.generation:
        return manifest
    before = time.time() - kept_seconds
    # The same generation: what readers see is the same with and without these names.
    kept = replace(
        manifest,
        segments=_kept(manifest.segments, before, lambda name: segment_path(folder, name)),
        retired=_kept(manifest.retired, before, lambda name: archive_folder(folder) / name),
    )
    if kept != manifest:
        write_manifest(folder, kept)
    return kept


def segment_path(folder: Path, name: str) -> Path:
    """Where the segment of this name lies, or would."""
    for kind in KINDS:
        for here in segment_folders(folder, kind):
            if (path := here / name).exists():
                return path
    return segment_folder(folder, "spans") / name


def clear_strays(folder: Path, manifest: Manifest) -> list[Path]:
    """Remove what a killed process left under the lock: temporaries and `strays`. Only under the lock."""
    return [path for path in (*temporaries(folder), *strays(folder, manifest)) if removed(path)]


def temporaries(folder: Path) -> list[Path]:
    """Files of archives and manifests that were never finished, unless somebody holds the lock."""
    return [*archive_folder(folder).glob("*.tmp*"), *folder.glob("manifest.*.tmp")]


def strays(folder: Path, manifest: Manifest) -> list[Path]:
    """Archives that no manifest names and that nothing would miss: all that went into them is still there."""
    found = [name for name in archives_in(folder) if name not in manifest.archives and name not in manifest.retired]
    if not found:
        return []
    there = {path.name for kind in KINDS for path in segments(folder, kind)}
    for name in manifest.archives:
        path = archive_folder(folder) / name
        if not damage(path):
            there |= {name, *sources_of(path)}
    paths = [archive_folder(folder) / name for name in found]
    return [path for path in paths if (sources := sources_of(path)) and sources <= there]


def removed(path: Path) -> bool:
    """Remove a file; whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows keeps a file that somebody has open; the next compaction tries again.
        return False
    return True


def _kept(replaced: Mapping[str, float], before: float, path_of: Callable[[str], Path]) -> dict[str, float]:
    return {name: when for name, when in replaced.items() if when > before or not removed(path_of(name))}
