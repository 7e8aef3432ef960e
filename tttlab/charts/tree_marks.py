"""The run's tree over time, drawn. Imported late: altair is heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from tttlab.charts.chart_data import data_of
from tttlab.charts.look import FAINT, HUES, INK, SOFT, dressed, note
from tttlab.charts.renderer import OfflineChart
from tttlab.charts.shown_text import columns

Row = dict[str, Any]

KINDS = {
    "run": "#8a8a8a",
    "branch": HUES[1],
    "call": HUES[4],
    "verification": HUES[3],
    "limit": HUES[2],
    "other": "#c4c4c4",
}
_WIDTH, _LINE, _INDENT, _LETTER = 560, 21, 14, 7
"""Pixels."""
_NARROWEST, _WIDEST = 70, 260
"""The room for names, in pixels."""


def drawn(rows: Sequence[Row], ticks: Sequence[Row], title: str, lines: Sequence[str]) -> OfflineChart:
    """The chart."""
    if not rows:
        return note("no span of this run is left", title, lines)
    layers = [*_tree_lines(rows), *_bars(rows)]
    if ticks:
        layers.append(_tick_marks(rows, ticks))
    bars = [{**row, "line": row["line"] + 0.2, "below": row["line"] + 0.8} for row in rows]
    chart = OfflineChart(data=data_of(bars), layer=layers, width=_WIDTH, height=_LINE * len(rows))
    return dressed(chart, title, lines)


def _tree_lines(rows: Sequence[Row]) -> list[alt.Chart]:
    """The names of the spans, indented, and the lines from each parent to its children, left of the time axis."""
    gutter = _gutter(rows)
    left = [row["depth"] * _INDENT - gutter for row in rows]
    names = [{"x": left[row["line"]], "line": row["line"] + 0.5, "label": row["label"]} for row in rows]
    children = [row for row in rows if row["parent_line"] is not None]
    last = {row["parent_line"]: row["line"] for row in children}
    trunks = [{"x": left[line] + 4, "line": line + 0.85, "to": low + 0.5} for line, low in last.items()]
    twigs = [
        {"x": left[row["parent_line"]] + 4, "to": left[row["line"]] - 2, "line": row["line"] + 0.5} for row in children
    ]
    text = _at_pixel(names, rows).mark_text(align="left", baseline="middle", fontSize=11.5, color=INK, limit=gutter)
    return [
        text.encode(text="label:N"),
        _at_pixel(trunks, rows).mark_rule(color=FAINT).encode(y2="to:Q"),
        _at_pixel(twigs, rows).mark_rule(color=FAINT).encode(x2="to:Q"),
    ]


def _gutter(rows: Sequence[Row]) -> int:
    """How many pixels the names need."""
    needed = max(row["depth"] * _INDENT + columns(row["label"]) * _LETTER + 14 for row in rows)
    return int(min(max(_NARROWEST, needed), _WIDEST))


def _at_pixel(values: Sequence[Row], rows: Sequence[Row]) -> alt.Chart:
    data = alt.InlineData(values=list(values))
    return alt.Chart(data).encode(x=alt.X("x:Q", scale=None, axis=None), y=_y(rows))


def _y(rows: Sequence[Row]) -> alt.Y:
    return alt.Y("line:Q", scale=alt.Scale(domain=[len(rows), 0], nice=False), axis=None)


def _x(rows: Sequence[Row], field: str) -> alt.X:
    if not any(row["timed"] for row in rows):
        return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)
    end = max(row["end"] for row in rows) or 1
    axis = alt.Axis(title="seconds since the run's start", orient="top", tickCount=8, labelFlush=False)
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, end], nice=False), axis=axis)


def _bars(rows: Sequence[Row]) -> list[alt.Chart]:
    base = alt.Chart().encode(y=_y(rows))
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    scale = alt.Scale(domain=kinds, range=[KINDS[kind] for kind in kinds])
    legend = alt.Legend(title=None, orient="bottom", direction="horizontal", symbolType="square", symbolStrokeWidth=0)
    boxes = base.encode(
        x=_x(rows, "start"),
        x2="end:Q",
        y2="below:Q",
        fill=alt.Fill("kind:N", scale=scale, legend=legend),
        stroke=alt.Stroke("kind:N", scale=scale, legend=None),
        fillOpacity=alt.condition("datum.pale", alt.value(0.15), alt.value(0.85)),
        tooltip=_tooltip(rows),
    )
    ended = boxes.transform_filter("!datum.incomplete").mark_rect(strokeWidth=1.2)
    never = boxes.transform_filter("datum.incomplete").mark_rect(strokeWidth=1.2, strokeDash=[4, 3])
    remarks = base.mark_text(align="left", baseline="middle", dx=6, dy=_LINE * 0.3, fontSize=11, color=SOFT, limit=220)
    return [ended, never, remarks.encode(x=_x(rows, "end"), text="remark:N")]


def _tick_marks(rows: Sequence[Row], ticks: Sequence[Row]) -> alt.Chart:
    values = [{**tick, "line": tick["line"] + 0.08, "below": tick["line"] + 0.92} for tick in ticks]
    base = alt.Chart(alt.InlineData(values=values)).mark_rule(color=INK, strokeWidth=1.4)
    marks: alt.Chart = base.encode(
        x=_x(rows, "at"),
        y=_y(rows),
        y2="below:Q",
        tooltip=[
            alt.Tooltip("answer:N", title="proposed answer"),
            alt.Tooltip("confidence:Q", title="confidence", format=".3f"),
            alt.Tooltip("step:Q", title="proposal"),
            alt.Tooltip("at:Q", title="seconds since the run's start", format=".3f"),
            alt.Tooltip("spent_tokens:Q", title="tokens spent so far", format=","),
            alt.Tooltip("basis_tokens:Q", title="tokens it rests on", format=","),
        ],
    )
    return marks


def _tooltip(rows: Sequence[Row]) -> list[alt.Tooltip]:
    times = [
        alt.Tooltip("start:Q", title="start (s)", format=".3f"),
        alt.Tooltip("seconds:Q", title="took (s)", format=".3f"),
    ]
    return [
        alt.Tooltip("label:N", title="span"),
        alt.Tooltip("kind:N", title="kind"),
        alt.Tooltip("status:N", title="status"),
        *(times if any(row["timed"] for row in rows) else ()),
        alt.Tooltip("output_tokens:Q", title="output tokens", format=","),
        alt.Tooltip("answer:N", title="answer"),
        alt.Tooltip("said:N", title="said"),
        alt.Tooltip("error:N", title="error"),
    ]
