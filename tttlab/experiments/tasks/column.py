"""A column of rows, or a text with columns in braces, with messages that name the row."""

from __future__ import annotations

import re
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.experiments.tasks.rows import Rows

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


class Column:
    """What stands in one column, or in a text made of several. Raises `OptionError` where the rows have none such."""

    def __init__(self, rows: Rows, said: str, what: str) -> None:
        self._rows, self._what, self._said = rows, what, said
        self._template = not rows.have(said)
        self._names = [said]
        if not self._template:
            return
        self._names = [match[1] for match in _BRACES.finditer(said) if match[1] is not None]
        for name in self._names or [said]:
            if not rows.have(name):
                braces = "; write {{ and }} for braces of the text" if self._names else ""
                raise OptionError(
                    f"{rows.name} has no column {name!r:.80} for the {what}{nearest(name, rows.columns)}{braces}"
                )

    def place(self, index: int) -> str:
        """Which value it is, for a message: `the reference of line 17 of problems.jsonl`."""
        return f"the {self._what} of {self._rows.place(index)}"

    def value(self, index: int) -> Any:
        """What the row has there; None where it, or a column of the text, is empty."""
        row = self._rows.rows[index]
        for name in self._names:
            if name not in row:
                raise OptionError(
                    f"{self._rows.place(index)} has no {name!r:.80} for the {self._what}{nearest(name, map(str, row))}"
                )
            if row[name] is None:
                return None
        if not self._template:
            return row[self._said]
        return _BRACES.sub(lambda match: match[0][0] if match[1] is None else str(row[match[1]]), self._said)

    def text(self, index: int) -> str:
        """The same as a text. Raises `OptionError` where there is none."""
        value = self.value(index)
        if value is None or not str(value).strip():
            raise OptionError(f"{self.place(index)} is empty")
        if isinstance(value, dict | list | tuple):
            raise OptionError(f"{self.place(index)} is {type(value).__name__} {value!r:.60}, and must be a text")
        return str(value)
