"""What came of an allocation: its runs, and each decision with the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tttlab.budget import Budget
from tttlab.run import Run
from tttlab.tracing import names
from tttlab.types import Usage

if TYPE_CHECKING:
    import pyarrow as pa

Unit = Literal["tokens", "calls", "dollars", "seconds"]
UNITS: tuple[Unit, ...] = ("tokens", "calls", "dollars", "seconds")
"""Of costs: the first of these that the budget limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One sample granted to a problem (`sample`), or that it gets no more (`leave`). Costs are in the budget's unit.

    `reason` of a sample: `minimum`, `gain` or `share`; of leaving: `stable`, `share` (of 0), `maximum`, `failed`,
    `budget` or `stopped`.
    """

    number: int
    """From 1."""
    round: int
    """Samples of one round are drawn at once."""
    action: Literal["sample", "leave"]
    reason: str
    problem: str
    """Its id."""
    run: str
    """Its run's id."""
    leader: str | None
    votes: Mapping[str, int]
    seen: int
    """Samples that came, abstentions included."""
    pending: int
    """Samples granted in this round before this one."""
    stability: float
    """The posterior probability that the leader is the model's most frequent answer."""
    gain: float | None
    """In stability, expected of the next sample; None where the rule goes by shares."""
    share: float | None
    """Of the budget; None where the rule goes by gain, or shares are not known yet."""
    priority: float | None
    """What it won by among all problems; None where the rule was not asked."""
    spent: float
    cost: float | None
    """Predicted, of one more sample; None before the first."""
    left: float
    """Of the total budget."""

    def attributes(self) -> dict[str, Any]:
        """The decision as its span records it."""
        return {
            names.DECISION_NUMBER: self.number,
            names.DECISION_ROUND: self.round,
            names.DECISION_ACTION: self.action,
            names.DECISION_REASON: self.reason,
            names.DECISION_PROBLEM: self.problem,
            names.DECISION_RUN: self.run,
            names.DECISION_LEADER: self.leader,
            names.DECISION_VOTES: dict(self.votes),
            names.DECISION_SEEN: self.seen,
            names.DECISION_PENDING: self.pending,
            names.DECISION_STABILITY: self.stability,
            names.DECISION_GAIN: self.gain,
            names.DECISION_SHARE: self.share,
            names.DECISION_PRIORITY: self.priority,
            names.DECISION_SPENT: self.spent,
            names.DECISION_COST: self.cost,
            names.DECISION_LEFT: self.left,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What came of a budget spread over problems. `runs` are in the order of the problems, `decisions` as made.

    In the store the view `allocations` has a row for each decision, and `runs` one for each problem.
    """

    id: str | None
    """As `allocation_id` in the view; None where all was replayed: it is in the store as the allocation it repeats."""
    rule: str
    budget: Budget
    unit: Unit
    """Of all costs."""
    exhausted: str | None
    """The unit that the total budget ran out of; None where every problem was left satisfied."""
    seed: int
    runs: tuple[Run, ...]
    decisions: tuple[Decision, ...] = field(repr=False)
    usage: Usage
    seconds: float
    store: Path | None = None

    @property
    def answers(self) -> dict[str, str | None]:
        """Each problem's answer, by its id."""
        return {run.problem.id: run.answer for run in self.runs}

    @property
    def samples(self) -> dict[str, int]:
        """How many samples each problem was granted, by its id."""
        counts = {run.problem.id: 0 for run in self.runs}
        for decision in self.decisions:
            counts[decision.problem] += decision.action == "sample"
        return counts

    @property
    def accuracy(self) -> float | None:
        """The share of right answers among the problems with a reference; None where there is none.

        A problem without an answer counts as one that is not right.
        """
        known = [run for run in self.runs if run.problem.reference is not None]
        return sum(run.correct is True for run in known) / len(known) if known else None

    def rows(self) -> list[dict[str, Any]]:
        """One row a problem: what it got and what came of it."""
        samples = self.samples
        reasons = {decision.problem: decision.reason for decision in self.decisions if decision.action == "leave"}
        return [
            {
                "problem_id": run.problem.id,
                "run_id": run.id,
                "status": run.status,
                "left_for": reasons.get(run.problem.id),
                "samples": samples[run.problem.id],
                "answer": run.answer,
                "confidence": run.confidence,
                "correct": run.correct,
                "tokens": run.usage.tokens,
                "calls": run.usage.calls,
                "dollars": run.usage.dollars,
                "seconds": run.seconds,
            }
            for run in self.runs
        ]

    def table(self) -> pa.Table:
        """The rows as an Arrow table, which DuckDB reads by its variable's name; `.to_pandas()` makes a frame."""
        import pyarrow as pa

        kinds = {"samples": pa.int64(), "tokens": pa.int64(), "calls": pa.int64(), "correct": pa.bool_()}
        kinds |= {"confidence": pa.float64(), "dollars": pa.float64(), "seconds": pa.float64()}
        rows = self.rows()
        return pa.Table.from_pylist(
            rows, pa.schema([(name, kinds.get(name, pa.string())) for name in (rows[0] if rows else ())])
        )

    def __repr__(self) -> str:
        right = "" if self.accuracy is None else f", {sum(run.correct is True for run in self.runs)} right"
        spent = {"tokens": self.usage.tokens, "calls": self.usage.calls, "dollars": self.usage.dollars}
        cost = spent.get(self.unit, self.seconds) or 0
        return (
            f"<allocation {self.rule}: {len(self.runs)} problems{right}, "
            f"{sum(self.samples.values())} samples, {cost:g} {self.unit} of {self.budget}>"
        )
