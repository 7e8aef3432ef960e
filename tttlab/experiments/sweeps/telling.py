"""A sweep's result as text and as HTML: how far it came, and its table."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tttlab.experiments.sweeps.estimate import duration
from tttlab.masking import masked

if TYPE_CHECKING:
    from tttlab.experiments.sweeps.result import SweepResult

_HIDDEN = ("low", "high", "output_tokens")
"""Columns that stand in another one, or in the table alone."""
_SHOWN_ROWS = 60
_SHOWN_ERRORS = 3


def text_of(result: SweepResult) -> str:
    """For a terminal."""
    names, rows = _cells(result)
    widths = [max(len(row[place]) for row in [names, *rows]) for place in range(len(names))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [names, *rows]]
    return "\n".join([*_said(result), *lines, *_left_out(result)])


def html_of(result: SweepResult) -> str:
    """For a notebook. All of it is escaped."""
    names, rows = _cells(result)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    said = "".join(f"<div>{html.escape(line)}</div>" for line in _said(result))
    rest = "".join(f"<div>{html.escape(line)}</div>" for line in _left_out(result))
    # The class keeps MathJax from taking `$` in a text for a formula.
    return (
        f'<div class="mathjax_ignore tex2jax_ignore">{said}<table style="font-variant-numeric: tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}</div>"
    )


def _said(result: SweepResult) -> list[str]:
    spent = result.new
    dollars = f", ${spent.dollars:.3g}" if spent.dollars else ""
    size = f"{_counted(len(result.cells), 'cell')}, {_counted(result.problems, 'problem')}"
    counted = f"{result.finished:,} of {_counted(result.asked, 'run')}, {size}"
    cost = f"{spent.tokens:,} tokens{dollars} and {duration(result.seconds)} now"
    lines = [f"sweep {masked(result.name)}: {counted}; {cost}"]
    if result.exhausted and not result.complete:
        lines.append(f"the total budget is spent ({result.exhausted}): with a larger one it goes on where it stopped")
    elif not result.complete:
        lines.append("not all of its runs came to their end: started again, it goes on where it stopped")
    errors = result.errors
    lines += [f"error: {masked(error)}" for error in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        lines.append(f"and {len(errors) - _SHOWN_ERRORS:,} other errors")
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _left_out(result: SweepResult) -> list[str]:
    over = len(result.cells) - _SHOWN_ROWS
    return [f"and {over:,} cells more: see .table()"] if over > 0 else []


def _cells(result: SweepResult) -> tuple[list[str], list[list[str]]]:
    rows = result.rows()[:_SHOWN_ROWS]
    names = [name for name in rows[0] if name not in _HIDDEN and (name in result.axes or _tells(name, rows))]
    titles = {"accuracy": "accuracy [95 %]"}
    return [titles.get(name, name) for name in names], [[_cell(name, row) for name in names] for row in rows]


def _tells(name: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a column says something: unknown in every row, or none in every row, it is left out."""
    values = [row[name] for row in rows]
    if name in ("abstained", "unfinished", "dollars"):
        return any(value and not _is_nan(value) for value in values)
    return not all(_is_nan(value) for value in values)


def _cell(name: str, row: dict[str, Any]) -> str:
    value = row[name]
    if value is None:
        return "-"
    if name == "accuracy" and not math.isnan(row["low"]):
        return f"{value:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:,.1f}" if name in ("tokens", "calls") else f"{value:.3g}"
    return masked(str(value))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
