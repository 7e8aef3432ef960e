"""What more samples bought: accuracy and coverage against the number of samples, with intervals over problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tttlab.charts.axes import compute_axis, intervals_said
from tttlab.charts.look import dressed, note
from tttlab.charts.shown_text import counted, shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.scaling import Point

TITLE = "Accuracy against samples"
_HEIGHT = 280


def accuracy(points: Sequence[Point], *, model: str = "") -> OfflineChart:
    """One line a rule of `tttlab.experiments.scaling`, with its interval over problems as a band.

    The axis of samples doubles from mark to mark. `model` is named at the head, if it is given.
    """
    if not points:
        return note("no rule could be estimated: each problem needs samples", TITLE, [model] if model else [])
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart
    from tttlab.charts.share_lines import banded_lines

    rows = [
        {
            "series": point.rule,
            "samples": point.samples,
            "mean": point.interval.mean,
            "low": point.interval.low,
            "high": point.interval.high,
            "interval": f"{point.interval.low:.2f} to {point.interval.high:.2f}",
            "problems": point.interval.problems,
        }
        for point in points
    ]
    x = compute_axis("samples", "samples", [point.samples for point in points])
    layers = banded_lines(rows, x, field="samples", title="share of problems", height=_HEIGHT, tooltip=_tooltip())
    chart = OfflineChart(data=data_of(rows), layer=layers, width=460, height=_HEIGHT)
    lines = [
        f"n = {counted(points[0].interval.problems, 'problem')}{_by(model)}",
        f"bands: {intervals_said(point.interval for point in points)}",
    ]
    if any("pass@" in point.rule for point in points):
        lines.append("pass@k is coverage: some sample was right. It takes the reference to know which.")
    return dressed(chart, TITLE, lines)


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("series:N", title="rule"),
        alt.Tooltip("samples:Q"),
        alt.Tooltip("mean:Q", format=".3f"),
        alt.Tooltip("interval:N", title="interval"),
    ]


def _by(model: str) -> str:
    return f"; {shown(model, 60)}" if model else ""
