"""Axes that the charts of experiments share: shares of problems, and compute that doubles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from tttlab.charts.shown_text import title_shown

if TYPE_CHECKING:
    import altair as alt

    from tttlab.experiments.intervals import Interval

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "samples": "samples a problem",
        "tokens": "tokens a problem, prompt and output",
        "output_tokens": "output tokens a problem",
        "prompt_tokens": "prompt tokens a problem",
        "thinking_tokens": "thinking tokens a problem",
        "calls": "model calls a problem",
        "seconds": "seconds a problem",
        "latency": "seconds that a user waits, a problem",
        "dollars": "dollars a problem",
        "flops": "estimated FLOPs a problem",
    }
)
"""The units of compute, as an axis names them."""

_ROUNDING = 1e-9
_MOST_TICKS = 7
_MARGIN = 0.03
"""Of an axis of compute, on either side of its values."""
_STEPS = (1, 2, 5)


def unit_title(unit: str) -> str:
    """How an axis names a unit of compute."""
    return UNITS.get(unit) or f"{title_shown(unit)} a problem"


def compute_domain(values: Iterable[float]) -> tuple[float, float]:
    """Where a logarithmic axis of these values begins and ends: a little outside them."""
    known = [value for value in values if value > 0 and math.isfinite(value)]
    least, most = (min(known), max(known)) if known else (1.0, 10.0)
    margin = (most / least) ** _MARGIN if most > least else 1.5
    return least / margin, most * margin


def compute_axis(field: str, unit: str, values: Iterable[float]) -> alt.X:
    """A logarithmic axis of compute over these values."""
    import altair as alt

    least, most = compute_domain(known := sorted({value for value in values if value > 0 and math.isfinite(value)}))
    counts = (
        unit in ("samples", "calls") and len(known) <= _MOST_TICKS + 2 and all(map(float.is_integer, map(float, known)))
    )
    ticks = known if counts else log_ticks(least, most)
    scale = alt.Scale(type="log", domain=[least, most], nice=False)
    axis = alt.Axis(values=ticks, labelExpr=_label(unit, ticks), grid=False, labelOverlap=True, labelFlush=False)
    return alt.X(f"{field}:Q", title=unit_title(unit), scale=scale, axis=axis)


def log_ticks(least: float, most: float) -> list[float]:
    """At most seven round numbers between two, evenly over their logarithms: 1, 2, 5; or 1, 5; or powers of ten."""
    exponents = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for steps in (_STEPS, (1, 3), (1,)):
        ticks = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
        inside = [tick for tick in ticks if least <= tick <= most]
        if len(inside) <= _MOST_TICKS:
            return inside or [least, most]
    return inside[:: math.ceil(len(inside) / _MOST_TICKS)]


def whole_ticks(least: float, most: float) -> list[int]:
    """Whole numbers that are evenly apart between two, six or fewer steps, 0 among them where it lies between."""
    apart = next(step * 10**power for power in range(18) for step in _STEPS if (most - least) / (step * 10**power) <= 6)  # noqa: PLR2004 - as said
    return [tick * apart for tick in range(math.ceil(least / apart), math.floor(most / apart) + 1)]


def share_axis(field: str, title: str, *, ends: tuple[float, float] = (0.0, 1.0)) -> alt.Y:
    """An axis of shares of problems: all of them, unless told otherwise."""
    import altair as alt

    axis = alt.Axis(format=".0%", tickCount=5, labelFlush=False)
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(domain=list(ends), nice=False), axis=axis)


def share_ends(values: Iterable[float | None]) -> tuple[float, float]:
    """Where an axis of these shares begins and ends: tenths around them. For points and lines; bars begin at 0."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    least, most = (min(known), max(known)) if known else (0.0, 1.0)
    low, high = max(0, math.floor(10 * least + _ROUNDING)), min(10, math.ceil(10 * most - _ROUNDING))
    return (low / 10, high / 10) if high > low else (max(0, low - 1) / 10, min(10, high + 1) / 10)


def intervals_said(intervals: Iterable[Interval]) -> str:
    """Of what kind some intervals are: `95% intervals (BCa bootstrap over problems)`; or why there are none."""
    made = list(intervals)
    known = [each for each in made if math.isfinite(each.low)]
    kinds = " or ".join(dict.fromkeys(each.kind for each in known or made if each.kind))
    if not known:
        return f"no intervals: {kinds}" if kinds else "no intervals"
    return f"{known[0].level:.0%} intervals{f' ({kinds})' if kinds else ' over problems'}"


def _label(unit: str, ticks: Sequence[float]) -> str:
    """How ticks are written: 2k tokens, $0.05, 3e12 FLOPs."""
    if unit == "flops":
        return "replace(format(datum.value, '.0e'), '+', '')"
    if unit == "dollars":
        return "'$' + format(datum.value, '~r')"
    whole = all(tick >= 1 for tick in ticks)
    return (
        "datum.value < 1000 ? format(datum.value, '~r') : format(datum.value, '~s')"
        if whole
        else ("format(datum.value, '~r')")
    )
