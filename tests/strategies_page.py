"""Makes docs/strategies.md from the code: `python -m tests.strategies_page` writes it, a test compares."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path

from tttlab.strategies import strategy_class, strategy_names

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
INTRODUCTION = """\
# Strategies

Ways of spending compute at test time, one file each in `tttlab/strategies/`. Run one by its name
(`%%think -s tree_of_thought -p depth=2`, `tttlab.think(..., strategy="tree_of_thought", depth=2)`) or as an object.
Every one proposes an answer whenever it would give another, so that each run is a whole curve of answers against
compute, and a run that meets its budget returns its best answer so far. `think.solve` runs one inside another.

This page is made from the code: `python -m tests.strategies_page`.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join([INTRODUCTION, *(_section(name) for name in strategy_names())])


def _section(name: str) -> str:
    cls = strategy_class(name)
    about = inspect.cleandoc(cls.__doc__ or "")
    rows = [f"| `{item.name}` | `{_escaped(item.type)}` | {_default(item)} |" for item in fields(cls)]
    needs = "".join(
        f"\nNeeds of the model: {', '.join(cls.needs).replace('|', ' or ')}.\n" if getattr(cls, "needs", ()) else ""
    )
    table = "\n".join(["| parameter | type | default |", "|---|---|---|", *rows])
    return f"## {name}\n\n{about}\n{needs}\n{table}\n"


def _default(item) -> str:
    value = item.default if item.default is not MISSING else item.default_factory()
    said = _escaped(" ".join(repr(value).split()))
    return f"`{said if len(said) <= 60 else said[:59] + '…'}`"


def _escaped(text: str) -> str:
    """Of a table's cell: a bar would end it."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
