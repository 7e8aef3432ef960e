"""One budget over many problems: what each rule of allocation makes of it, and who gets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.axes import compute_axis, intervals_said, share_ends
from tttlab.charts.look import dressed
from tttlab.charts.shown_text import counted, shown
from tttlab.errors import OptionError, nearest

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.allocation_policies import RecordedAllocation

_WIDTH, _HEIGHT = 440, 280
_COLUMN = 96


def allocation(found: RecordedAllocation, *, model: str = "") -> OfflineChart:
    """Accuracy against the budget, a line a rule, with intervals over problems. Differences are in `chart.data`."""
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart
    from tttlab.charts.share_lines import banded_lines

    rows = [{"series": row["rule"], "mean": row["accuracy"], **row} for row in found.data]
    x = compute_axis("budget", found.unit, [row["budget"] for row in rows])
    ends = share_ends(row[name] for row in rows for name in ("low", "mean", "high"))
    layers = banded_lines(
        rows, x, field="budget", title="share of problems right", height=_HEIGHT, tooltip=_tooltip(), ends=ends
    )
    lines = [
        f"n = {counted(found.problems, 'problem')}{_by(model)}; majority of what a problem got",
        f"bands: {intervals_said(point.accuracy for point in found.points)}; paired differences: in the table",
    ]
    if any(row["rule"] == "oracle" for row in rows):
        lines.append("oracle: by the true difficulty, which nobody knows beforehand")
    chart = OfflineChart(data=data_of(rows), layer=layers, width=_WIDTH, height=_HEIGHT)
    return dressed(chart, "One budget over many problems", lines)


def shares(found: RecordedAllocation, *, budget: float | None = None, model: str = "") -> OfflineChart:
    """Samples a problem by its difficulty, a line a rule, under one of the budgets: the middle one unless given.

    Raises `OptionError` for a budget that there is not.
    """
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    budgets = sorted({point.budget for point in found.points})
    chosen = budgets[len(budgets) // 2] if budget is None else budget
    if chosen not in budgets:
        known = [f"{each:g}" for each in budgets]
        raise OptionError(f"no budget of {chosen:g} {found.unit} was replayed{nearest(f'{chosen:g}', known)}")
    rows = [
        {"series": row["rule"], "group": f"{row['difficulty'].removesuffix(' right')}|n = {row['problems']}", **row}
        for row in found.by_difficulty
        if row["budget"] == chosen and row["problems"]
    ]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    chart = OfflineChart(
        data=data_of(rows), layer=_share_layers(rows, groups), width=_COLUMN * max(2, len(groups)), height=_HEIGHT
    )
    lines = [
        f"n = {counted(found.problems, 'problem')}; {chosen:g} {found.unit} a problem{_by(model)}",
        "means over the problems of each fifth, without an interval",
    ]
    return dressed(chart, "Who gets the samples", lines)


def _share_layers(rows: Sequence[dict[str, Any]], groups: Sequence[str]) -> list[alt.Chart]:
    import altair as alt

    from tttlab.charts.share_lines import Series, end_labels

    series, most = Series(list(dict.fromkeys(row["rule"] for row in rows))), 1.08 * max(row["samples"] for row in rows)
    axis = alt.Axis(labelAngle=0, ticks=False, domain=False, labelPadding=6, labelExpr="split(datum.value, '|')")
    scale = alt.Scale(type="point", padding=0.3)
    x = alt.X("group:N", sort=list(groups), title="difficulty: share of samples right", axis=axis, scale=scale)
    up = alt.Scale(domain=[0, most], nice=False)
    y = alt.Y("samples:Q", title="samples a problem", scale=up, axis=alt.Axis(tickCount=5, format="~g"))
    base = alt.Chart().encode(x=x, y=y, color=series.colour())
    last = [{**row, "mean": row["samples"]} for row in rows if row["group"] == groups[-1]]
    return [
        base.mark_line(strokeWidth=2).encode(strokeDash=series.dash()),
        base.mark_point(filled=True, size=46, opacity=1).encode(shape=series.shape(), tooltip=_share_tooltip()),
        *end_labels(last, x, field="group", height=_HEIGHT, ends=(0, most)),
    ]


def _by(model: str) -> str:
    return f"; {shown(model, 60)}" if model else ""


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("rule:N"),
        alt.Tooltip("budget:Q", title="budget a problem", format=",.4~g"),
        alt.Tooltip("spent:Q", title="spent a problem", format=",.4~g"),
        alt.Tooltip("accuracy:Q", format=".3f"),
        alt.Tooltip("difference:Q", title="less uniform", format="+.3f"),
        alt.Tooltip("difference_low:Q", title="from", format="+.3f"),
        alt.Tooltip("difference_high:Q", title="to", format="+.3f"),
    ]


def _share_tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("rule:N"),
        alt.Tooltip("difficulty:N"),
        alt.Tooltip("problems:Q"),
        alt.Tooltip("samples:Q", title="samples a problem", format=".3~g"),
        alt.Tooltip("share:Q", title="of all samples", format=".1%"),
    ]
