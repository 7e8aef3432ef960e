"""What more samples bought: accuracy and coverage against the number of samples, with intervals over problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tttlab.charts.look import HUES, dressed, note
from tttlab.charts.shown_text import counted

if TYPE_CHECKING:
    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.scaling import Point

TITLE = "Accuracy against samples"


def accuracy(points: Sequence[Point], *, model: str = "") -> OfflineChart:
    """One line a rule of `tttlab.experiments.scaling`, with its interval over problems as a band.

    The axis of samples doubles from mark to mark. `model` is named at the head, if it is given.
    """
    if not points:
        return note("no rule could be estimated: each problem needs samples", TITLE, [model] if model else [])
    import altair as alt

    from tttlab.charts.renderer import OfflineChart

    rules = list(dict.fromkeys(point.rule for point in points))
    rows = [
        {
            "rule": point.rule,
            "samples": point.samples,
            "mean": point.interval.mean,
            "low": point.interval.low,
            "high": point.interval.high,
            "interval": f"{point.interval.low:.2f} to {point.interval.high:.2f}",
        }
        for point in points
    ]
    sizes = sorted({point.samples for point in points})
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "samples:Q",
            title="samples a problem",
            scale=alt.Scale(type="log", base=2, nice=False),
            axis=alt.Axis(values=sizes, format="d"),
        ),
        color=alt.Color(
            "rule:N",
            title=None,
            sort=rules,
            scale=alt.Scale(domain=rules, range=list(HUES[: len(rules)])),
            legend=alt.Legend(orient="bottom", direction="vertical", symbolOpacity=1),
        ),
    )
    share = alt.Y("mean:Q", title="share of problems", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%"))
    band = base.mark_area(opacity=0.13).encode(y=alt.Y("low:Q", title="share of problems"), y2="high:Q")
    line = base.mark_line(point=alt.OverlayMarkDef(size=38), strokeWidth=2).encode(
        y=share,
        tooltip=[
            alt.Tooltip("rule:N"),
            alt.Tooltip("samples:Q"),
            alt.Tooltip("mean:Q", format=".3f"),
            alt.Tooltip("interval:N", title="95% interval"),
        ],
    )
    problems = points[0].interval.problems
    lines = [f"n = {counted(problems, 'problem')}; bands are 95% intervals over problems{_by(model)}"]
    if any("pass@" in rule for rule in rules):
        lines.append("pass@k is coverage: some sample was right. It takes the reference to know which.")
    return dressed(OfflineChart(layer=[band, line], width=460, height=280), TITLE, lines)


def _by(model: str) -> str:
    return f"; {model}" if model else ""
