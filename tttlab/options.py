"""Options and where each came from: given, `tttlab.configure`, the environment, `pyproject.toml`, or a default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tttlab.errors import OptionError, nearest

DEFAULTS: dict[str, str] = {
    "model": "local:smollm2",
    "strategy": "direct",
    "traces": "traces",
    "allow_code": "false",
    "replay": "off",
    "prices": "prices.toml",
    "requests_per_minute": "none",
    "tokens_per_minute": "none",
    "attempts": "4",
    "connect_seconds": "10",
    "first_token_seconds": "600",
    "silent_seconds": "120",
}
MODES = ("reuse", "only", "off")
"""Of replay: recorded calls are served and others run, only recorded ones are, or all are run."""
_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_configured: dict[str, str] = {}
_in_notebook: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Resolved:
    """An option's value, and its source.

    That is `given`, `configured`, `environment`, a file's path, `notebook` or `default`.
    """

    value: str
    source: str


def configure(**options: str | Path | bool | float | None) -> None:
    """Set options for this process. None takes one back.

    They are `model`, `strategy`, `traces` (the folder of traces), `allow_code` (whether programs that a model wrote may
    be run), `replay` (`reuse`, `only` or `off`: whether recorded calls are served from their record), and `prices` (a
    TOML file of what models cost, which goes before all other prices: see `docs/models.md`). For each host of models:
    `requests_per_minute` and `tokens_per_minute`, which all runs of the process share (`none` by default), `attempts`
    (how often a call is made at most), and how long is waited: `connect_seconds`, `first_token_seconds`, and
    `silent_seconds` between two tokens.

    Raises `OptionError` for an option that there is not.
    """
    for name in options:
        if name not in DEFAULTS:
            raise OptionError(f"there is no option {name!r}{nearest(name, DEFAULTS)}")
    for name, value in options.items():
        if value is None:
            _configured.pop(name, None)
        else:
            _configured[name] = str(value)


def resolve(name: str, given: str | None = None) -> Resolved:
    """The value of an option by the order above; the environment's name is `TTTLAB_` and the option in capitals."""
    if given is not None:
        return Resolved(given, "given")
    if name in _configured:
        return Resolved(_configured[name], "configured")
    if value := os.environ.get(f"TTTLAB_{name.upper()}"):
        return Resolved(value, "environment")
    root = project_root(Path.cwd())
    if root and name in (table := _project_table(root / "pyproject.toml")):
        return Resolved(str(table[name]), str(root / "pyproject.toml"))
    if name in _in_notebook:
        return Resolved(_in_notebook[name], "notebook")
    return Resolved(DEFAULTS[name], "default")


def state_of(names: Sequence[str]) -> Hashable:
    """What the values of options depend on: while it is the same they are, and to ask for it is quick."""
    told = tuple((_configured.get(name), os.environ.get(f"TTTLAB_{name.upper()}")) for name in names)
    return (told, os.getcwd())  # noqa: PTH109 - to make a path of it would take longer than all the rest


def in_notebook(*, loaded: bool) -> None:
    """Whether the defaults are a notebook's: cells are run again and again, so there what is recorded is reused."""
    _in_notebook.clear()
    if loaded:
        _in_notebook["replay"] = "reuse"


def resolve_flag(name: str, given: bool | str | None = None) -> Resolved:
    """The value of an option that is `true` or `false`. Raises `OptionError` for what is neither, naming its source."""
    option = resolve(name, None if given is None else str(given))
    spelled = option.value.strip().lower()
    if spelled not in _YES | _NO:
        raise OptionError(f"{name} is true or false, not {option.value!r} ({option.source})")
    return Resolved("true" if spelled in _YES else "false", option.source)


def resolve_number(name: str) -> float | None:
    """The value of an option that is a number greater than 0, or `none`. Raises `OptionError`, naming its source."""
    option = resolve(name)
    spelled = option.value.strip().lower()
    if spelled in ("none", "off"):
        return None
    try:
        number = float(spelled)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise OptionError(f"{name} is a number greater than 0, or none, not {option.value!r} ({option.source})")
    return number


def resolve_mode(given: str | None = None) -> Resolved:
    """The mode of replay. Raises `OptionError` for one that there is not, naming its source."""
    option = resolve("replay", given)
    if option.value not in MODES:
        raise OptionError(f"there is no replay mode {option.value!r} ({option.source}){nearest(option.value, MODES)}")
    return option


def store_folder() -> Path:
    """The folder of the live store: `store/` in the folder of traces.

    Unless the option `traces` says otherwise, that is the nearest `traces/` from the working directory upwards to the
    project's root (the folder with `pyproject.toml` or `.git`), else `traces/` in the working directory.
    """
    option = resolve("traces")
    if option.source.endswith("pyproject.toml"):
        return Path(option.source).parent / option.value / "store"
    if option.source != "default":
        return Path(option.value).expanduser().absolute() / "store"
    here = Path.cwd()
    root = project_root(here)
    for folder in [here, *here.parents] if root else [here]:
        if (folder / "traces").is_dir():
            return folder / "traces" / "store"
        if folder == root:
            break
    return here / "traces" / "store"


def as_told(folder: Path) -> str:
    """A folder as a record names it, which may be sent to others: from here or from home where it lies below."""
    for start, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if folder.is_relative_to(start):
            return f"{sign}{folder.relative_to(start).as_posix()}"
    return folder.as_posix()


def project_root(folder: Path) -> Path | None:
    """The nearest folder upwards that holds `pyproject.toml` or `.git`."""
    for candidate in [folder, *folder.parents]:
        if (candidate / "pyproject.toml").is_file() or (candidate / ".git").exists():
            return candidate
    return None


@lru_cache(maxsize=8)
def _project_table(path: Path) -> dict[str, Any]:
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    table = read.get("tool", {}).get("tttlab", {})
    return dict(table) if isinstance(table, dict) else {}
