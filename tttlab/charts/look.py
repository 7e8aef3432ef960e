"""How the charts look: fonts, colours and the words at their head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tttlab.charts.renderer import OfflineChart

INK = "#262626"
SOFT = "#6b6b6b"
FAINT = "#d0d0d0"
HUES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Okabe and Ito's colours (2008), told apart by colour-blind readers; its yellow is too faint on white."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [4, 2, 1, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
"""What else tells series apart, in the order of the hues: a print in grey has no hues."""
REST = "#9a9a9a"
"""What has no hue of its own."""
SANS = "system-ui, 'DejaVu Sans', sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, monospace, sans-serif"
"""Where there is no fixed-width font, as on a bare server, any is better than none: each token keeps its place."""


def dressed(chart: OfflineChart, title: str, lines: Sequence[str]) -> OfflineChart:
    """The chart with its title, the lines below it, and a description for those who don't see it."""
    head = {"text": title, "subtitle": list(lines)}
    whole: OfflineChart = chart.properties(title=head, description=". ".join([title, *lines]))
    return whole


def note(said: str, title: str, lines: Sequence[str]) -> OfflineChart:
    """A chart of nothing, which says why."""
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    text = alt.Chart().mark_text(color=SOFT, fontSize=13, align="left")
    layer = text.encode(x=alt.value(0), y=alt.value(20), text="said:N")
    return dressed(OfflineChart(data=data_of([{"said": said}]), layer=[layer], width=400, height=40), title, lines)


CONFIG: dict[str, Any] = {
    "font": SANS,
    # Dark themes do not reach in: the colours are chosen for white.
    "background": "white",
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "fontSize": 14,
        "fontWeight": 600,
        "color": INK,
        "subtitleColor": SOFT,
        "subtitleFontSize": 11.5,
        "subtitleLineHeight": 16,
        "subtitlePadding": 5,
        "offset": 12,
    },
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 11,
        "labelLimit": 200,
        "gridColor": "#ebebeb",
        "domainColor": FAINT,
        "tickColor": FAINT,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "titleFontSize": 11.5,
        "labelFontSize": 11.5,
        "labelLimit": 220,
        "symbolStrokeWidth": 1.5,
    },
}
"""Vega-Lite's own configuration, for charts that stand alone."""
