"""One run of a sweep, as its result keeps it: small, and fit to be sent between processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from tttlab.run import Run
from tttlab.types import Usage

Status = Literal["ok", "budget", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptRun:
    """A run and its place in the sweep. Everything else about it is in the store, under `id`."""

    cell: int
    """Its place among the cells."""
    problem: str
    seed: int
    id: str | None
    """None where it failed before it began."""
    status: Status
    answer: str | None = None
    correct: bool | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    """What it cost, calls included that were served from their record."""
    new: Usage = Usage()  # noqa: RUF009 - frozen
    """What this sweep spent on it now."""
    seconds: float = 0.0
    elapsed: float | None = None
    """Seconds that it took now; None where it was there already."""
    process: int | None = None
    """The process that ran it now; None likewise."""
    error: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it came to its own end: by itself, or by the budget that each run has."""
        return self.status in ("ok", "budget")


def swept(run: Run, cell: int, elapsed: float) -> SweptRun:
    """What is kept of a run that has ended."""
    return SweptRun(
        cell=cell,
        problem=run.problem.id,
        seed=run.seed,
        id=run.id,
        status=run.status,
        answer=run.answer,
        correct=run.correct,
        usage=run.usage,
        new=run.usage if run.new is None else run.new,
        seconds=run.seconds,
        elapsed=elapsed,
        process=os.getpid(),
        error=run.error,
    )
