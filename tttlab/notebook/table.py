"""A table as text and as HTML: aligned, cut to what there is room for, every value escaped."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tttlab.notebook.legible import columns, cut, legible

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 20
LEAST_WIDTH, USUAL_WIDTH = 60, 120
"""A table in text is as wide as the terminal, and where there is none, this wide."""
TEXT_CELL = 88
HTML_CELL = 240
WRAPPED_COLUMNS = 4
"""Up to this many columns, long texts take several lines; with more, each row is one line."""
_NARROWEST = 24
_GAP = "  "

_FAINT = "opacity: 0.55"
_WRAP = "white-space: pre-wrap; overflow-wrap: break-word"
_CLIP = "white-space: nowrap; max-width: 22em; overflow: hidden; text-overflow: ellipsis"


def table_bundle(table: pa.Table, rows: int = SHOWN_ROWS, note: str = "") -> dict[str, str]:
    """The first rows of an Arrow table, and a note below, as a MIME bundle of `text/plain` and `text/html`."""
    shown = [_Column.of(table, index, rows) for index in range(table.num_columns)]
    plain, marked = _text(shown, table.num_rows, rows), _html(shown, table.num_rows, rows)
    if note:
        plain += f"\n{legible(note)}"
        marked += f'<div style="{_FAINT}; font-size: 0.85em">{html.escape(legible(note))}</div>'
    return {"text/plain": plain, "text/html": marked}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    cells: list[str | None]
    """None stands for NULL."""
    numeric: bool
    elastic: bool
    """Whether its cells may be cut where room is short: texts may, a number never."""

    @classmethod
    def of(cls, table: pa.Table, index: int, rows: int) -> _Column:
        from pyarrow import types

        column = table.column(index)
        kind = column.type
        numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        return cls(
            name=_cell(table.column_names[index]),
            cells=[None if value is None else _cell(value) for value in column.slice(0, rows).to_pylist()],
            numeric=numeric,
            elastic=not (numeric or types.is_temporal(kind) or types.is_boolean(kind)),
        )

    @property
    def width(self) -> int:
        widest = max(columns("NULL" if cell is None else cell) for cell in [self.name, *self.cells])
        return min(widest, TEXT_CELL) if self.elastic else widest

    def line(self, cell: str | None, width: int) -> str:
        said = cut("NULL" if cell is None else cell, width)
        room = " " * (width - columns(said))
        return room + said if self.numeric else said + room


def _cell(value: Any) -> str:
    """A value as text on one line."""
    match value:
        case bool():
            said = "true" if value else "false"
        case float():
            said = f"{value:.6g}"
        case datetime():
            said = value.isoformat(sep=" ", timespec="milliseconds")
        case bytes():
            said = value.hex()
        case list() | dict():
            said = json.dumps(value, ensure_ascii=False, default=str)
        case _:
            said = str(value)
    return legible(said).replace("\n", "↵").replace("\t", "⇥")


def _counted(all_rows: int, shown: int, columns_left_out: list[str]) -> str:
    said = "1 row" if all_rows == 1 else f"{all_rows:,} rows"
    if all_rows > shown:
        said = f"… {said} in all"
    if columns_left_out:
        said += f"; columns left out for want of room: {', '.join(columns_left_out)}"
    return said


def _text(shown: list[_Column], all_rows: int, rows: int) -> str:
    if not shown:
        return "done; the statement gives no rows"
    room = max(LEAST_WIDTH, shutil.get_terminal_size((USUAL_WIDTH, 24)).columns) - 1
    widths = _fitted(shown, room)
    fitting, left_out = shown[: len(widths)], [column.name for column in shown[len(widths) :]]
    lines = [_GAP.join(column.line(column.name, width) for column, width in zip(fitting, widths, strict=True))]
    lines.append(_GAP.join("─" * width for width in widths))
    for index in range(min(rows, all_rows)):
        cells = (column.line(column.cells[index], width) for column, width in zip(fitting, widths, strict=True))
        lines.append(_GAP.join(cells))
    return "\n".join(line.rstrip() for line in [*lines, _counted(all_rows, rows, left_out)])


def _fitted(shown: list[_Column], room: int) -> list[int]:
    """The columns' widths, the widest texts cut until all fit; where that is not enough, those of the first columns."""
    widths = [column.width for column in shown]
    while len(widths) > 1 and sum(widths) + len(_GAP) * (len(widths) - 1) > room:
        cuttable = [index for index, width in enumerate(widths) if shown[index].elastic and width > _NARROWEST]
        if cuttable:
            widths[max(cuttable, key=widths.__getitem__)] -= 1
        else:
            widths.pop()
    return widths


def _html(shown: list[_Column], all_rows: int, rows: int) -> str:
    if not shown:
        return f'<div style="{_FAINT}">done; the statement gives no rows</div>'
    style = [_style(column, _WRAP if len(shown) <= WRAPPED_COLUMNS else _CLIP) for column in shown]
    head = "".join(
        f'<th style="{how}">{html.escape(column.name)}</th>' for column, how in zip(shown, style, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_html_cell(column.cells[row], how) for column, how in zip(shown, style, strict=True)) + "</tr>"
        for row in range(min(rows, all_rows))
    )
    # The class keeps MathJax from taking `$` in a text for a formula.
    return (
        '<div class="mathjax_ignore tex2jax_ignore" style="overflow-x: auto">'
        '<table style="font-variant-numeric: tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f'<div style="{_FAINT}; font-size: 0.85em">{html.escape(_counted(all_rows, rows, []))}</div></div>'
    )


def _html_cell(cell: str | None, style: str) -> str:
    if cell is None:
        return f'<td style="{style}; {_FAINT}">NULL</td>'
    return f'<td style="{style}">{html.escape(cut(cell, HTML_CELL))}</td>'


def _style(column: _Column, wrap: str) -> str:
    if column.numeric:
        return "text-align: right"
    return f"text-align: left; vertical-align: top; {wrap if column.elastic else 'white-space: nowrap'}"
