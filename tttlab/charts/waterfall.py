"""The loss waterfall: how many problems can still end right after each stage, and who lost the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.axes import whole_ticks
from tttlab.charts.look import HUES, INK, dressed
from tttlab.charts.shown_text import counted, shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.waterfall import Loss, Waterfall

TITLE = "Where problems were lost"
START = "all problems"
_WIDTH, _ROW = 420, 30


def waterfall(found: Waterfall, *, model: str = "") -> OfflineChart:
    """A bar for each stage, from the first: the problems that can still end right, and those that it lost.

    Who did a stage's work stands beside what it lost.
    """
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    total = len(found.problems)
    rows = _rows(found.rows, total)
    y = alt.Y("stage:N", sort=[shown(row["stage"]) for row in rows], title=None, axis=_names())
    base = alt.Chart().encode(y=y, tooltip=_tooltip())
    bars = base.mark_bar(height={"band": 0.72})
    layers = [
        bars.encode(x=_x("left", total), color=alt.value(HUES[0])),
        bars.encode(x=_x("left", total), x2="before:Q", color=alt.value(HUES[1]), opacity=alt.value(0.75)),
        base.mark_text(align="right", dx=-6, color="white", fontSize=12, fontWeight="bold")
        .transform_filter(f"datum.left > {0.08 * total}")
        .encode(x=_x("left", total), text="left:Q"),
        base.mark_text(align="left", dx=6, color=INK, fontSize=11.5)
        .transform_filter("datum.lost > 0")
        .encode(x=_x("before", total), text="said:N"),
    ]
    chart = OfflineChart(data=data_of(rows), layer=layers, width=_WIDTH, height=_ROW * len(rows))
    losers = ", ".join(f"{shown(who)} {lost}" for who, lost in found.losers.items() if lost)
    by = f"; {shown(model, 60)}" if model else ""
    lines = [
        f"n = {counted(total, 'problem')}; counts of these problems, without an interval{by}",
        f"lost by: {losers}" if losers else "none was lost",
    ]
    return dressed(chart, TITLE, lines)


def _rows(losses: Sequence[Loss], total: int) -> list[dict[str, Any]]:
    first: dict[str, Any] = {
        "stage": START,
        "depth": None,
        "left": total,
        "before": total,
        "lost": 0,
        "loser": "",
        "said": "",
    }
    rows, before = [first], total
    for loss in losses:
        name = loss.stage if loss.depth is None else f"{loss.stage}, depth {loss.depth}"
        said = f"\N{MINUS SIGN}{loss.lost} {loss.loser}"
        rows.append(
            {**first, "stage": name, "depth": loss.depth, "left": loss.left, "before": before, "lost": loss.lost}
        )
        rows[-1] |= {"loser": loss.loser, "said": said}
        before = loss.left
    return rows


def _names() -> alt.Axis:
    import altair as alt

    return alt.Axis(domain=False, ticks=False, labelColor=INK, labelFontSize=12, labelPadding=8)


def _x(field: str, total: int) -> alt.X:
    import altair as alt

    axis = alt.Axis(values=whole_ticks(0, total), format="d", grid=False, labelFlush=False)
    scale = alt.Scale(domain=[0, total], nice=False)
    return alt.X(f"{field}:Q", title="problems that can still end right", scale=scale, axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("stage:N", title="after the stage"),
        alt.Tooltip("left:Q", title="can still end right"),
        alt.Tooltip("lost:Q", title="lost here"),
        alt.Tooltip("loser:N", title="by"),
    ]
