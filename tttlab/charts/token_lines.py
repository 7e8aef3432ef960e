"""Tokens set as lines of text: where each one stands, in columns and lines of a fixed-width font."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tttlab.charts.shown_text import columns, shown

Row = dict[str, Any]
COLUMNS = 96
"""The longest line."""
EMPTY = "∅"
"""Stands for a token without text, such as one that ends a turn."""


@dataclass(slots=True)
class Page:
    """Cells of tokens, one or more a token, and what is written beside them; `line` comes next."""

    cells: list[Row] = field(default_factory=list)
    remarks: list[Row] = field(default_factory=list)
    margins: list[Row] = field(default_factory=list)
    line: float = 0

    def add_call(self, head: str, tokens: Sequence[Row], tail: str | None) -> None:
        """Set a call: its head, its tokens, thinking and answer each from a new line on, and a remark at its end."""
        self._remark(head, "head")
        for channel, part in groupby(tokens, key=lambda token: str(token["channel"])):
            first = self.line
            self._add_tokens(list(part))
            self.margins.append({"line": first, "last": self.line, "channel": channel})
        if tail:
            self._remark(tail, "tail")
        self.line += 0.7

    def _remark(self, said: str, kind: str) -> None:
        self.remarks.append({"line": self.line, "said": said, "kind": kind})
        self.line += 1.2

    def _add_tokens(self, tokens: Sequence[Row]) -> None:
        column = 0
        for token in tokens:
            for piece, newline in _pieces(token["text"]):
                for part in _fitted(piece, COLUMNS - column):
                    if part is None:
                        self.line, column = self.line + 1, 0
                        continue
                    self.cells.append({**token["facts"], **_cell(part, column), "line": self.line})
                    column += columns(part)
                if newline:
                    self.line, column = self.line + 1, 0
        if column:
            self.line += 1


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a token that stand on a line each, and whether the line ends after it; newlines shown as ⏎."""
    for part in re.findall(r"[^\n]*\n+|[^\n]+", text) or [EMPTY]:
        yield shown(part), part.endswith("\n")


def _fitted(piece: str, room: int) -> Iterator[str | None]:
    """The piece in parts that fit, the first into `room` columns; None stands for a new line between them."""
    if room < columns(piece) <= COLUMNS:
        yield None
        room = COLUMNS
    while columns(piece) > room:
        size = max(0, room)
        while columns(piece[:size]) > room:
            size -= 1
        if size:
            yield piece[:size]
        yield None
        piece, room = piece[size:], COLUMNS
    yield piece


def _cell(part: str, column: int) -> Row:
    """The cell of a part. Space before or after a word is room in the cell; a part of spaces alone shows them."""
    text = part.strip(" ") or part.replace(" ", "␣")
    before = len(part) - len(part.lstrip(" ")) if part.strip(" ") else 0
    return {"column": column, "end": column + columns(part), "start": column + before, "cell": text}
