"""Files of a store that nobody needs: what processes left when they were killed, and what newer files replaced."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tttlab.store.archives import archive_folder
from tttlab.store.findings import Finding, counted, size
from tttlab.store.manifest import Manifest, oldest_generation_read
from tttlab.store.segments import KINDS, segment_folders
from tttlab.store.upkeep import AT_ONCE, KEPT_SECONDS, remove_unneeded, removed, segment_path, strays, temporaries
from tttlab.store.writers import readers, still_runs, temporary_of


def leftovers(folder: Path, manifest: Manifest, *, mend: bool) -> Iterator[Finding]:
    """What is left over, removed if `mend`; that only under the lock (see `upkeep.upkeep`)."""
    yield from _unfinished(folder, manifest, mend=mend)
    if mend:
        oldest_generation_read(folder)  # Clears away the leases of readers that were killed.
        manifest = remove_unneeded(folder, manifest)
    paths = [path for path in replaced_files(folder, manifest) if path.exists()]
    if not paths:
        return
    reading = readers(folder)
    who = f" (now: process {', '.join(map(str, reading))})" if reading else ""
    gone = [name for name, when in {**manifest.segments, **manifest.retired}.items() if when == AT_ONCE]
    held = f"; {counted(len(gone), 'file')} of them may hold runs that were deleted" if gone else ""
    yield Finding(
        "note",
        f"{counted(len(paths), 'file')} that archives replaced ({_total(paths)})",
        folder,
        f"they stay while a reader may need them{who}, {KEPT_SECONDS / 60:.0f} minutes at least{held}",
        "a compaction removes them then",
    )


def replaced_files(folder: Path, manifest: Manifest) -> list[Path]:
    """Where the files lie, or lay, that the manifest names as replaced."""
    return [
        *(segment_path(folder, name) for name in manifest.segments),
        *(archive_folder(folder) / name for name in manifest.retired),
    ]


def abandoned(folder: Path) -> list[Path]:
    """Unfinished files whose process has ended, or that are older than any writing takes."""
    found = [path for path in _written_alone(folder) if _is_abandoned(path)]
    leases = {path.name for path in (folder / "readers").glob("*.lease")}
    locks = [path for path in (folder / "readers").glob("*.lock") if path.name.removesuffix(".lock") not in leases]
    return [*found, *(path for path in locks if _is_old(path))]


def _unfinished(folder: Path, manifest: Manifest, *, mend: bool) -> Iterator[Finding]:
    alone = abandoned(folder)
    under_lock = [path for path in temporaries(folder) if mend or _is_old(path)] + strays(folder, manifest)
    for paths, where in ((alone, folder / "segments"), (under_lock, archive_folder(folder))):
        total = _total(paths)
        if mend:
            for path in paths:
                removed(path)
        if paths:
            yield Finding(
                "mended" if mend else "note",
                f"{counted(len(paths), 'file')} that were never finished, or never put in force ({total})",
                where,
                "a process was killed while it wrote them; nothing is lost by it",
                "they were removed" if mend else "`tttlab doctor` removes them",
            )


def _written_alone(folder: Path) -> list[Path]:
    """Temporaries that are written without the lock."""
    found = [path for kind in KINDS for here in segment_folders(folder, kind) for path in here.glob("*.tmp")]
    return [*found, *(folder / "readers").glob("*.tmp")]


def _is_abandoned(path: Path) -> bool:
    try:
        writer = temporary_of(path)
    except OSError:
        return False
    return _is_old(path) or (writer is not None and still_runs(*writer) is False)


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - KEPT_SECONDS
    except OSError:
        return False


def _total(paths: Sequence[Path]) -> str:
    total = 0
    for path in paths:
        with suppress(OSError):
            total += path.stat().st_size
    return size(total)
