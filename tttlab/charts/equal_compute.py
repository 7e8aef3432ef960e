"""Methods at equal compute: the accuracy that each had reached at each budget, had it stopped there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tttlab.charts.axes import compute_axis, intervals_said, share_ends
from tttlab.charts.look import dressed
from tttlab.charts.shown_text import counted, shown
from tttlab.errors import OptionError

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.equal_compute import EqualCompute

_WIDTH, _HEIGHT = 460, 300


def equal_compute(methods: EqualCompute | Mapping[str, EqualCompute], *, model: str = "") -> OfflineChart:
    """A line a method over budgets in one unit, with intervals over problems; what had no answer yet was not right.

    Several methods are given by their names. A budget of 0 has no place on the logarithmic axis, and is in none of the
    rows. Raises `OptionError` for no methods, and for methods in different units.
    """
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart
    from tttlab.charts.share_lines import banded_lines

    named = dict(methods) if isinstance(methods, Mapping) else {"": methods}
    units = list(dict.fromkeys(found.unit for found in named.values()))
    if len(units) != 1:
        raise OptionError(f"equal compute is in one unit, not {', '.join(units) or 'none'}: give methods in one")
    found = [(name, row) for name, method in named.items() for row in method.table() if row.budget > 0]
    rows = [
        {
            "series": name,
            "compute": row.budget,
            "unit": units[0],
            "mean": row.accuracy.mean,
            "low": row.accuracy.low,
            "high": row.accuracy.high,
            "answered": row.answered,
            "ended": row.ended,
            "problems": row.accuracy.problems,
        }
        for name, row in found
    ]
    x = compute_axis("compute", units[0], [row.budget for _, row in found])
    ends = share_ends(value for _, row in found for value in (row.accuracy.low, row.accuracy.mean, row.accuracy.high))
    layers = banded_lines(
        rows, x, field="compute", title="share of problems right", height=_HEIGHT, tooltip=_tooltip(), ends=ends
    )
    counts = sorted({len(method.problems) for method in named.values()})
    several = counted(counts[0], "problem") if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,} problems"
    lines = [
        f"n = {several}{f'; {shown(model, 60)}' if model else ''}",
        f"bands: {intervals_said(row.accuracy for _, row in found)}",
    ]
    chart = OfflineChart(data=data_of(rows), layer=layers, width=_WIDTH, height=_HEIGHT)
    return dressed(chart, "Accuracy at equal compute", lines)


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("series:N", title="method"),
        alt.Tooltip("compute:Q", format=",.4~g"),
        alt.Tooltip("mean:Q", title="right", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("answered:Q", title="answered", format=".3f"),
        alt.Tooltip("ended:Q", title="runs that had ended", format=".3f"),
    ]
