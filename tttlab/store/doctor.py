"""Examining a store: what is in it, what is damaged, what is left over, and what was or can be done about it.

Every byte is read again. What is damaged is set aside, what nobody needs is removed, and a manifest that is lost is
made anew from what the archives say; with `mend=False` nothing is changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, damage
from tttlab.store.contents import rows_in
from tttlab.store.damaged import cannot_be_opened, damaged_folder, set_aside
from tttlab.store.findings import Finding, counted, size
from tttlab.store.inventory import inventory
from tttlab.store.layout import steps
from tttlab.store.leftovers import leftovers
from tttlab.store.manifest import Manifest, manifest_path, read_manifest, write_manifest
from tttlab.store.place import is_writable, of_bundle, of_place
from tttlab.store.segments import (
    KINDS,
    SEED,
    VERSION,
    is_damaged,
    is_seed,
    is_whole,
    make_seed,
    segment_folder,
    segments,
)
from tttlab.store.upkeep import upkeep
from tttlab.store.writers import writer_of

LOCK_SECONDS = 10.0
"""How long is waited for a compaction to end."""


def examine(folder: Path, *, mend: bool = True) -> tuple[Finding, ...]:
    """What there is to say about the store in `folder`, in the order in which it is read.

    Without `mend` nothing is changed. Raises nothing: what cannot be read is a finding.
    """
    folder = folder.absolute()
    found = [*of_bundle(folder.parent)]
    if not folder.is_dir():
        nothing = Finding("fine", "there is no store yet", folder, "nothing was recorded here", "run something")
        return (*found, nothing)
    found += of_place(folder)
    try:
        if not mend or not is_writable(folder):
            found += _examined(folder, mend=False)
            return tuple(found)
        with upkeep(folder, "mended", wait=LOCK_SECONDS) as ours:
            found += _examined(folder, mend=ours)
            if not ours:
                found.append(Finding("note", "another process compacts", folder, remedy="ask again to have it mended"))
    except (StoreError, OSError) as error:
        found.append(Finding("trouble", str(error), folder, remedy="see to the disk, and ask again"))
    return tuple(found)


def _examined(folder: Path, *, mend: bool) -> Iterator[Finding]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            manifest = read_manifest(folder, mend=mend)
        except StoreError as error:
            yield Finding("trouble", str(error), folder)
            return
    yield from _of_manifest(folder, manifest, [str(each.message) for each in said], mend=mend)
    damaged, unread = _not_as_written(folder, manifest)
    out = {path.name for path in (*damaged, *unread)}
    if mend and (bad := [path.name for path in damaged if path.name in manifest.archives]):
        manifest = _without(folder, manifest, bad)
    before = set(damaged_folder(folder).glob("*"))
    for path, reason in damaged.items():
        yield _lost(folder, path, reason, mend=mend)
    for path, reason in unread.items():
        yield _closed(path, reason)
    yield from _seeds(folder, mend=mend)
    hidden = {*manifest.segments, *out}
    archives = [name for name in manifest.archives if name not in out]
    there = {kind: [path for path in segments(folder, kind) if path.name not in hidden] for kind in KINDS}
    yield from inventory(folder, archives, there)
    yield from _set_aside_before(folder, before)
    yield from leftovers(folder, manifest, mend=mend)


def _of_manifest(folder: Path, manifest: Manifest, said: Sequence[str], *, mend: bool) -> Iterator[Finding]:
    path = manifest_path(folder)
    if said and mend:
        write_manifest(folder, manifest)
    for each in said:
        remedy = "it was written anew" if mend else "`tttlab doctor` writes it anew"
        yield Finding("mended" if mend else "trouble", each, path, remedy=remedy)
    versions = f"format {VERSION}, schema {steps()[-1].number}"
    if path.exists():
        yield Finding("fine", f"{versions}, generation {manifest.generation}", path)
    else:
        yield Finding("fine", f"{versions}, not compacted yet", folder)


def _seeds(folder: Path, *, mend: bool) -> Iterator[Finding]:
    for kind in KINDS:
        seed = segment_folder(folder, kind) / SEED
        if seed.parent.is_dir() and not is_seed(seed, kind):
            if mend:
                make_seed(folder, kind)
            yield Finding(
                "mended" if mend else "note",
                f"{SEED} is damaged or missing",
                seed,
                "it holds no rows, and tells an open connection which columns there are",
                "it was made anew" if mend else "the next reader that may write makes it anew",
            )


def _not_as_written(folder: Path, manifest: Manifest) -> tuple[dict[Path, str], dict[Path, str]]:
    """The files that are not what was written, and those that may be but cannot be read now, each with the reason.

    Only the former are set aside: somebody may have an archive open to write, or too many files are open.
    """
    damaged, unread = {}, {}
    for path in (archive_folder(folder) / name for name in manifest.archives):
        if reason := cannot_be_opened(path):
            unread[path] = reason
        elif reason := damage(path, again=True):
            damaged[path] = reason
        elif rows_in(path) is None:
            unread[path] = "DuckDB cannot open it, though its bytes are those that were written"
    for path in (path for kind in KINDS for path in segments(folder, kind) if path.name not in manifest.segments):
        if is_whole(path, again=True):
            continue
        if is_damaged(path):
            damaged[path] = "its bytes are not those that were written"
        else:
            unread[path] = cannot_be_opened(path) or "it could not be opened"
    return damaged, unread


def _lost(folder: Path, path: Path, reason: str, *, mend: bool) -> Finding:
    there, ours = path.exists() or path.is_symlink(), path.suffix == ".duckdb" or writer_of(path.name)
    rows = rows_in(path) if there else None
    done = _put_away(folder, path) if mend else "`tttlab doctor` sets it aside"
    if not ours:
        return Finding(
            "trouble", f"{path.name} is no segment", path, "tttlab did not write it, and does not read it", done
        )
    said = "how many rows it had cannot be read" if rows is None else f"it says that it had {counted(rows, 'row')}"
    if not there:
        done = "the manifest does not name it any more" if mend else "`tttlab doctor` takes it out of the manifest"
    back = f"if you have a copy, put it back as {path}"
    if path.suffix == ".duckdb":
        back += f" and remove {manifest_path(folder)}: the archives that are there are then read"
    return Finding(
        "trouble",
        f"{path.name} is {'damaged' if there else 'missing'} ({reason})",
        path,
        f"its rows are lost, and no others; {said}" if there else "its rows are lost, and no others",
        f"{done}; {back}",
    )


def _put_away(folder: Path, path: Path) -> str:
    try:
        return f"it was set aside to {set_aside(folder, path).parent}"
    except OSError as error:
        return f"it could not be set aside ({error.strerror or error}) and is left out"


def _closed(path: Path, reason: str) -> Finding:
    return Finding(
        "trouble",
        f"{path.name} cannot be read now ({reason})",
        path,
        "its rows are left out until it can be, and it stays where it is",
        "close what has it open to write, see to its permissions, and ask again",
    )


def _without(folder: Path, manifest: Manifest, archives: Sequence[str]) -> Manifest:
    left = tuple(name for name in manifest.archives if name not in archives)
    manifest = replace(manifest, generation=manifest.generation + 1, archives=left)
    write_manifest(folder, manifest)
    return manifest


def _set_aside_before(folder: Path, files: Collection[Path]) -> Iterator[Finding]:
    if files:
        total = size(sum(path.lstat().st_size for path in files))
        yield Finding(
            "note",
            f"{counted(len(files), 'file')} set aside earlier ({total})",
            damaged_folder(folder),
            "they are not read",
            "keep them for a repair of your own, or remove the folder",
        )
