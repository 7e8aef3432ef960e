"""Lines of shares with their intervals, each named at its end. Imported late: altair is heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from tttlab.charts.axes import share_axis
from tttlab.charts.look import DASHES, HUES, INK, REST, SHAPES, SOFT
from tttlab.charts.shown_text import shown

Row = Mapping[str, Any]

_FEW = 3
_LINE = 14
"""Pixels between the names at two lines' ends."""
_GAP = 12
"""Pixels between a line's last point and its name."""
_MOVED = 3
"""A name that was moved by more pixels is joined to its line."""


class Series:
    """The series of a chart, each with a hue, a dash and a shape that it keeps in every layer."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._hues = [HUES[place] if place < len(HUES) else REST for place in range(len(names))]

    def colour(self, field: str = "series", legend: alt.Legend | None = None) -> alt.Color:
        """By hue. Without a legend unless one is given: series are named where their lines end."""
        return alt.Color(f"{field}:N", scale=alt.Scale(domain=self.names, range=self._hues), legend=legend)

    def stroke(self, field: str = "series") -> alt.Stroke:
        """By the hue of the outline."""
        return alt.Stroke(f"{field}:N", scale=alt.Scale(domain=self.names, range=self._hues), legend=None)

    def fill(self, field: str = "series") -> alt.Fill:
        """By the hue within."""
        return alt.Fill(f"{field}:N", scale=alt.Scale(domain=self.names, range=self._hues), legend=None)

    def dash(self, field: str = "series") -> alt.StrokeDash:
        """By dash."""
        dashes = [list(DASHES[place % len(DASHES)]) for place in range(len(self.names))]
        return alt.StrokeDash(f"{field}:N", scale=alt.Scale(domain=self.names, range=dashes), legend=None)

    def shape(self, field: str = "series", legend: alt.Legend | None = None) -> alt.Shape:
        """By shape."""
        shapes = [SHAPES[place % len(SHAPES)] for place in range(len(self.names))]
        return alt.Shape(f"{field}:N", scale=alt.Scale(domain=self.names, range=shapes), legend=legend)


def banded_lines(
    rows: Sequence[Row],
    x: alt.X,
    *,
    field: str,
    title: str,
    height: int,
    tooltip: list[alt.Tooltip],
    ends: tuple[float, float] = (0.0, 1.0),
) -> list[alt.Chart]:
    """A line a series with its points, its interval as a band, and its name at its end.

    The chart's data are `rows`, with `series`, `mean`, `low`, `high` and the field of `x`.
    """
    series = Series(list(dict.fromkeys(shown(row["series"]) for row in rows)))
    # Several bands cover each other: they are fainter then.
    faint = 0.13 if len(series.names) <= _FEW else 0.07
    base = alt.Chart().encode(x=x, color=series.colour())
    spots = base.encode(y=share_axis("mean", title, ends=ends), tooltip=tooltip)
    return [
        base.mark_area(opacity=faint).encode(y=share_axis("low", title, ends=ends), y2="high:Q"),
        spots.mark_line(strokeWidth=2).encode(strokeDash=series.dash()),
        spots.mark_point(filled=True, size=42, opacity=1).encode(shape=series.shape()),
        *end_labels(rows, x, field=field, height=height, ends=ends),
    ]


def end_labels(
    rows: Sequence[Row], x: alt.X, *, field: str, height: int, ends: tuple[float, float] = (0.0, 1.0)
) -> list[alt.Chart]:
    """Each series' name right of its last point, moved up or down where two would overlap, and then joined to it.

    `rows` have `series`, `mean` and the field of `x`; `ends` are those of the axis of shares.
    """
    last: dict[str, Row] = {}
    for row in rows:
        if row["series"] not in last or row[field] >= last[row["series"]][field]:
            last[row["series"]] = row
    least, most = ends
    heights = [height * (most - last[name]["mean"]) / (most - least) for name in last]
    labels = [
        {field: last[name][field], "series": shown(name), "at": place, "from": end}
        for name, end, place in zip(last, heights, spread(heights, height), strict=True)
    ]
    y = alt.Y("at:Q", scale=None, axis=None)
    base = alt.Chart(alt.InlineData(values=labels)).encode(x=x)
    names = base.mark_text(align="left", baseline="middle", dx=_GAP, fontSize=11.5, color=INK)
    joins = base.transform_filter(f"abs(datum.at - datum.from) > {_MOVED}").mark_rule(
        xOffset=5, x2Offset=_GAP - 2, strokeWidth=1, color=SOFT
    )
    return [
        joins.encode(x2=field, y=alt.Y("from:Q", scale=None, axis=None), y2="at:Q"),
        names.encode(y=y, text="series:N"),
    ]


def spread(places: Sequence[float], height: float, *, line: float = _LINE) -> list[float]:
    """Places of labels, in pixels from the top, moved apart by as little as gives each its line, in the same order."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[list[Any]] = []
    for index in order:
        groups.append([[index], places[index]])
        while len(groups) > 1 and _touch(groups[-2], groups[-1], line):
            below, above = groups.pop(), groups.pop()
            members = above[0] + below[0]
            middle = sum(places[member] for member in members) / len(members)
            groups.append([members, middle])
    moved = [0.0] * len(places)
    for members, middle in groups:
        half = line * (len(members) - 1) / 2
        top = min(max(middle, half), max(height - half, half)) - half
        for number, member in enumerate(members):
            moved[member] = top + number * line
    return moved


def _touch(upper: Sequence[Any], lower: Sequence[Any], line: float) -> bool:
    reach = line * (len(upper[0]) + len(lower[0])) / 2
    return bool(lower[1] - upper[1] < reach)
