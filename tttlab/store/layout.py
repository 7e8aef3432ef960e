"""The SQL that defines a store: numbered steps for its tables, and the views that are its public API."""

from __future__ import annotations

from importlib.resources import files

_HERE = files("tttlab.store")


def tables_sql() -> str:
    """The statements that make the tables of an archive."""
    return "\n".join(_read("schema"))


def views_sql() -> list[str]:
    """The statements that make the views, in the order in which they build on one another."""
    return _read("views")


def _read(folder: str) -> list[str]:
    found = sorted((entry for entry in (_HERE / folder).iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [entry.read_text(encoding="utf-8") for entry in found]
