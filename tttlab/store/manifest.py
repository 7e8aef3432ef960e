"""Which archives make up a store, which segments they hold already, and which readers still need older files.

The manifest is one JSON file that is replaced by rename. Every compaction makes a new generation of it. A reader holds
a lease, a locked file that names the generation it reads; its files stay until no reader of an older generation lives.
One that is lost or damaged is made anew from what the archives say of themselves.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder, archives_in, sources_of
from tttlab.store.segments import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The state of a store's archives. What was replaced is named with the time (seconds since 1970) when it was."""

    generation: int = 0
    archives: tuple[str, ...] = ()
    segments: Mapping[str, float] = field(default_factory=dict)
    """Segments that an archive holds and whose files are perhaps still there."""
    retired: Mapping[str, float] = field(default_factory=dict)
    """Archives that were merged into newer ones and whose files are perhaps still there."""


def manifest_path(store: Path) -> Path:
    """Where the manifest in force lies."""
    return store / "manifest.json"


def read_manifest(store: Path, *, mend: bool = True) -> Manifest:
    """The manifest in force. Raises `StoreError` where a newer tttlab wrote the store, or it cannot be read.

    A damaged one is set aside with a warning, and what the archives hold takes its place; without `mend` nothing is
    moved.
    """
    newer = [entry.name for entry in _entries(store / "segments") if _number(entry.name) > VERSION]
    # Listed before it is read: a store has a manifest before it has its first archive, so then it was lost.
    archives = archives_in(store)
    path = manifest_path(store)
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        version = _whole(read["version"])
        manifest = _parsed(read) if version <= VERSION else Manifest()
    except FileNotFoundError:
        version, manifest = VERSION, Manifest()
        if archives and not newer:
            manifest = _made_anew(store, archives, f"{path} is missing", mend=mend)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        version, manifest = VERSION, Manifest()
        if not newer:
            aside = _set_aside(path) if mend else "it is left where it is"
            manifest = _made_anew(store, archives, f"{path} is damaged ({error}): {aside}", mend=mend)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error}): see to its permissions") from error
    if version > VERSION or newer:
        raise StoreError(
            f"the store in {store} was written by a newer tttlab (format {newer[0] if newer else version}, "
            f"this one reads {VERSION}): upgrade tttlab to read it"
        )
    return manifest


def write_manifest(store: Path, manifest: Manifest) -> None:
    """Put a manifest in force."""
    target = manifest_path(store)
    temporary = target.with_name(f"manifest.{secrets.token_hex(4)}.tmp")
    fields = {
        "version": VERSION,
        "generation": manifest.generation,
        "archives": manifest.archives,
        "segments": dict(manifest.segments),
        "retired": dict(manifest.retired),
    }
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(fields, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _parsed(read: Any) -> Manifest:
    return Manifest(
        generation=_whole(read["generation"]),
        archives=tuple(_file_name(name) for name in _listed(read["archives"])),
        segments=_replaced(read["segments"]),
        retired=_replaced(read["retired"]),
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r:.40} is not a whole number")
    return value


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is not a list")
    return value


def _file_name(value: Any) -> str:
    # It is joined to the store's folder and perhaps removed: it must not lead out of it.
    if not isinstance(value, str) or value in ("", "..") or Path(value).name != value or "\\" in value:
        raise TypeError(f"{value!r:.40} is not a file's name")
    return value


def _replaced(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {_file_name(name): 0.0 for name in _listed(value)}
    return {_file_name(name): float(when) for name, when in value.items()}


def _set_aside(path: Path) -> str:
    aside = path.parent / "damaged"
    try:
        aside.mkdir(exist_ok=True)
        path.replace(aside / f"manifest-{time.time_ns() // 1_000_000}.json")
    except OSError:
        return "it is left where it is"
    return f"it was moved to {aside}"


def _made_anew(store: Path, archives: list[str], what: str, *, mend: bool) -> Manifest:
    """The manifest that the archives themselves amount to. Its generation is above all that readers claim."""
    warnings.warn(f"{what}; which archives count is read from the archives, and nothing is lost", stacklevel=4)
    held: set[str] = set()
    for name in archives:
        held |= sources_of(archive_folder(store) / name)
    now = time.time()
    return Manifest(
        generation=max(_claimed(store), default=0) + 1 if mend else 1,  # Asking clears away what the dead have left.
        archives=tuple(name for name in archives if name not in held),
        segments={name: now for name in sorted(held) if name.endswith(".parquet")},
        retired={name: now for name in archives if name in held},
    )


class Lease:
    """A reader's claim on the files of a generation, until it is released or its process ends.

    It begins as a claim on everything, before the manifest is read: so no file can go between reading and claiming.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / "readers" / f"{os.getpid()}-{secrets.token_hex(4)}.lease"
        self._lock = FileLock(f"{self._path}.lock")
        self._held = False
        self._process = os.getpid()
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
            self._held = True
            self._path.write_text("0", encoding="ascii")  # An empty one, on a full disk, claims everything as well.
        except OSError:
            # Where nothing can be claimed, what is replaced still stays for a while: see `upkeep.KEPT_SECONDS`.
            if not self._held:
                self._lock.release()

    def hold(self, generation: int) -> None:
        """Claim the files of this generation only."""
        if self._held:
            temporary = self._path.with_suffix(".tmp")
            try:
                temporary.write_text(str(generation), encoding="ascii")
                temporary.replace(self._path)
            except OSError:  # The wider claim stays.
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the claim up. Harmless when done already."""
        if self._held and self._process == os.getpid():  # Not that of the process that this one was forked from.
            self._held = False
            self._path.unlink(missing_ok=True)
            self._lock.release()
            Path(f"{self._path}.lock").unlink(missing_ok=True)


def oldest_generation_read(store: Path) -> int | None:
    """The oldest generation that a living reader claims; None if nobody reads. Clears away what the dead have left."""
    return min(_claimed(store), default=None)


def _claimed(store: Path) -> list[int]:
    claimed: list[int] = []
    for path in (store / "readers").glob("*.lease"):
        lock = FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=0)
            path.unlink(missing_ok=True)
            lock.release()
            Path(f"{path}.lock").unlink(missing_ok=True)
        except (Timeout, OSError):  # Held, or not ours to test: then it counts.
            claimed.append(_claim(path))
    return claimed


def _claim(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _number(name: str) -> int:
    digits = name.removeprefix("v")
    return int(digits) if digits.isdigit() else 0
