"""Taking runs out of a store for good: their spans, their tokens, the notes of their replays.

Files are never written to again once they are published, so each file that holds rows of these runs is replaced by an
archive that is built without them. A process that is killed at any point leaves a store that is whole: until the new
manifest is in force the runs are there, and then what is left of them is removed by the next compaction. Files that
were replaced stay ten minutes for readers that can hold no lease; these do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, damage, quoted, refuse_newer, version_of
from tttlab.store.building import Sources, build_archive
from tttlab.store.bundles import is_bundle, read_bundle
from tttlab.store.compaction import replaced
from tttlab.store.contents import open_files, rows_in
from tttlab.store.damaged import cannot_be_opened, damaged_folder
from tttlab.store.database import set_aside_damaged
from tttlab.store.leftovers import abandoned, replaced_files
from tttlab.store.manifest import Manifest, manifest_path, read_manifest, write_manifest
from tttlab.store.open_runs import open_runs
from tttlab.store.run_ids import run_ids
from tttlab.store.segments import KINDS, Kind, is_damaged, is_whole, segments
from tttlab.store.upkeep import AT_ONCE, clear_strays, remove_unneeded, removed, upkeep
from tttlab.store.writers import readers

LOCK_SECONDS = 60.0
"""How long is waited for a compaction to end."""
_NOTES = """
SELECT DISTINCT run_id FROM held_spans
WHERE operation = 'replay' AND list_contains($runs, attributes ->> '$."tttlab.replay.of"')
"""
_TRACES = "SELECT DISTINCT trace_id FROM held_spans WHERE list_contains($runs, run_id) AND trace_id IS NOT NULL"
_IDS = "SELECT run_id FROM held_spans WHERE run_id IS NOT NULL UNION SELECT run_id FROM held_tokens"


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was taken out of a store."""

    runs: tuple[str, ...]
    notes: int
    """Replays of these runs that were noted."""
    spans: int
    tokens: int
    waiting: tuple[Path, ...]
    """Files that still hold rows of these runs, because a reader has them open; compaction removes them after that."""
    readers: tuple[int, ...]
    """The processes that read the store."""
    unread: tuple[Path, ...]
    """Damaged files, which may hold rows of these runs, or of any other."""


@dataclass(frozen=True, slots=True)
class _There:
    """The files of a store: those that make it up, and those that were replaced and are still there."""

    archives: Sequence[str]
    segments: Mapping[Kind, Sequence[Path]]
    old_archives: Sequence[str]
    old_segments: Mapping[Kind, Sequence[Path]]
    damaged: Sequence[Path]


