"""What may be counted as compute along a run: the columns of the view `answers` that say what an answer cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tttlab.errors import OptionError, nearest

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "spent_tokens": "tokens spent by the run so far (prompt and output, calls in flight included)",
        "spent_output_tokens": "output tokens spent by the run so far (calls in flight included)",
        "spent_thinking_tokens": "thinking tokens spent by the run so far (calls in flight included)",
        "spent_calls": "model calls started by the run so far",
        "spent_dollars": "dollars spent by the run so far (calls in flight included)",
        "seconds": "seconds since the run's start",
        "basis_tokens": "tokens of the calls that the answer rests on (prompt and output)",
        "basis_output_tokens": "output tokens of the calls that the answer rests on",
        "basis_thinking_tokens": "thinking tokens of the calls that the answer rests on",
        "basis_calls": "model calls that the answer rests on",
        "basis_dollars": "dollars for the calls that the answer rests on",
    }
)
"""Each column, with what it counts."""

_ALIASES = {"calls": "spent_calls"}


def measure_of(name: str) -> str:
    """The column of that name, or of a short one. Raises `OptionError` with the nearest."""
    measure = _ALIASES.get(name, name)
    if measure not in MEASURES:
        raise OptionError(f"there is no measure of compute {name!r}{nearest(name, MEASURES)}")
    return measure
