"""Which archives make up a store, which segments they hold already, and which readers still need older files.

The manifest is one JSON file that is replaced by rename. Every compaction makes a new generation of it. A reader holds
a lease, a locked file that names the generation it reads; its files stay until no reader of an older generation lives.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tttlab.errors import StoreError
from tttlab.store.segments import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The state of a store's archives. `segments` are archived ones whose files are perhaps still there."""

    generation: int = 0
    archives: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    """Archives that were merged into newer ones and whose files are perhaps still there."""


def read_manifest(store: Path) -> Manifest:
    """The manifest in force. Raises `StoreError` where a newer tttlab wrote the store, or it is damaged."""
    newer = [entry.name for entry in _entries(store / "segments") if _number(entry.name) > VERSION]
    try:
        read = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
        version = int(read["version"])
        manifest = Manifest(
            generation=int(read["generation"]),
            archives=tuple(read["archives"]),
            segments=tuple(read["segments"]),
            retired=tuple(read["retired"]),
        )
    except FileNotFoundError:
        version, manifest = VERSION, Manifest()
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{store / 'manifest.json'} is damaged ({error}): move it away, and the archives/ beside it are listed anew"
        ) from error
    if version > VERSION or newer:
        raise StoreError(
            f"the store in {store} was written by a newer tttlab (format {newer[0] if newer else version}, "
            f"this one reads {VERSION}): upgrade tttlab to read it"
        )
    return manifest


def write_manifest(store: Path, manifest: Manifest) -> None:
    """Put a manifest in force."""
    target = store / "manifest.json"
    temporary = target.with_name(f"manifest.{secrets.token_hex(4)}.tmp")
    fields = {
        "version": VERSION,
        "generation": manifest.generation,
        "archives": manifest.archives,
        "segments": manifest.segments,
        "retired": manifest.retired,
    }
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(fields, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


class Lease:
    """A reader's claim on the files of a generation, until it is released or its process ends.

    It begins as a claim on everything, before the manifest is read: so no file can go between reading and claiming.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / "readers" / f"{os.getpid()}-{secrets.token_hex(4)}.lease"
        self._lock = FileLock(f"{self._path}.lock")
        self._held = False
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
            self._path.write_text("0", encoding="ascii")
            self._held = True
        except OSError:
            # A store that cannot be written to is not compacted either: nothing needs to be claimed.
            self._lock.release()

    def hold(self, generation: int) -> None:
        """Claim the files of this generation only."""
        if self._held:
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(str(generation), encoding="ascii")
            temporary.replace(self._path)

    def release(self) -> None:
        """Give the claim up. Harmless when done already."""
        if self._held:
            self._held = False
            self._path.unlink(missing_ok=True)
            self._lock.release()
            Path(f"{self._path}.lock").unlink(missing_ok=True)


def oldest_generation_read(store: Path) -> int | None:
    """The oldest generation that a living reader claims; None if nobody reads. Clears away what the dead have left."""
    claimed: list[int] = []
    for path in (store / "readers").glob("*.lease"):
        lock = FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            claimed.append(_claim(path))
        else:
            path.unlink(missing_ok=True)
            lock.release()
            Path(f"{path}.lock").unlink(missing_ok=True)
    return min(claimed, default=None)


def _claim(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        return []


def _number(name: str) -> int:
    digits = name.removeprefix("v")
    return int(digits) if digits.isdigit() else 0