def delete(folder: Path, runs: Sequence[str]) -> Deleted:
    """Take runs out for good, by their ids or by beginnings that only one id has.

    Raises `StoreError` for a run that there is not or that is still being recorded, for one that a bundle holds, for a
    file that is whole and cannot be searched now, and where the store cannot be written to; then nothing was deleted.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise StoreError(f"there is no store in {folder}, so there is nothing to delete")
    with upkeep(folder, "changed", wait=LOCK_SECONDS) as ours:
        if not ours:
            raise StoreError(f"nothing was deleted: another process compacts the store in {folder}; try again")
        return _delete(folder, runs)


def matching(folder: Path, runs: Sequence[str]) -> list[str]:
    """The ids that these words mean. Raises `StoreError` as `delete` does; nothing is changed."""
    try:
        manifest = read_manifest(folder, mend=False)
        damaged = {path.name for kind in KINDS for path in segments(folder, kind) if not is_whole(path, again=True)}
        there = _there(folder, manifest, damaged)
        with open_files(folder, there.archives, there.segments) as held:
            return _chosen(folder, held, runs)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the store in {folder} could not be read: {str(error).splitlines()[0]}") from error


def _delete(folder: Path, words: Sequence[str]) -> Deleted:
    manifest = read_manifest(folder)
    if not manifest_path(folder).exists():
        write_manifest(folder, manifest)
    clear_strays(folder, manifest)
    for path in abandoned(folder):
        removed(path)
    there = _there(folder, manifest, set_aside_damaged(folder, manifest, again=True))
    with open_files(folder, there.archives, there.segments) as held:
        runs = _chosen(folder, held, words)
        notes = [note for (note,) in held.execute(_NOTES, {"runs": runs}).fetchall()]
        traces = [trace for (trace,) in held.execute(_TRACES, {"runs": [*runs, *notes]}).fetchall()]
        where = _where([*runs, *notes], traces)
        counts = {kind: _count(held, kind, where) for kind in KINDS}
        holding = _holding(held, where)
    with open_files(folder, there.old_archives, there.old_segments) as held:
        old = _holding(held, where)
    manifest = _replace(folder, manifest, there, holding, old, where)
    manifest = remove_unneeded(folder, manifest)
    return Deleted(
        runs=tuple(runs),
        notes=len(notes),
        spans=counts["spans"],
        tokens=counts["tokens"],
        waiting=tuple(
            path for path in replaced_files(folder, manifest) if path.name in holding | old and path.exists()
        ),
        readers=tuple(readers(folder)),
        unread=tuple(there.damaged),
    )


def _there(folder: Path, manifest: Manifest, damaged: set[str]) -> _There:
    archives = [archive_folder(folder) / name for name in manifest.archives]
    old_archives = [archive_folder(folder) / name for name in manifest.retired]
    closed = {path for path in archives if cannot_be_opened(path)}
    open_ones = [path for path in (*archives, *old_archives) if path not in closed and path.exists()]
    unread = closed | {path for path in open_ones if damage(path) or rows_in(path) is None}
    for path in archives:
        if path in open_ones and path not in unread:
            refuse_newer(path, version_of(path) or 1)
    files = {kind: [path for path in segments(folder, kind) if path.name not in damaged] for kind in KINDS}
    old = {kind: [path for path in files[kind] if path.name in manifest.segments] for kind in KINDS}
    unread_old = {path for kind in KINDS for path in old[kind] if not is_whole(path, again=True)}
    left = [path for kind in KINDS for path in segments(folder, kind) if path.name in damaged]
    _refuse_closed(
        [
            *(path for path in left if not is_damaged(path)),
            *(path for path in archives if path in unread and (path in closed or not damage(path))),
        ]
    )
    return _There(
        archives=[path.name for path in archives if path in open_ones and path not in unread],
        segments={kind: [path for path in files[kind] if path.name not in manifest.segments] for kind in KINDS},
        old_archives=[path.name for path in old_archives if path in open_ones and path not in unread],
        old_segments={kind: [path for path in old[kind] if path not in unread_old] for kind in KINDS},
        damaged=sorted(
            {
                *unread,
                *left,
                *unread_old,
                *(path for end in ("parquet", "duckdb") for path in damaged_folder(folder).glob(f"*.{end}")),
            }
        ),
    )


def _refuse_closed(paths: Sequence[Path]) -> None:
    """What cannot be searched now, and is whole, would bring back later what it holds of a deleted run."""
    if paths:
        raise StoreError(
            f"nothing was deleted: {paths[0]} cannot be read now, and may hold some of it; close what has it open, see "
            "to its permissions, or move it away"
        )


def _chosen(folder: Path, held: duckdb.DuckDBPyConnection, words: Sequence[str]) -> list[str]:
    there = [run for (run,) in held.execute(_IDS).fetchall()]
    try:
        runs = run_ids(words, there)
    except StoreError:
        if is_bundle(folder.parent):
            _refuse_bundled(folder.parent, words)
        raise
    for run in open_runs(folder, held):
        if run.id in runs and run.alive:
            raise StoreError(
                f"nothing was deleted: run {run.id} is still being recorded by process {run.process}; stop it first"
            )
    return runs


def _refuse_bundled(bundle: Path, words: Sequence[str]) -> None:
    for run in read_bundle(bundle).runs:
        if str(run["run_id"]).startswith(tuple(words)):
            raise StoreError(
                f"nothing was deleted: run {run['run_id']} is part of the bundle {bundle}, which is never changed; "
                "export the runs that are to stay as another bundle"
            )


def _where(runs: Sequence[str], traces: Sequence[str]) -> dict[Kind, str]:
    """What is deleted, as SQL conditions. A trace may hold spans of other libraries, which name no run."""
    listed, of_traces = (", ".join(map(quoted, each)) or "NULL" for each in (runs, traces))
    return {
        "spans": f"(run_id IN ({listed}) OR (run_id IS NULL AND trace_id IN ({of_traces})))",
        "tokens": f"(run_id IN ({listed}))",
    }


def _count(held: duckdb.DuckDBPyConnection, kind: Kind, where: Mapping[Kind, str]) -> int:
    what = "DISTINCT span_key" if kind == "spans" else "*"
    found = held.execute(f"SELECT count({what}) FROM held_{kind} WHERE {where[kind]}").fetchone()
    return int(found[0]) if found else 0


def _holding(held: duckdb.DuckDBPyConnection, where: Mapping[Kind, str]) -> set[str]:
    """The names of the files that hold rows that are deleted."""
    asked = " UNION ".join(f"SELECT file FROM held_{kind} WHERE {where[kind]}" for kind in KINDS)
    return {file for (file,) in held.execute(asked).fetchall()}


def _replace(
    folder: Path, manifest: Manifest, there: _There, holding: set[str], old: set[str], where: Mapping[Kind, str]
) -> Manifest:
    """Put a manifest in force in which no file holds what is deleted; those that did are to go as soon as they can."""
    alone = [Sources(archives=[name]) for name in there.archives if name in holding]
    files: dict[Kind, list[Path]] = {
        kind: [path for path in there.segments[kind] if path.name in holding] for kind in KINDS
    }
    sources = [*alone, *([Sources(files)] if any(files.values()) else [])]
    # All are built before any is in force: a run is deleted whole or not at all.
    built = [build_archive(folder, manifest, each, without=where) for each in sources]
    manifest = Manifest(
        generation=manifest.generation,
        archives=manifest.archives,
        segments={name: AT_ONCE if name in old else when for name, when in manifest.segments.items()},
        retired={name: AT_ONCE if name in old else when for name, when in manifest.retired.items()},
    )
    all_of_it = Sources(files, [name for each in alone for name in each.archives])
    return replaced(folder, manifest, all_of_it, built, at=AT_ONCE)
