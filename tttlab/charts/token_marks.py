"""The token strip, drawn. Imported late: altair is heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from tttlab.charts.chart_data import data_of
from tttlab.charts.look import HUES, INK, MONO, SOFT, dressed, note
from tttlab.charts.renderer import OfflineChart
from tttlab.charts.token_lines import COLUMNS, Page

UNKNOWN = "#e4e4e4"
RAMP = ["#ec7014", "#fdae6b", "#fee3c8", "#fffaf3"]
"""From impossible to certain: what was unlikely stands out, and black text can be read on all of it."""
CHANNELS = {"thinking": HUES[3], "answer": HUES[0]}

_MARGIN = 10
"""Columns left of the text."""
_COLUMN, _LINE, _FONT = 7.25, 19, 12
"""Pixels; a fixed-width font is three fifths as wide as high."""
_MIDDLE: dict[str, Any] = {"align": "left", "baseline": "middle", "dy": _LINE * 0.44}


def drawn(page: Page, title: str, lines: Sequence[str]) -> OfflineChart:
    """The chart."""
    if not page.remarks:
        return note("no model call was made", title, lines)
    layers = [*_cells(page), *_margins(page), _remarks(page)]
    wide, tall = (COLUMNS + _MARGIN) * _COLUMN, page.line * _LINE
    cells = data_of({**cell, "below": cell["line"] + 0.88} for cell in page.cells)
    return dressed(OfflineChart(data=cells, layer=layers, width=wide, height=tall), title, lines)


def _x(column: str) -> alt.X:
    return alt.X(f"{column}:Q", scale=alt.Scale(domain=[-_MARGIN, COLUMNS], nice=False), axis=None)


def _y(page: Page) -> alt.Y:
    return alt.Y("line:Q", scale=alt.Scale(domain=[page.line, 0], nice=False), axis=None)


def _cells(page: Page) -> list[alt.Chart]:
    base = alt.Chart().encode(y=_y(page), tooltip=_tooltip())
    boxes = base.mark_rect(stroke="#dddddd", strokeWidth=0.5, aria=False)
    boxes = boxes.encode(x=_x("column"), x2="end:Q", y2="below:Q")
    layers = []
    # A colour scale leaves out what has no value, so those cells are a layer of their own.
    if any(cell["probability"] is None for cell in page.cells):
        layers.append(boxes.transform_filter("datum.probability === null").encode(color=alt.value(UNKNOWN)))
    if any(cell["probability"] is not None for cell in page.cells):
        layers.append(boxes.transform_filter("datum.probability !== null").encode(color=_colour()))
    text = base.mark_text(**_MIDDLE, font=MONO, fontSize=_FONT, color=INK, aria=False)
    return [*layers, text.encode(x=_x("start"), text="cell:N")]


def _colour() -> alt.Color:
    legend = alt.Legend(
        title="probability of the token",
        titleOrient="left",
        orient="top",
        direction="horizontal",
        gradientLength=220,
        gradientThickness=10,
        values=[0, 0.25, 0.5, 0.75, 1],
        format=".2~f",
    )
    return alt.Color("probability:Q", scale=alt.Scale(domain=[0, 1], range=RAMP), legend=legend)


def _margins(page: Page) -> list[alt.Chart]:
    """Which lines are thinking and which are the answer, beside them."""
    rows = [{**margin, "at": -_MARGIN, "bar": -0.8, "last": margin["last"] - 0.12} for margin in page.margins]
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=_y(page))
    scale = alt.Scale(domain=list(CHANNELS), range=list(CHANNELS.values()))
    bars = base.mark_rule(strokeWidth=4).encode(
        x=_x("bar"), y2="last:Q", color=alt.Color("channel:N", scale=scale, legend=None)
    )
    names = base.mark_text(**_MIDDLE, fontSize=11.5, color=SOFT)
    return [bars, names.encode(x=_x("at"), text="channel:N")]


def _remarks(page: Page) -> alt.Chart:
    data = alt.InlineData(values=[{**remark, "at": -_MARGIN} for remark in page.remarks])
    colour = alt.condition("datum.kind == 'head'", alt.value(INK), alt.value(SOFT))
    text: alt.Chart = (
        alt.Chart(data).mark_text(**_MIDDLE, fontSize=12).encode(x=_x("at"), y=_y(page), text="said:N", color=colour)
    )
    return text


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("token:N", title="token"),
        alt.Tooltip("channel:N", title="channel"),
        alt.Tooltip("probability:Q", title="probability", format=".4f"),
        alt.Tooltip("top:N", title="likeliest here"),
        alt.Tooltip("entropy:Q", title="entropy, at least (nats)", format=".3f"),
        alt.Tooltip("position:Q", title="position in the call"),
        alt.Tooltip("seconds:Q", title="seconds after the call's start", format=".3f"),
    ]
