"""Checks of parameters, for the `__post_init__` of strategies, verifiers and requests."""

from __future__ import annotations

import math

from tttlab.errors import OptionError


def at_least(minimum: float, **values: float | None) -> None:
    """Raise `OptionError` where a value is below `minimum`, or no finite number. None passes."""
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise OptionError(f"{name}={value!r} is not a number: give one of at least {minimum:g}")
        if value < minimum:
            raise OptionError(f"{name}={value:g} is too small: the least is {minimum:g}")
