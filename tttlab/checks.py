"""Checks of parameters, for the `__post_init__` of strategies and verifiers."""

from __future__ import annotations

from tttlab.errors import OptionError


def at_least(minimum: float, **values: float | None) -> None:
    """Raise `OptionError` where a value is below `minimum`. None passes."""
    for name, value in values.items():
        if value is not None and value < minimum:
            raise OptionError(f"{name}={value:g} is too small: the least is {minimum:g}")
