"""What accuracy costs: each policy at each size, and the line of those that nothing beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from tttlab.charts.axes import compute_axis, compute_domain, share_axis, share_ends
from tttlab.charts.label_places import around, label_places
from tttlab.charts.look import HUES, INK, REST, SHAPES, SOFT, dressed, note
from tttlab.charts.shown_text import counted, shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart

TITLE = "What accuracy costs"
RIGHT = "share of problems right"
_WIDTH, _HEIGHT = 520, 320
_SIZE = (0.0, -6.0, _WIDTH + 60.0, float(_HEIGHT))
"""Where names may stand: a little over the plot's right end too."""
_LONGEST = 28


class HasFrontier(Protocol):
    """What is drawn: `tttlab.experiments.frontier.Frontier`."""

    @property
    def data(self) -> Sequence[Mapping[str, Any]]:
        """One row a point: policy, label, cost, unit, accuracy, low, high, on_frontier, problems, level, baseline."""
        ...


def frontier(found: HasFrontier, *, model: str = "") -> OfflineChart:
    """Accuracy against cost on a logarithmic axis: filled points are on the frontier, hollow ones are beaten.

    The step line says what each amount of compute can buy. Points on it are named as far as there is room; all are in
    `chart.data`. What is not known (too few samples) is not drawn, and counted.
    """
    known = [row for row in found.data if _is_number(row["cost"]) and _is_number(row["accuracy"]) and row["cost"] > 0]
    lines = _lines(found.data, known, model)
    if not known:
        return note("no policy's accuracy and cost are known", TITLE, lines)
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    plot = _Plot(known)
    x, y = (
        compute_axis("cost", known[0]["unit"], plot.across),
        share_axis("accuracy", RIGHT, ends=plot.ends),
    )
    base = alt.Chart().encode(x=x, tooltip=_tooltip())
    best = alt.Chart(data_of(plot.steps())).mark_line(interpolate="step-after", strokeWidth=1.6, color=SOFT)
    dots = base.mark_point(size=60, strokeWidth=1.6, opacity=1).encode(y=y, shape=plot.shape(), stroke=plot.stroke())
    layers = [
        best.encode(x=x, y=y),
        base.mark_rule(opacity=0.45).encode(
            y=share_axis("low", RIGHT, ends=plot.ends), y2="high:Q", stroke=plot.stroke()
        ),
        dots.transform_filter("!datum.on_frontier").encode(fill=alt.value("white")),
        dots.transform_filter("datum.on_frontier").encode(fill=plot.fill()),
        *plot.names(),
    ]
    chart = OfflineChart(data=data_of(known), layer=layers, width=_WIDTH, height=_HEIGHT)
    return dressed(chart, TITLE, lines)


class _Plot:
    """Where things are, in the data's units and in pixels."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows
        self.across = [row["cost"] for row in rows]
        self.ends = share_ends(row[name] for row in rows for name in ("low", "accuracy", "high"))
        self._policies = list(dict.fromkeys(shown(row["policy"]) for row in rows))
        self._hues = [HUES[place] if place < len(HUES) else REST for place in range(len(self._policies))]
        self._best = [row for row in rows if row["on_frontier"]]

    def steps(self) -> list[dict[str, float]]:
        """The frontier's corners, to the right end of the plot: what is bought there is the last point's still."""
        corners = [{"cost": row["cost"], "accuracy": row["accuracy"]} for row in self._best]
        return [*corners, {**corners[-1], "cost": compute_domain(self.across)[1]}] if corners else []

    def names(self) -> list[alt.Chart]:
        """The names of the points on the frontier, the most accurate first, as far as there is room."""
        import altair as alt

        named = self._best[::-1]
        boxes = [around(*self._pixels(row)) for row in self._rows if not row["on_frontier"]]
        corners = [self._pixels(corner) for corner in self.steps()]
        for (left, at), (right, below) in pairwise(corners):
            boxes += [(left, at - 1, right, at + 1), (right - 1, min(at, below), right + 1, max(at, below))]
        names = [shown(row["label"], _LONGEST) for row in named]
        places = label_places(names, list(map(self._pixels, named)), boxes, _SIZE)
        rows = [
            {"name": name, "x": place.x, "y": place.y, "align": place.align}
            for name, place in zip(names, places, strict=True)
            if place is not None
        ]
        layers = []
        for align in ("left", "center", "right"):
            data = alt.InlineData(values=[row for row in rows if row["align"] == align])
            text = alt.Chart(data).mark_text(align=align, baseline="middle", fontSize=11.5, color=INK)
            x, y = alt.X("x:Q", scale=None, axis=None), alt.Y("y:Q", scale=None, axis=None)
            layers.append(text.encode(x=x, y=y, text="name:N"))
        return layers

    def shape(self) -> alt.Shape:
        """By policy."""
        import altair as alt

        shapes = [SHAPES[place % len(SHAPES)] for place in range(len(self._policies))]
        return alt.Shape("policy:N", scale=alt.Scale(domain=self._policies, range=shapes), legend=_legend())

    def stroke(self) -> alt.Stroke:
        """By policy."""
        import altair as alt

        return alt.Stroke("policy:N", scale=alt.Scale(domain=self._policies, range=self._hues), legend=_legend())

    def fill(self) -> alt.Fill:
        """By policy."""
        import altair as alt

        return alt.Fill("policy:N", scale=alt.Scale(domain=self._policies, range=self._hues), legend=None)

    def _pixels(self, row: Mapping[str, Any]) -> tuple[float, float]:
        least, most = map(math.log, compute_domain(self.across))
        bottom, top = self.ends
        return _WIDTH * (math.log(row["cost"]) - least) / (most - least), _HEIGHT * (top - row["accuracy"]) / (
            top - bottom
        )


def _legend() -> alt.Legend:
    import altair as alt

    return alt.Legend(title=None, orient="bottom", direction="horizontal", columns=2, symbolSize=70, symbolOpacity=1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _lines(rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]], model: str) -> list[str]:
    if not rows:
        return []
    by = f"; {shown(model, 60)}" if model else ""
    lines = [
        f"n = {counted(rows[0]['problems'], 'problem')}; bars are {rows[0]['level']:.0%} intervals over problems{by}",
        "filled: nothing is as accurate for less; hollow: beaten. The line is what compute can buy.",
    ]
    if unknown := len(rows) - len(known):
        lines.append(f"not drawn: {unknown} of {counted(len(rows), 'point')}, whose accuracy or cost is not known")
    return lines


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("label:N", title="policy"),
        alt.Tooltip("accuracy:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("cost:Q", format=",.4~g"),
        alt.Tooltip("samples:Q", title="samples a problem", format=".3~g"),
        alt.Tooltip("dominated_by:N", title="beaten by"),
    ]
