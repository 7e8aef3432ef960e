"""Errors of a lake without its password: DuckDB and PostgreSQL repeat the catalogue's address, and parts of it."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of a reason."""
_QUOTED = r"'(?:\\.|[^'\\])*(?:'|$)"
_PASSWORD = re.compile(rf"(password\s*=\s*)(?:{_QUOTED}|(?:\\.|\S)+)(.*)", re.IGNORECASE | re.DOTALL)
_MORE = re.compile(rf"(?:\s+\w+\s*=\s*(?:{_QUOTED}|[^\s'=]+))*\s*")
_IN_URL = re.compile(r"(password\s*=)[^&]*", re.IGNORECASE)
_BEFORE_HOST = re.compile(r"(://[^:/?#@\s]*):.*@", re.DOTALL)
_AS_IT_SHOULD_BE = re.compile(r"\w+://[^:/?#@\s]*:([^:/?#@\s%]*)@[^@\s]*")
_UNABLE = "Unable to connect to Postgres at "


def masked(address: str) -> str:
    """An address without its password, to its end where it is not clear where that ends."""
    if "://" in address:
        # To the last @: who writes a password with signs that an address cannot have has it shown otherwise.
        return _IN_URL.sub(r"\1***", _BEFORE_HOST.sub(r"\1:***@", address))
    return _PASSWORD.sub(lambda found: f"{found[1]}***{found[2] if _MORE.fullmatch(found[2]) else ''}", address)


def plain(text: str, address: str) -> str:
    """What an error says of an address: of a connection that fails PostgreSQL's own reason, in one line."""
    text = text.replace(address, masked(address))
    if _UNABLE not in text:
        return text
    reason = text.rpartition(_UNABLE)[2].removeprefix(f'"{masked(address)}": ').split("\n", 1)[0].strip()
    return f"Unable to connect to PostgreSQL: {_hidden(reason, _secret(address))}"[:LONGEST]


def _secret(address: str) -> str:
    """The part of an address that holds the password; more of it where that cannot be told."""
    if found := _AS_IT_SHOULD_BE.fullmatch(address):
        rest = address[found.end(1) :].lower().rfind("password")
        return found[1] + ("" if rest < 0 else address[found.end(1) + rest :])
    if "://" in address and "@" in address:
        return address.partition("://")[2].partition(":")[2]
    return address[at:] if (at := address.lower().find("password")) >= 0 else ""


def _hidden(reason: str, secret: str) -> str:
    """A reason without what it quotes of the secret."""
    if '"' in secret:  # Where a quotation ends cannot be told then.
        return reason.partition('"')[0].strip() or "its address cannot be read"
    return re.sub(r'"([^"]+)"', lambda found: '"***"' if found[1] != "=" and found[1] in secret else found[0], reason)
