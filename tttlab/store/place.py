"""The place where a store lies: whether it can be written to, how much is free, which file system it is on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tttlab.errors import StoreError
from tttlab.store.bundles import is_bundle, read_bundle
from tttlab.store.findings import Finding, counted, size

LITTLE_BYTES = 256 * 2**20
"""As much as a journal keeps in memory while the disk is full."""

NETWORK = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs", "lustre"),
    *("ncpfs", "nfs", "nfs3", "nfs4", "smb", "smb3", "smbfs"),
}
"""Types of file systems that other machines share: there, locks do not always hold."""


def of_bundle(traces: Path) -> Iterator[Finding]:
    """What there is to say of the bundle that a folder of traces is, if it is one."""
    if not is_bundle(traces):
        return
    try:
        bundle = read_bundle(traces)
    except StoreError as error:
        yield Finding("trouble", str(error), traces, "nothing of it is read", "get it again from where it came from")
    else:
        yield Finding("fine", f"a bundle of {counted(len(bundle.runs), 'run')}, all of it as it was written", traces)


def of_place(folder: Path) -> Iterator[Finding]:
    """What there is to say of the place of a store."""
    kind, free = file_system(folder), free_bytes(folder)
    yield Finding("fine", f"the store is on {kind or 'a file system that this machine does not name'}", folder)
    if kind in NETWORK:
        yield Finding(
            "note",
            f"{kind} is a network file system",
            folder,
            "locks and renames that other machines see late can lose what two of them compact at once",
            "record on a local disk, or let one machine alone compact",
        )
    if not is_writable(folder):
        yield Finding(
            "trouble",
            "the folder is read-only",
            folder,
            "what is recorded is kept in memory, and lost when its process ends",
            "give yourself the right to write, or set TTTLAB_TRACES to another folder",
        )
    if free is not None and free < LITTLE_BYTES:
        yield Finding(
            "trouble",
            f"{size(free)} are free",
            folder,
            "recording may stop soon; runs go on, and what they record waits in memory",
            "make room: `tttlab delete RUNS` takes runs out for good",
        )
    elif free is not None:
        yield Finding("fine", f"{size(free)} are free", folder)


def is_writable(folder: Path) -> bool:
    """Whether files can be made in the folder."""
    return os.access(folder, os.W_OK | os.X_OK)


def free_bytes(folder: Path) -> int | None:
    """What is left on the disk; None where the system does not tell."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The type of the file system that the folder is on; None where the system does not tell (it is not Linux)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    here, found, longest = folder.resolve(), None, -1
    for line in lines:
        fields = line.split()
        if len(fields) < 3:  # noqa: PLR2004 - device, mount point, type
            continue
        point = Path(fields[1].encode().decode("unicode_escape"))  # Blanks are written as \040.
        if here.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = fields[2], len(point.parts)
    return found
