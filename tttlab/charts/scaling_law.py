"""Accuracy against compute: what was measured, and the law that was fitted on the smaller budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from tttlab.charts.axes import compute_axis, intervals_said, share_axis, share_ends
from tttlab.charts.look import dressed, note
from tttlab.charts.shown_text import counted, points_said, shown
from tttlab.errors import OptionError

if TYPE_CHECKING:
    import altair as alt

    from tttlab.charts.renderer import OfflineChart
    from tttlab.experiments.coverage_law import CoverageLaw
    from tttlab.experiments.fits import AccuracyFit
    from tttlab.experiments.intervals import Interval

    Fit = AccuracyFit | CoverageLaw

_WIDTH, _HEIGHT = 460, 300
_MOST_SAID = 3
"""Series whose laws are said below the title."""


class _Point(Protocol):
    """A point of a fit: what was measured, what the law says, and whether the fit saw it."""

    @property
    def measured(self) -> Interval: ...
    @property
    def predicted(self) -> Interval: ...
    @property
    def held_out(self) -> bool: ...


def scaling_law(fits: Fit | Mapping[str, Fit], *, model: str = "") -> OfflineChart:
    """Measured points with their intervals, and each law with its own as a line and a band; compute doubles evenly.

    Hollow points were held out: the law was fitted without them. Several fits are given by their names, in one unit.
    Where there is no law its points are drawn alone, and the reason stands below the title. Raises `OptionError` for
    none, and for fits in different units.
    """
    named = dict(fits) if isinstance(fits, Mapping) else {"": fits}
    units = list(dict.fromkeys(map(_unit, named.values())))
    if len(units) != 1:
        raise OptionError(
            f"accuracy is drawn against one unit of compute, not {', '.join(units) or 'none'}: give fits of one"
        )
    title = "Coverage against samples" if all(map(_is_coverage, named.values())) else "Accuracy against compute"
    rows = [row for name, fit in named.items() for row in _rows(name, fit)]
    lines = _lines(named, model)
    if not rows:
        return note("nothing was measured", title, lines)
    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    x = compute_axis("compute", units[0], [row["compute"] for row in rows])
    ends = share_ends(row[name] for row in rows for name in ("low", "high", "mean", "law_low", "law_high"))
    said = "share of problems with a right sample" if title.startswith("Coverage") else "share of problems right"
    chart = OfflineChart(data=data_of(rows), layer=_layers(rows, x, ends, said), width=_WIDTH, height=_HEIGHT)
    return dressed(chart, title, lines)


def _layers(rows: Sequence[Mapping[str, Any]], x: alt.X, ends: tuple[float, float], said: str) -> list[alt.Chart]:
    import altair as alt

    from tttlab.charts.share_lines import Series, end_labels

    names = list(dict.fromkeys(shown(row["series"]) for row in rows))
    series = Series(names)
    base = alt.Chart().encode(x=x, color=series.colour())
    law = base.transform_filter("isValid(datum.law)")
    dots = base.encode(
        y=share_axis("mean", said, ends=ends), shape=series.shape(), stroke=series.stroke(), tooltip=_tooltip()
    )
    layers = [
        law.mark_area(opacity=0.13, interpolate="monotone").encode(
            y=share_axis("law_low", said, ends=ends), y2="law_high:Q"
        ),
        law.mark_line(interpolate="monotone", strokeWidth=1.8).encode(
            y=share_axis("law", said, ends=ends), strokeDash=series.dash()
        ),
        base.mark_rule(strokeWidth=1.3).encode(y=share_axis("low", said, ends=ends), y2="high:Q"),
        dots.transform_filter("!datum.held_out")
        .mark_point(size=58, strokeWidth=1.7, opacity=1)
        .encode(fill=series.fill()),
        dots.transform_filter("datum.held_out").mark_point(size=58, strokeWidth=1.7, opacity=1, fill="white"),
    ]
    return [*layers, *(end_labels(rows, x, field="compute", height=_HEIGHT, ends=ends) if len(names) > 1 else [])]


def _rows(name: str, fit: Fit) -> list[dict[str, Any]]:
    points: list[tuple[float, _Point]] = (
        [(float(point.samples), point) for point in fit.points]
        if _is_coverage(fit)
        else [(point.budget, point) for point in cast("AccuracyFit", fit).points]
    )
    return [
        {
            "series": name,
            "compute": compute,
            "unit": _unit(fit),
            "mean": point.measured.mean,
            "low": point.measured.low,
            "high": point.measured.high,
            "held_out": point.held_out and fit.reason is None,
            "law": point.predicted.mean,
            "law_low": point.predicted.low,
            "law_high": point.predicted.high,
            "problems": fit.problems,
        }
        for compute, point in points
    ]


def _lines(named: Mapping[str, Fit], model: str) -> list[str]:
    problems = sorted({fit.problems for fit in named.values()})
    several = counted(problems[0], "problem") if len(problems) == 1 else f"{problems[0]:,} to {problems[-1]:,} problems"
    measured = [point.measured for fit in named.values() for point in fit.points]
    lines = [f"n = {several}{f'; {shown(model, 60)}' if model else ''}", f"bars: {intervals_said(measured)}"]
    if any(fit.reason is None for fit in named.values()):
        lines.append("line and band: the law and its interval over problems; hollow: held out of its fit")
    if len(named) <= _MOST_SAID:
        lines += [f"{f'{shown(name, 40)}: ' if name else ''}{_law_said(fit)}" for name, fit in named.items()]
    return lines


def _law_said(fit: Fit) -> str:
    if fit.reason is not None:
        return fit.reason
    if _is_coverage(fit):
        held = "" if math.isnan(fit.held_out_residual) else f", largest held-out error {fit.held_out_residual:.3f}"
        return f"coverage(k) = exp({fit.a:.2f} k^{fit.b:.2f}), fitted up to k = {fit.up_to}{held}"
    law = cast("AccuracyFit", fit)
    error = next(trial.held_out_error for trial in law.trials if trial.law == law.law)
    gain = law.gain_per_doubling
    more = f"what one more doubling adds is not known: {gain.kind}"
    if math.isfinite(gain.mean):
        interval = f"[{points_said(gain.low, 1)}, {points_said(gain.high, 1)}]"
        more = f"one more doubling adds {points_said(gain.mean, 1)} points {interval}"
    return f"{law.law} law, held-out error {error:.3f}; {more}"


def _is_coverage(fit: Fit) -> TypeGuard[CoverageLaw]:
    return hasattr(fit, "up_to")


def _unit(fit: Fit) -> str:
    return "samples" if _is_coverage(fit) else cast("AccuracyFit", fit).unit


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("compute:Q", format=",.4~g"),
        alt.Tooltip("mean:Q", title="measured", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("law:Q", title="the law says", format=".3f"),
        alt.Tooltip("held_out:N", title="held out"),
    ]
