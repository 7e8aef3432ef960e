"""Flips: how many answers became right, and how many are right no more, from one level of compute to the next."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from tttlab.charts.axes import intervals_said, whole_ticks
from tttlab.charts.look import HUES, INK, SOFT, dressed
from tttlab.charts.shown_text import counted, points_said, shown, title_shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.flips import Flips, Passage

TITLE = "Answers that flipped"
_COLUMN, _HEIGHT = 118, 260
"""Pixels: the width of one passage, and the height of all."""


def flips(found: Flips, *, levels: str = "compute", model: str = "") -> OfflineChart:
    """A pair of bars from each level of compute to the next: upwards what became right, downwards what is so no more.

    `levels` says what the levels are, such as "thinking budget (tokens)". The net gain in accuracy stands above each
    pair, with its interval; below it, how many changed from one wrong answer to another. Raises `OptionError` where the
    answers have no levels in common.
    """
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    passages = found.passages()
    rows = [_row(passage) for passage in passages]
    columns = _Columns(rows, levels)
    problems, paths = passages[0].net.problems, passages[0].paths
    answers = "" if paths == problems else f", {counted(paths, 'answer')} at each level"
    lines = [
        f"n = {counted(problems, 'problem')}{answers}{f'; {shown(model, 60)}' if model else ''}",
        f"above: net gain in accuracy; {intervals_said(passage.net for passage in passages)}",
    ]
    chart = OfflineChart(
        data=data_of(rows),
        layer=[*columns.bars("gained", HUES[0]), *columns.bars("lost", HUES[5]), *columns.remarks(), *columns.sides()],
        width=columns.width,
        height=_HEIGHT,
    )
    return dressed(chart, TITLE, lines)


def _row(passage: Passage) -> dict[str, Any]:
    net, other = passage.net, passage.counts.get("wrong to other wrong", 0)
    return {
        "passage": f"{_amount(passage.before)} → {_amount(passage.after)}",
        "before": str(passage.before),
        "after": str(passage.after),
        "paths": passage.paths,
        "gained": passage.gained,
        "lost": passage.lost,
        "wrong_to_other_wrong": other,
        "net": net.mean,
        "low": net.low,
        "high": net.high,
        "net_said": f"{points_said(net.mean)} points",
        "interval_said": f"[{points_said(net.low)}, {points_said(net.high)}]" if isfinite(net.low) else "",
        "other_said": f"{other} wrong → wrong" if other else "",
    }


def _amount(amount: float | str) -> str:
    return amount if isinstance(amount, str) else f"{amount:,.10g}"


class _Columns:
    """The parts of the chart, on one pair of axes."""

    def __init__(self, rows: Sequence[dict[str, Any]], levels: str) -> None:
        self._order = [shown(row["passage"]) for row in rows]
        self._up = max(1, *(row["gained"] for row in rows), 0.3 * max(row["lost"] for row in rows))
        self._down = max(1, *(row["lost"] for row in rows), 0.3 * self._up)
        self._levels = title_shown(levels)
        self.width = _COLUMN * len(rows)

    def bars(self, field: str, hue: str) -> list[alt.Chart]:
        """One way, with its numbers."""
        import altair as alt

        sign = 1 if field == "gained" else -1
        base = alt.Chart().transform_calculate(signed=f"{sign} * datum.{field}", number=f"datum.{field} || ''")
        tooltip = [
            alt.Tooltip("passage:N", title=self._levels),
            alt.Tooltip("gained:Q", title="became right"),
            alt.Tooltip("lost:Q", title="right no more"),
            alt.Tooltip("wrong_to_other_wrong:Q", title="wrong to another wrong"),
            alt.Tooltip("paths:Q", title="answers in all"),
        ]
        bar = base.mark_bar(color=hue, width={"band": 0.5}).encode(x=self._x(), y=self._y("signed"), tooltip=tooltip)
        number = base.mark_text(color=INK, fontSize=12, dy=-8 * sign, baseline="middle")
        return [bar, number.encode(x=self._x(), y=self._y("signed"), text="number:N")]

    def remarks(self) -> list[alt.Chart]:
        """The net gain above, and what went from wrong to wrong below."""
        import altair as alt

        def said(field: str, pixel: float, colour: str, weight: Literal["normal", "bold"] = "normal") -> alt.Chart:
            text = alt.Chart().mark_text(color=colour, fontSize=11.5, baseline="middle", fontWeight=weight)
            placed: alt.Chart = text.encode(x=self._x(), y=alt.value(pixel), text=f"{field}:N")
            return placed

        return [
            said("net_said", 8, INK, "bold"),
            said("interval_said", 24, SOFT),
            said("other_said", _HEIGHT - 8, SOFT),
        ]

    def sides(self) -> list[alt.Chart]:
        """The line that the bars stand on, and what each side of it is, beside them."""
        import altair as alt

        zero = alt.Chart(alt.InlineData(values=[{"at": 0}])).mark_rule(color=SOFT, strokeWidth=1)
        sides = [{"at": self._up / 2, "said": "became right"}, {"at": -self._down / 2, "said": "right no more"}]
        text = alt.Chart(alt.InlineData(values=sides)).mark_text(align="left", dx=10, fontSize=11.5, color=INK)
        return [
            zero.encode(y=self._y("at")),
            text.encode(x=alt.value(self.width), y=self._y("at"), text="said:N"),
        ]

    def _x(self) -> alt.X:
        import altair as alt

        axis = alt.Axis(labelAngle=0, domain=False, ticks=False, labelPadding=6)
        return alt.X("passage:N", sort=self._order, title=self._levels, axis=axis)

    def _y(self, field: str) -> alt.Y:
        import altair as alt

        # Room above for the net gain, and below for a remark: shares of the height.
        whole = self._up + self._down
        scale = alt.Scale(domain=[-self._down - 0.22 * whole, self._up + 0.34 * whole], nice=False)
        axis = alt.Axis(values=whole_ticks(-self._down, self._up), labelExpr="abs(datum.value)", titlePadding=8)
        return alt.Y(f"{field}:Q", scale=scale, axis=axis, title="answers")
