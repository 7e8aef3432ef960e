"""The folder of a store where damaged files are set aside, out of the way of every reader and for good."""

from __future__ import annotations

import errno
import stat
from itertools import count
from pathlib import Path

NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
"""Errors of what is no file, and will be none later: a link to nothing or to itself, a folder."""


def damaged_folder(store: Path) -> Path:
    """Where they lie."""
    return store / "damaged"


def set_aside(store: Path, path: Path) -> Path:
    """Move a file there, under a name that nothing there has; returns where it is. Raises `OSError`."""
    folder = damaged_folder(store)
    folder.mkdir(exist_ok=True)
    names = (path.name if number == 1 else f"{path.stem}.{number}{path.suffix}" for number in count(1))
    return path.replace(next(free for name in names if not (free := folder / name).exists()))


def cannot_be_opened(path: Path) -> str | None:
    """Why a file that is there cannot be opened now; None if it can, and where there is no file."""
    try:
        if stat.S_ISREG(path.stat().st_mode):  # A pipe would be waited for.
            path.open("rb").close()
    except OSError as error:
        return None if error.errno in NO_FILE else error.strerror or str(error)
    return None
