"""The answer's curve, drawn. Imported late: altair is heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from tttlab.charts.chart_data import data_of
from tttlab.charts.curve import NO_ANSWER, NO_REFERENCE, OTHERS, Points
from tttlab.charts.look import HUES, INK, REST, dressed, note
from tttlab.charts.renderer import OfflineChart

Row = dict[str, Any]

_WIDTH, _HEIGHT, _ROW = 640, 280, 28
_SHAPES = {"correct": "circle", "incorrect": "cross", NO_REFERENCE: "diamond"}
_NEAR_ACROSS, _NEAR_UP = 0.07, 0.09
"""Labels nearer to each other than these shares of the plot would overlap."""
_LABEL = 16
_MOST_LABELS = 40


def drawn(points: Points) -> OfflineChart:
    """The chart."""
    if not points.rows:
        return note("no answer was proposed", points.title, points.lines)
    base = alt.Chart().encode(x=_x(points), y=_y(points), detail="run:N")
    layers = [_steps(base, points), _dots(base, points)]
    tall = _ROW * max(2, len(points.answers))
    if points.height == "confidence":
        layers.append(_labels(points))
        tall = _HEIGHT
    chart = OfflineChart(data=data_of(points.rows), layer=layers, width=_WIDTH, height=tall)
    return dressed(chart, points.title, points.lines)


def _x(points: Points) -> alt.X:
    # Parallel samples lie close together far from zero: the axis begins there, unless there is one place to show.
    scale = alt.Scale(zero=len({row["compute"] for row in points.rows}) == 1)
    axis = alt.Axis(grid=False, tickCount=8, labelFlush=False)
    return alt.X("compute:Q", title=points.across, scale=scale, axis=axis)


def _y(points: Points) -> alt.Y:
    if points.height == "answer":
        return alt.Y("answer:N", title="answer", scale=alt.Scale(domain=list(points.answers)))
    share = all(0 <= row["confidence"] <= 1 for row in points.rows)
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=False)
    return alt.Y("confidence:Q", title="confidence, as the strategy gives it", scale=scale, axis=alt.Axis(tickCount=5))


def _steps(base: alt.Chart, points: Points) -> alt.Chart:
    colour = alt.value("#b5b5b5") if points.single else _colour(points)
    line = base.mark_line(interpolate="step-after", strokeWidth=1.4, opacity=0.7)
    steps: alt.Chart = line.encode(order="step:Q", color=colour)
    return steps


def _dots(base: alt.Chart, points: Points) -> alt.Chart:
    point = base.mark_point(filled=True, size=70, opacity=1, stroke="white", strokeWidth=0.6)
    dots: alt.Chart = point.encode(color=_colour(points), shape=_shape(points), tooltip=_tooltip())
    return dots


def _shape(points: Points) -> Any:
    verdicts = [name for name in _SHAPES if any(row["verdict"] == name for row in points.rows)]
    if verdicts == [NO_REFERENCE]:
        return alt.value("circle")
    scale = alt.Scale(domain=verdicts, range=[_SHAPES[name] for name in verdicts])
    return alt.Shape("verdict:N", title="against the reference", scale=scale)


def _colour(points: Points) -> alt.Color:
    hues = iter(HUES)
    shades = [REST if name in (NO_ANSWER, OTHERS) else next(hues, REST) for name in points.series]
    scale = alt.Scale(domain=list(points.series), range=shades)
    if points.single and points.height == "answer":
        return alt.Color("series:N", scale=scale, legend=None)
    return alt.Color("series:N", scale=scale, title="answer" if points.single else "run")


def _labels(points: Points) -> alt.Chart:
    """The answers in words, where they change and at the end."""
    base = alt.Chart(alt.InlineData(values=_labelled(points.rows))).encode(x=_x(points), y=_y(points))
    labels: alt.Chart = base.mark_text(dy=-12, fontSize=11, color=INK).encode(text="label:N")
    return labels


def _labelled(rows: Sequence[Row]) -> list[Row]:
    """The points that get a label: those at which the answer changes, and each run's last one, as far as there is room.

    The last ones come first, then those with which runs begin.
    """
    costs = [row["compute"] for row in rows]
    least, widest = min(costs), (max(costs) - min(costs)) or 1
    wanted: list[tuple[bool, bool, int, Row]] = []
    for before, row, after in zip([None, *rows], rows, [*rows[1:], None], strict=False):
        first = before is None or before["run"] != row["run"]
        last = after is None or after["run"] != row["run"]
        if first or last or (before and before["full"] != row["full"]):
            wanted.append((not last, not first, len(wanted), row))
    placed: list[tuple[float, float]] = []
    labels = []
    for *_, row in sorted(wanted, key=lambda each: each[:3])[:_MOST_LABELS]:
        across, up = (row["compute"] - least) / widest, row["confidence"]
        if all(abs(across - x) > _NEAR_ACROSS or abs(up - y) > _NEAR_UP for x, y in placed):
            placed.append((across, up))
            label = row["full"] if len(row["full"]) <= _LABEL else f"{row['full'][: _LABEL - 1]}…"
            labels.append({"compute": row["compute"], "confidence": up, "label": label})
    return labels


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("full:N", title="answer"),
        alt.Tooltip("confidence:Q", title="confidence", format=".3f"),
        alt.Tooltip("verdict:N", title="against the reference"),
        alt.Tooltip("step:Q", title="proposal"),
        alt.Tooltip("spent_tokens:Q", title="tokens spent so far", format=","),
        alt.Tooltip("basis_tokens:Q", title="tokens it rests on", format=","),
        alt.Tooltip("seconds:Q", title="seconds", format=".2f"),
        alt.Tooltip("run:N", title="run"),
    ]
