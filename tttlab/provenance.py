"""What it takes to run a run again: package versions, Python, platform, and the project's git commit."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("tttlab", "xllamacpp", "opentelemetry-sdk", "duckdb", "pyarrow", "anyio", "httpx", "ipykernel")


@lru_cache(maxsize=8)
def environment(folder: Path) -> dict[str, str]:
    """The versions that a run stands on, with the git commit of `folder` where it is in a repository."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if commit := _git("rev-parse", "HEAD", folder=folder):
        found["git_commit"] = commit
        found["git_changed"] = str(bool(_git("status", "--porcelain", "--untracked-files=no", folder=folder))).lower()
    return found


def _git(*words: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
