"""What came of a sweep: its runs, and a table of its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tttlab.experiments.intervals import bootstrap
from tttlab.experiments.sweeps.estimate import Estimate
from tttlab.experiments.sweeps.swept import SweptRun
from tttlab.labels import Label
from tttlab.types import Usage

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST = 2
"""With fewer problems there is nothing to resample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What came of a sweep, or of the part that was run when it was stopped. In the store its runs have its labels."""

    name: str
    cells: tuple[Mapping[str, Label], ...]
    """What each was given, by name."""
    runs: tuple[SweptRun, ...] = field(repr=False)
    """By cell, problem and seed: those that ended, whatever their status."""
    asked: int
    """How many runs there are to be."""
    problems: int
    exhausted: str | None
    """The unit of the total budget of which nothing was left; None where it sufficed."""
    new: Usage
    """What it spent now. What all its runs cost is in `usage`."""
    seconds: float
    estimate: Estimate | None = None
    """Before it went on, of the runs that were left then."""
    store: Path | None = None

    @property
    def finished(self) -> int:
        """How many runs came to their own end, now or earlier."""
        return sum(run.finished for run in self.runs)

    @property
    def complete(self) -> bool:
        """Whether all did."""
        return self.finished == self.asked

    @property
    def usage(self) -> Usage:
        """What all runs cost by themselves: a call that several share counts for each."""
        return sum((run.usage for run in self.runs), Usage())

    @property
    def errors(self) -> list[str]:
        """What went wrong, each thing once."""
        return list(dict.fromkeys(run.error for run in self.runs if run.error))

    @property
    def axes(self) -> list[str]:
        """The options in which cells differ."""
        names = dict.fromkeys(name for cell in self.cells for name in cell)
        return [name for name in names if len({cell.get(name) for cell in self.cells}) > 1]

    def of(self, **options: Label | None) -> list[SweptRun]:
        """The runs of the cells that were given these options: `result.of(samples=4)`."""
        fits = {
            place
            for place, cell in enumerate(self.cells)
            if all(cell.get(name) == value for name, value in options.items())
        }
        return [run for run in self.runs if run.cell in fits]

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell: its options, how many of its runs finished, their accuracy, and what a run cost as a mean.

        `accuracy` is over finished runs, abstentions among them; `low` and `high` are its 95 % interval over problems,
        resampled with all their seeds: NaN with one problem. `unfinished` runs failed, were stopped, or never began.
        """
        by_cell: dict[int, list[SweptRun]] = {place: [] for place in range(len(self.cells))}
        for run in self.runs:
            if run.finished:
                by_cell[run.cell].append(run)
        each = self.asked // len(self.cells)
        axes = self.axes
        return [
            {**{name: cell.get(name) for name in axes}, **_row(by_cell[place], each)}
            for place, cell in enumerate(self.cells)
        ]

    def table(self) -> pa.Table:
        """The rows as an Arrow table, which DuckDB reads by its variable's name; `.to_pandas()` makes a frame."""
        import pyarrow as pa

        rows = self.rows()
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return pa.table({name: _column(name, values) for name, values in columns.items()})

    def __repr__(self) -> str:
        from tttlab.experiments.sweeps.telling import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from tttlab.experiments.sweeps.telling import html_of

        return html_of(self)


_COUNTS = ("runs", "problems", "abstained", "unfinished")


def _row(runs: Sequence[SweptRun], asked: int) -> dict[str, Any]:
    right: dict[str, list[bool]] = {}
    for run in runs:
        if run.correct is not None:
            right.setdefault(run.problem, []).append(run.correct)
    by_problem = [fmean(each) for each in right.values()]
    told = sum(map(len, right.values())) == len(runs) > 0
    accuracy = fmean(run.correct is True for run in runs) if told else math.nan
    interval = bootstrap(by_problem) if told and len(by_problem) >= FEWEST else None
    return {
        "runs": len(runs),
        "problems": len({run.problem for run in runs}),
        "accuracy": accuracy,
        "low": interval.low if interval else math.nan,
        "high": interval.high if interval else math.nan,
        "abstained": sum(run.answer is None for run in runs),
        "tokens": _mean([run.usage.tokens for run in runs]),
        "output_tokens": _mean([run.usage.output_tokens for run in runs]),
        "calls": _mean([run.usage.calls for run in runs]),
        "seconds": _mean([run.seconds for run in runs]),
        "dollars": _mean([run.usage.dollars for run in runs]),
        "unfinished": asked - len(runs),
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else math.nan


def _column(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    if name in _COUNTS:
        return pa.array(values, pa.int64())
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return pa.array([None if value is None else str(value) for value in values])
    return pa.array(values, pa.float64() if float in kinds else None)
