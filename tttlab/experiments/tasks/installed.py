"""Libraries that only some tasks need."""

from __future__ import annotations

from importlib.util import find_spec

from tttlab.errors import OptionError


def need(module: str, command: str, what: str) -> None:
    """Raise `OptionError` with the command that installs a library, where it is not there."""
    if find_spec(module) is None:
        raise OptionError(f"{what} needs {module.replace('_', '-')}, which is not installed: {command}")
