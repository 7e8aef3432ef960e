"""The SQL that defines a store: numbered steps for its tables, and the views that are its public API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_HERE = files("tttlab.store")
_MADE = (("tokens", 2, "entropy_topk", "memory.nothing.entropy_topk(top)"),)
"""Columns that a step makes of others: of what kind of rows, the step's number, the column's name, the step's macro."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tables' schema, from the file `schema/NNNN_what.sql`. Published ones are never changed.

    A step may add tables and columns, and fill them; readers of archives from before it see NULL in its columns, unless
    `columns_sql` says what is there instead.
    """

    number: int
    name: str
    sql: str


@cache
def steps() -> tuple[Step, ...]:
    """The steps of the schema, in order; the last one's number is the schema's version."""
    return tuple(Step(int(name[:4]), name.removesuffix(".sql"), sql) for name, sql in _read("schema"))


def tables_sql() -> str:
    """The statements that make the tables of an archive, and the macros, in the newest version."""
    return "\n".join(step.sql for step in steps())


def columns_sql(kind: str, version: int) -> str:
    """What a query takes from stored rows that have the columns of a version: those, and what later steps make of them.

    The macros of the steps are in the schema `memory.nothing`, where `tables_sql` was executed.
    """
    return "*" + "".join(f", {made} AS {name}" for of, step, name, made in _MADE if of == kind and version < step)


def filled_sql(kind: str) -> str:
    """The same of rows that have all columns, but not all of them with what the steps make."""
    filled = [f"coalesce({name}, {made}) AS {name}" for of, _, name, made in _MADE if of == kind]
    return f"* REPLACE ({', '.join(filled)})" if filled else "*"


def views_sql() -> list[str]:
    """The statements that make the views, in the order in which they build on one another."""
    return [sql for _, sql in _read("views")]


def _read(folder: str) -> list[tuple[str, str]]:
    found = sorted((entry for entry in (_HERE / folder).iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [(entry.name, entry.read_text(encoding="utf-8")) for entry in found]
