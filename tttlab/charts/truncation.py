"""The truncation curve, drawn: how good the answer would have been after so many tokens of thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.axes import intervals_said, share_axis
from tttlab.charts.look import DASHES, HUES, REST, SHAPES, dressed
from tttlab.charts.shown_text import counted, shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.truncation import Truncation

TITLE = "Answers after so much thinking"
LINES = {
    "accuracy": "right",
    "final": "already the final answer",
    "unanswered": "no answer",
    "thinking_on": "still thinking",
}
"""What is drawn of each point, and its name."""
_WAYS = {
    "forced": "each recorded thinking was cut there, and the model made to answer from it",
    "recorded": "the answers are those that the runs had proposed by then; none was forced",
}
_HUES = (HUES[0], HUES[2], HUES[5], REST)
_WIDTH, _HEIGHT = 440, 280


def truncation(found: Truncation, *, model: str = "") -> OfflineChart:
    """Accuracy with its interval, and the shares that had their final answer, none, or would have thought on."""
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart
    from tttlab.charts.share_lines import end_labels

    rows = found.data
    drawn = [name for name in LINES if name in ("accuracy", "thinking_on") or any(row[name] for row in rows)]
    x = _x([row["thinking_tokens"] for row in rows])
    base = alt.Chart().encode(x=x, tooltip=_tooltip())
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.16, color=HUES[0]).encode(y=share_axis("low", "share of answers"), y2="high:Q")
    ]
    for name, hue, dash, shape in zip(drawn, _HUES, DASHES, SHAPES, strict=False):
        y = share_axis(name, "share of answers")
        layers.append(base.mark_line(strokeWidth=2, color=hue, strokeDash=list(dash)).encode(y=y))
        layers.append(base.mark_point(filled=True, size=42, opacity=1, color=hue, shape=shape).encode(y=y))
    ends = [
        {"series": LINES[name], "mean": rows[-1][name], "thinking_tokens": rows[-1]["thinking_tokens"]}
        for name in drawn
    ]
    layers += end_labels(ends, x, field="thinking_tokens", height=_HEIGHT)
    chart = OfflineChart(data=data_of(rows), layer=layers, width=_WIDTH, height=_HEIGHT)
    return dressed(chart, TITLE, _lines(found, rows, model))


def _lines(found: Truncation, rows: Sequence[Mapping[str, Any]], model: str) -> list[str]:
    paths, problems = len(found.paths), rows[0]["problems"]
    answers = "" if paths == problems else f", {counted(paths, 'answer')}"
    by = f"; {shown(model, 60)}" if model else ""
    intervals = intervals_said(point.accuracy for point in found.points)
    return [f"n = {counted(problems, 'problem')}{answers}{by}", f"band: {intervals}", _WAYS[found.way]]


def _x(amounts: Sequence[int]) -> alt.X:
    """Evenly near 0, then logarithmic: a cut at 0 is the answer without thinking."""
    import altair as alt

    near = next((amount for amount in amounts if amount), 1)
    scale = alt.Scale(type="symlog", constant=near, nice=False)
    axis = alt.Axis(values=list(amounts), format=",d", grid=False, labelOverlap=True, labelFlush=False)
    return alt.X("thinking_tokens:Q", title="tokens of thinking before the answer", scale=scale, axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    tooltip = [alt.Tooltip(f"{name}:Q", title=said, format=".3f") for name, said in LINES.items()]
    return [alt.Tooltip("thinking_tokens:Q", title="tokens of thinking"), *tooltip]
