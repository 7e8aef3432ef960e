"""Which process wrote a segment, and whether it still runs, as far as this machine can tell."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

_SEGMENT = re.compile(r"^(?P<time>\d+)-(?P<process>[0-9a-f]+)[0-9a-f]{8}-\d+-[0-9a-f]{8}\.parquet")
_SEED = re.compile(r"\.parquet\.(?P<process>[0-9a-f]+)[0-9a-f]{8}\.tmp$")
CLOCKS_DIFFER_SECONDS = 60.0
"""How much a machine's clock may have been set since a process started."""


def writer_of(name: str) -> tuple[int, float] | None:
    """The id of the process that wrote a segment, and when it did (seconds since 1970), from the segment's name."""
    if not (found := _SEGMENT.match(name)):
        return None
    return int(found["process"], 16), int(found["time"]) / 1000


def temporary_of(path: Path) -> tuple[int, float] | None:
    """The same of a segment, or a seed, that is not finished. Raises `OSError` where it is gone."""
    if found := _SEED.search(path.name):
        return int(found["process"], 16), path.stat().st_mtime
    return writer_of(path.name)


def still_runs(process: int, since: float) -> bool | None:
    """Whether the process that had this id at that time runs here; None where the system does not tell.

    A process of another machine, or of a container that is closed off, is not seen.
    """
    if sys.platform == "win32":
        return None  # Asking with a signal, as elsewhere, would end it.
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return _is_the_one(process, since)


def _is_the_one(process: int, since: float) -> bool:
    """Whether the process that has this id now had it then already, and has not ended; true where that is unknown."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        booted = re.search(r"^btime (\d+)", Path("/proc/stat").read_text(encoding="utf-8"), re.MULTILINE)
        started = int(booted[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK") if booted else 0.0
    except (OSError, ValueError, IndexError):
        return True
    return state not in "ZX" and started <= since + CLOCKS_DIFFER_SECONDS


def readers(folder: Path) -> list[int]:
    """The processes that hold a lease on files of the store, as far as can be known."""
    found = set()
    for path in (folder / "readers").glob("*.lease"):
        process, _, _ = path.name.partition("-")
        try:
            if process.isdigit() and still_runs(int(process), path.stat().st_mtime) is not False:
                found.add(int(process))
        except OSError:
            continue
    return sorted(found)
