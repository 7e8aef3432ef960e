"""A run: one problem, one strategy, one model, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tttlab.budget import Budget
from tttlab.masking import masked
from tttlab.types import Answer, Problem, Usage

Status = Literal["ok", "budget", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a run. `curve` holds every answer it proposed, in order, each with its cost at that moment.

    `status` is `ok`; `budget` (its budget was spent: the answer is the best so far); `stopped` (by the user, likewise);
    or `failed` (then `error` says why). Everything else about the run is in the store, under `id`.
    """

    id: str
    status: Status
    problem: Problem
    strategy: str
    parameters: Mapping[str, Any]
    model: str
    seed: int
    budget: Budget
    curve: tuple[Answer, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    correct: bool | None = None
    """Whether the answer equals the problem's reference; None without a reference."""
    error: str | None = None
    notes: tuple[str, ...] = ()
    """What a reader should know of its calls, each thing once: an option that the model's host does not take."""
    store: Path | None = None
    """The folder that the run was recorded in."""
    replayed: int = 0
    """How many of its calls were served from their record: `usage` counts them as when they ran."""
    new: Usage | None = None
    """What its other calls cost; None where nothing could be replayed, and all of `usage` is new."""

    @property
    def answer(self) -> str | None:
        """The last proposed answer, or None if there was none."""
        return self.curve[-1].value if self.curve else None

    @property
    def confidence(self) -> float | None:
        """The strategy's confidence in the answer, if it gave one."""
        return self.curve[-1].confidence if self.curve else None

    def __repr__(self) -> str:
        return f"<run {self.id}: {self.status}, answer {masked(repr(self.answer))}, {self.usage.tokens} tokens>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002 - as IPython calls it
        # Imported here because displays stand above runs: a run must not need a notebook.
        from tttlab.notebook.display import run_bundle

        return run_bundle(self)
