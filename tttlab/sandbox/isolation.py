"""What this system gives to keep a program in, best first, and the command line that uses it."""

from __future__ import annotations

import os
import platform
import shutil
import site
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GUARD = Path(__file__).with_name("guard.py")
INSIDE = "/box"
"""The folder that a jailed program runs in: its own, empty, in memory, gone with it."""
_FILTERED = {"x86_64", "aarch64"}
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Isolation:
    """One way of keeping a program in."""

    kind: Literal["bubblewrap", "namespaces", "limits"]
    seccomp: bool

    def __str__(self) -> str:
        return f"{self.kind}, seccomp" if self.seccomp else self.kind

    @property
    def jailed(self) -> bool:
        """Whether the program sees a file system and a network of its own."""
        return self.kind != "limits"

    def command(self, space: int) -> list[str]:
        """The command that runs the guard; `space` is the size in bytes of a jailed program's folder."""
        guard = [sys.executable, "-I", "-S", str(GUARD)]
        return [*_bubblewrap(space), *guard] if self.kind == "bubblewrap" else guard


def candidates() -> list[Isolation]:
    """The ways that may work here, best first."""
    linux = sys.platform == "linux"
    kinds: list[Literal["bubblewrap", "namespaces", "limits"]] = []
    if linux and shutil.which("bwrap"):
        kinds.append("bubblewrap")
    if linux and platform.machine() in _FILTERED:
        kinds.append("namespaces")
    kinds.append("limits")
    filters = [True, False] if linux and platform.machine() in _FILTERED else [False]
    return [Isolation(kind, seccomp) for kind in kinds for seccomp in filters]


def readable() -> tuple[list[str], dict[str, str]]:
    """What a jailed program can read: this Python, its packages, and the system's libraries. Paths, then links."""
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values())
    python += (site.getusersitepackages(),) if site.ENABLE_USER_SITE else ()
    links = {path: str(Path(path).readlink()) for path in _SYSTEM if Path(path).is_symlink()}
    wanted = {*_SYSTEM, *_SYSTEM_FILES, *python, *(str(Path(path).resolve()) for path in (*python, sys.executable))}
    there = sorted(path for path in wanted if path not in links and path != "/" and Path(path).exists())
    kept: list[str] = []
    for path in there:  # Sorted, so that a folder comes before what lies in it.
        if not any(path == above or path.startswith(f"{above}/") for above in [*kept, *links]):
            kept.append(path)
    return kept, links


def surroundings(folder: str) -> dict[str, str]:
    """The environment of the program: nothing of its parent's."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUSERBASE": site.getuserbase(),  # Packages that the user installed without an environment.
        # Each thread of a linear algebra library reserves address space, which is limited.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        **(
            {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}
        ),  # Windows needs it to start.
    }


def _bubblewrap(space: int) -> list[str]:
    paths, links = readable()
    words = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent"]
    words += ["--new-session", "--cap-drop", "ALL"]
    for path in (*paths, str(GUARD)):
        words += ["--dev-bind" if path.startswith("/dev/") else "--ro-bind", path, path]
    for link, target in links.items():
        words += ["--symlink", target, link]
    return [*words, "--size", str(space), "--tmpfs", INSIDE, "--remount-ro", "/", "--chdir", INSIDE, "--"]
