"""Verifier reliability: how often what got a score was right, against the score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.axes import intervals_said, share_axis
from tttlab.charts.look import INK, SOFT, dressed, note
from tttlab.charts.shown_text import counted, shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.calibration import GroupAuc, ReliabilityBin

TITLE = "Scores against truth"
_SIDE = 320
"""Pixels: a square, so that scores that mean what they say lie on its diagonal."""


def reliability(
    bins: Sequence[ReliabilityBin] | Mapping[str, Sequence[ReliabilityBin]],
    *,
    aucs: Sequence[GroupAuc] = (),
    verifier: str = "",
) -> OfflineChart:
    """The share that was right in each bin of scores, with its interval, and how many were judged there.

    On the diagonal a score of 0.8 is right 8 times in 10; below it the verifier is too sure. Several verifiers, or
    depths, are given by their names. `aucs` are said below the title.
    """
    named = dict(bins) if isinstance(bins, Mapping) else {"": bins}
    rows = [_row(name, each) for name, found in named.items() for each in found if each.count]
    lines = _lines(named, aucs, verifier)
    if not rows:
        return note("nothing was judged", TITLE, lines)
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart
    from tttlab.charts.share_lines import Series

    series = Series([shown(name) for name in named])
    x, y = _unit("score", "score, mean of the bin"), share_axis("right", "share that was right")
    legend = alt.Legend(title=None, orient="bottom", symbolOpacity=1, symbolStrokeWidth=0) if len(named) > 1 else None
    base = alt.Chart().encode(x=x, color=series.colour(legend=legend))
    diagonal = alt.Chart(alt.InlineData(values=[{"score": 0, "right": 0}, {"score": 1, "right": 1}]))
    layers = [
        diagonal.mark_line(color=SOFT, strokeDash=[3, 3], strokeWidth=1).encode(x=x, y=y),
        base.mark_rule(strokeWidth=1.4).encode(y=share_axis("low", "share that was right"), y2="high:Q"),
        base.mark_line(strokeWidth=1.2, opacity=0.6).encode(y=y, strokeDash=series.dash()),
        base.mark_point(filled=True, size=58, opacity=1).encode(
            y=y, shape=series.shape(legend=legend), tooltip=_tooltip()
        ),
    ]
    if len(named) == 1:
        text = alt.Chart().mark_text(fontSize=10.5, color=INK, baseline="top")
        layers.append(
            text.encode(
                x=_unit("middle", "score, mean of the bin"), y=alt.value(-14), text=alt.Text("count:Q", format=",d")
            )
        )
    return dressed(OfflineChart(data=data_of(rows), layer=layers, width=_SIDE, height=_SIDE), TITLE, lines)


def _row(name: str, found: ReliabilityBin) -> dict[str, Any]:
    return {
        "series": name,
        "from": found.low,
        "to": found.high,
        "middle": (found.low + found.high) / 2,
        "count": found.count,
        "score": found.score,
        "right": found.accuracy.mean,
        "low": found.accuracy.low,
        "high": found.accuracy.high,
    }


def _lines(named: Mapping[str, Sequence[ReliabilityBin]], aucs: Sequence[GroupAuc], verifier: str) -> list[str]:
    judged = sum(each.count for found in named.values() for each in found)
    counts = "; above: how many in each bin" if len(named) == 1 else ""
    lines = [
        f"n = {judged:,} judged{counts}{f'; {shown(verifier, 60)}' if verifier else ''}",
        f"bars: {intervals_said(each.accuracy for found in named.values() for each in found if each.count)}",
    ]
    if known := [each for each in aucs if math.isfinite(each.auc)]:
        lines.append("AUC " + ", ".join(f"{shown(str(each.group), 20)}: {each.auc:.3f}" for each in known))
    if unknown := len(aucs) - len(known):
        lines.append(f"no AUC of {counted(unknown, 'group')}: all there are right, or none is")
    return lines


def _unit(field: str, title: str) -> alt.X:
    import altair as alt

    scale, axis = alt.Scale(domain=[0, 1], nice=False), alt.Axis(tickCount=5, grid=False, labelFlush=False)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("from:Q", title="scores from", format=".2f"),
        alt.Tooltip("to:Q", format=".2f"),
        alt.Tooltip("count:Q", title="judged", format=",d"),
        alt.Tooltip("score:Q", title="mean score", format=".3f"),
        alt.Tooltip("right:Q", title="share right", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
    ]
