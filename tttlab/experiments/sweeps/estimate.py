"""What is left of a sweep will cost about so much, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tttlab.budget import Budget
from tttlab.experiments.sweeps.record import Means
from tttlab.experiments.sweeps.swept import SweptRun

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Of `runs` runs that are left, before they begin. A unit of which nothing is known is None."""

    runs: int
    tokens: float | None
    calls: float | None
    dollars: float | None
    seconds: float | None
    """Until the end, so many runs at once as the sweep has."""
    basis: str

    def __str__(self) -> str:
        if self.tokens is None:
            return f"{self.runs:,} runs, whose cost is not known: {self.basis}"
        said = [f"{self.tokens:,.0f} tokens"]
        if self.dollars:
            said.append(f"${self.dollars:.2g}")
        if self.seconds is not None:
            said.append(duration(self.seconds))
        return f"{self.runs:,} runs, about {', '.join(said)} ({self.basis})"

    def beyond(self, left: Budget) -> str | None:
        """The unit in which it is more than what is left; None where it is not, or is not known."""
        for unit in ("tokens", "dollars", "calls", "seconds"):
            most, asked = getattr(left, unit), getattr(self, unit)
            if most is not None and asked is not None and asked > most:
                return unit
        return None


def estimate(
    left: Mapping[int, int], recorded: Mapping[int, Means], pilot: Sequence[SweptRun], at_once: float
) -> Estimate:
    """Of the runs that are left of each cell: from the pilot where it has runs of the cell, else from the record.

    `at_once` is how many of them take no longer than one.
    """
    left = {cell: runs for cell, runs in left.items() if runs}
    piloted = {cell: found for cell in left if (found := _means(pilot, cell)) is not None}
    means = {**recorded, **piloted}
    unknown = [cell for cell in left if cell not in means]
    told = []
    if used := sum(recorded[cell].runs for cell in left if cell in recorded and cell not in piloted):
        told.append(f"{used:,} recorded runs of the same kind" if used > 1 else "a recorded run of the same kind")
    if piloted:
        tried = sum(each.runs for each in piloted.values())
        told.append(f"the first {tried} runs" if tried > 1 else "the first run")
    if unknown:
        nothing = sum(left[cell] for cell in unknown)
        told = [f"nothing like {nothing:,} of them is recorded, and none of the first came to its end"]

    def summed(unit: str) -> float | None:
        values = {cell: getattr(means[cell], unit) for cell in left if cell in means}
        if unknown or any(value is None for value in values.values()):
            return None
        return float(sum(left[cell] * value for cell, value in values.items()))

    seconds = summed("seconds")
    return Estimate(
        runs=sum(left.values()),
        tokens=summed("tokens"),
        calls=summed("calls"),
        dollars=summed("dollars"),
        seconds=None if seconds is None else seconds / at_once,
        basis=("from " if not unknown else "") + " and ".join(told) if told else "nothing is left to run",
    )


def _means(runs: Sequence[SweptRun], cell: int) -> Means | None:
    """What a cell's runs cost anew: what they share with others is paid once."""
    ended = [run for run in runs if run.cell == cell and run.finished]
    if not ended:
        return None
    dollars = [run.new.dollars for run in ended if run.new.dollars is not None]
    return Means(
        runs=len(ended),
        tokens=fmean(run.new.tokens for run in ended),
        calls=fmean(run.new.calls for run in ended),
        dollars=fmean(dollars) if len(dollars) == len(ended) else None,
        seconds=fmean(run.elapsed or 0.0 for run in ended),
    )


def duration(seconds: float) -> str:
    """A time in the unit that one would say it in."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "less than a second"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"
