"""Asking before a sweep that is estimated to cost more than it may."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tttlab.errors import OptionError
from tttlab.experiments.sweeps.bar import in_kernel
from tttlab.experiments.sweeps.sweeper import Sweeper

Confirm = Callable[[str], bool]
"""Asked a question that yes or no answers."""


def make_sure(sweeper: Sweeper, confirm: Confirm | None) -> None:
    """Ask whether to go on where the estimate is beyond what is left of the total budget; without `confirm`, the user.

    Raises `OptionError` where the answer is no, or where there is nobody to be asked.
    """
    estimate, total = sweeper.estimate, sweeper.total
    unit = None if estimate is None or total.spent_unit else estimate.beyond(total.left)
    if unit is None:
        return
    asked, left = getattr(estimate, unit), getattr(total.left, unit)
    said = (
        f"the sweep {sweeper.plan.name!r} is estimated at {estimate}, and of its total of {total.budget} there is left "
        f"for about {left / asked:.0%} of that"
    )
    if confirm is not None:
        goes_on = confirm(f"{said}: it would stop then. Go on?")
    elif in_kernel() or sys.stdin.isatty():
        goes_on = _input(said)
    else:
        raise OptionError(f"{said}: give a larger total, fewer runs, or yes=True to go on until it is spent")
    if not goes_on:
        raise OptionError(f"{said}: it was not gone on with; what its first runs gave is kept")


def _input(said: str) -> bool:
    try:
        answer = input(f"{said[0].upper()}{said[1:]}: it would stop then. Go on? [y/N] ")
    except (EOFError, RuntimeError):  # A front end that asks nothing, as when a notebook is run by a program.
        raise OptionError(f"{said}: give a larger total, fewer runs, or yes=True to go on until it is spent") from None
    return answer.strip().lower() in ("y", "yes")
