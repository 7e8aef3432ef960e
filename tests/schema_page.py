"""Makes docs/schema.md from the views' own SQL: `python -m tests.schema_page` writes it, a test compares."""

from __future__ import annotations

import re
from pathlib import Path

from tttlab.store.database import connect
from tttlab.store.layout import views_sql

PAGE = Path(__file__).parents[1] / "docs" / "schema.md"
INTRODUCTION = """\
# The views

What tttlab records is read through these views: in a notebook with `%%traces`, in Python with `tttlab.connect()`, on
the command line with `tttlab sql`, or in any DuckDB client from the one file that `tttlab compact --to FILE` writes.
They are the public API of the store; the tables behind them may change.

This page is made from the SQL in `tttlab/store/views/`: `python -m tests.schema_page`.
"""


def page() -> str:
    """The page as it should be."""
    connection = connect(Path("/nowhere"))
    return "\n".join(
        [INTRODUCTION, *(_section(connection, statement) for statement in views_sql() if _is_public(statement))]
    )


def _is_public(statement: str) -> bool:
    return not statement.startswith("-- Internal")


def _section(connection, statement: str) -> str:
    name = re.search(r"CREATE VIEW (\w+)", statement)[1]
    said = {}
    for line in statement.splitlines():
        code, sign, comment = line.partition("--")
        if sign and (column := re.search(r"\"?(\w+)\"?,?\s*$", code)):
            said[column[1]] = comment.strip()
    described = connection.execute(f"DESCRIBE {name}").fetchall()
    rows = [f"| `{column}` | {kind} | {_cell(said.get(column, ''))} |" for column, kind, *_ in described]
    about = statement.splitlines()[0].removeprefix("-- ")
    return "\n".join([f"## {name}\n\n{about}\n", "| column | type | what it is |", "|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
