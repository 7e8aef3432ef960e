"""Keys of hosts: from the environment, from a file that only its owner can read, or typed in once and not echoed.

No object here holds a key that it would show: `Credential` looks it up when it is called, and what was typed in lies in
a `Secret`, whose every text is the same.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
import threading
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import platformdirs

from tttlab.errors import CredentialError
from tttlab.masking import keep_secret
from tttlab.options import as_told

if TYPE_CHECKING:
    from tttlab.models.hosts.host import Host

KEY_FILE = "keys.toml"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_typed: dict[str, Secret | None] = {}
"""By host, for this process: None where nothing was typed when it was asked for."""


class Secret:
    """A key that is shown by no `repr`, `str` or format, and cannot be pickled."""

    __slots__ = ("_reveal",)

    def __init__(self, key: str) -> None:
        keep_secret(key)
        self._reveal: Callable[[], str] = lambda: key

    def __repr__(self) -> str:
        return "<a key>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled or copied")

    def reveal(self) -> str:
        """The key itself."""
        return self._reveal()


@dataclass(frozen=True, slots=True)
class Credential:
    """Where a host's key comes from. Calling it gives the key; it holds none."""

    host: str
    variable: str | None
    optional: bool = False
    """Whether the host may be asked without a key, as a server of one's own may."""

    @classmethod
    def of(cls, host: Host) -> Credential:
        """That of a host."""
        return cls(host.name, host.key_variable, optional=host.is_own or host.key_variable is None)

    def __call__(self) -> str:
        """The key; empty where there is none and none is needed. Raises `CredentialError` where one is."""
        found = self._found()
        if found is None:
            if self.optional:
                return ""
            raise self._missing()
        key, source = found
        if not key.isascii() or not key.isprintable() or " " in key:
            raise self._error(f"the key in {source} holds a character that no key has: copy it again")
        keep_secret(key)
        return key

    def source(self) -> str | None:
        """Where the key is taken from, in words that never show it; None where there is none."""
        found = self._found()
        return found and found[1]

    def make_sure(self) -> None:
        """Ask the user where there is no key, once, if there is one to ask. Raises `CredentialError` if there is none.

        To be called where the user waits: what is asked in another thread than the first is not seen in a notebook.
        """
        if self.host not in _typed and not self.optional and self._found() is None and can_ask():
            _typed[self.host] = self._typed_in()
        self()

    def _found(self) -> tuple[str, str] | None:
        if self.variable and (value := os.environ.get(self.variable, "").strip()):
            return value, self.variable
        if value := self._in_file().get(self.host, ""):
            return value, as_told(key_file())
        typed = _typed.get(self.host)
        return (typed.reveal(), "typed in") if typed else None

    def _in_file(self) -> dict[str, str]:
        path = key_file()
        if said := trouble_of(path):
            raise self._error(said)
        try:
            return keys_in(path)
        except (OSError, ValueError) as error:
            raise self._error(f"the key file {path} cannot be read ({_without_content(error)})") from None

    def _typed_in(self) -> Secret | None:
        try:
            key = getpass.getpass(f"key of {self.host} (for this process; {self.variable} keeps it for longer): ")
        except (EOFError, OSError, RuntimeError):  # A kernel that nobody sits at raises a kind of RuntimeError.
            return None
        return Secret(key.strip()) if key.strip() else None

    def _missing(self) -> CredentialError:
        variable = f"set {self.variable}, or " if self.variable else ""
        return self._error(f'there is no key: {variable}put {self.host} = "..." into {key_file()} (mode 600)')

    def _error(self, said: str) -> CredentialError:
        return CredentialError(said, provider=self.host, model="*")


def key_file() -> Path:
    """The file of keys, one line a host: `anthropic = "..."`."""
    return platformdirs.user_config_path("tttlab") / KEY_FILE


def keys_in(path: Path) -> dict[str, str]:
    """The keys in a file, by host; none where it is not there. Raises `OSError` and `ValueError`."""
    if not path.is_file():
        return {}
    read: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    keys = {host: key.strip() for host, key in read.items() if isinstance(key, str)}
    for key in keys.values():
        keep_secret(key)
    return keys


def trouble_of(path: Path) -> str | None:
    """Why a file of keys is not used: others can read it. Windows keeps a user's own folder from others by itself."""
    if os.name != "posix" or not path.is_file():
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"others can read the key file {path} (mode {mode:o}): chmod 600 {path}" if mode & _OTHERS else None


def keep_file_secret() -> None:
    """Hide what is in the file of keys wherever it may appear, whether it is used or not."""
    try:
        keys_in(key_file())
    except (OSError, ValueError):
        return


def can_ask() -> bool:
    """Whether somebody can be asked for a key: at a terminal or in a notebook, in the first thread."""
    if threading.current_thread() is not threading.main_thread():
        return False
    interactive = sys.modules.get("IPython")
    shell = interactive and interactive.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        return bool(getattr(shell.kernel, "_allow_stdin", False))
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _without_content(error: Exception) -> str:
    """What went wrong, without what the file says: a parser may quote it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f'it is no TOML: write lines such as anthropic = "..."{_place(str(error))}'


def _place(said: str) -> str:
    at = said.rfind("(at ")
    return f" {said[at:]}" if at >= 0 else ""
