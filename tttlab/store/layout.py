"""The SQL that defines a store: numbered steps for its tables, and the views that are its public API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_HERE = files("tttlab.store")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tables' schema, from the file `schema/NNNN_what.sql`. Published ones are never changed.

    A step may add tables and columns, and fill them; readers of archives from before it see NULL in its columns.
    """

    number: int
    name: str
    sql: str


@cache
def steps() -> tuple[Step, ...]:
    """The steps of the schema, in order; the last one's number is the schema's version."""
    return tuple(Step(int(name[:4]), name.removesuffix(".sql"), sql) for name, sql in _read("schema"))


def tables_sql() -> str:
    """The statements that make the tables of an archive, in the newest version."""
    return "\n".join(step.sql for step in steps())


def views_sql() -> list[str]:
    """The statements that make the views, in the order in which they build on one another."""
    return [sql for _, sql in _read("views")]


def _read(folder: str) -> list[tuple[str, str]]:
    found = sorted((entry for entry in (_HERE / folder).iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [(entry.name, entry.read_text(encoding="utf-8")) for entry in found]
