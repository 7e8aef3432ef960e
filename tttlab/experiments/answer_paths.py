"""What was answered at one amount of compute after another: along a run, or in a run for each amount."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tttlab.errors import OptionError
from tttlab.experiments.asked import opened, runs_asked
from tttlab.experiments.measures import measure_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.run import Run

State = Literal["right", "wrong", "unanswered"]
Amount = float | str
"""Of compute; or the name of a method, where methods stand in the place of amounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was answered at one amount of compute, and from there to the next step."""

    at: Amount
    answer: str | None
    correct: bool
    """An abstention is not."""

    @property
    def state(self) -> State:
        """`right`, `wrong`, or `unanswered`, which is never right and not a wrong answer either."""
        return "right" if self.correct else "unanswered" if self.answer is None else "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPath:
    """The answers to one problem in the order of compute. Before the first step it is unanswered."""

    problem: str
    of: str
    """Whose answers they are: a run's id, a call's, or `seed 0` of a run for each amount."""
    steps: tuple[Step, ...]

    @property
    def final(self) -> Step | None:
        """The last step; None where nothing was ever proposed."""
        return self.steps[-1] if self.steps else None

    def at(self, amount: float) -> Step:
        """What would have been answered with this much compute."""
        place = bisect_right([float(step.at) for step in self.steps], amount)
        if place == 0:
            return Step(at=amount, answer=None, correct=False)
        step = self.steps[place - 1]
        return Step(at=amount, answer=step.answer, correct=step.correct)


def along_runs(
    *runs: Run | str, compute: str = "spent_tokens", connection: DuckDBPyConnection | None = None
) -> tuple[AnswerPath, ...]:
    """A path for each run: the answers that it proposed, where they changed, against a column of the view `answers`.

    Raises `OptionError` for unknown runs and measures, where an answer's cost is unknown, and where nothing says which
    answers are right.
    """
    measure = measure_of(compute)
    with opened(connection) as store:
        asked = runs_asked(store, runs)
        rows = store.rows(_CHANGES.format(compute=measure), runs=[run["run_id"] for run in asked])
    steps = defaultdict(list)
    for row in rows:
        if row["at"] is None:
            raise OptionError(f"{measure} is not known of every answer of {row['run_id']}: choose another")
        steps[row["run_id"]].append(_step(row["at"], row))
    return tuple(
        AnswerPath(problem=run["problem_id"], of=run["run_id"], steps=tuple(steps[run["run_id"]])) for run in asked
    )


def across_runs(
    levels: Mapping[Amount, Iterable[Run | str]], *, connection: DuckDBPyConnection | None = None
) -> tuple[AnswerPath, ...]:
    """A path for each problem and seed, whose answers come from a run of its own at each level.

    `levels` maps each amount of compute (a thinking budget, a number of samples) to its runs, least first. Raises
    `OptionError` where the levels don't have the same problems and seeds once each: answers are compared in pairs.
    """
    with opened(connection) as store:
        found = {level: _by_problem(level, runs_asked(store, list(runs))) for level, runs in levels.items()}
    if len(found) < 2:  # noqa: PLR2004 - nothing changes at one
        raise OptionError(f"answers are followed over levels of compute, and there are {len(found)}: give two or more")
    first, keys = next(iter(found.items()))
    for level, there in found.items():
        if odd := sorted({*keys} ^ {*there}):
            problem, seed = odd[0]
            lacking = level if (problem, seed) in keys else first
            raise OptionError(
                f"the problem {problem!r:.80} (seed {seed}) has no run at {lacking!r}"
                f" ({len(odd):,} such in all): every level needs the same problems and seeds"
            )
    return tuple(
        AnswerPath(
            problem=problem,
            of=f"seed {seed}",
            steps=tuple(_step(level, there[problem, seed]) for level, there in found.items()),
        )
        for problem, seed in keys
    )


def levels_of(
    sweep: str, by: str, *, connection: DuckDBPyConnection | None = None, **only: str | float | bool
) -> dict[Amount, list[str]]:
    """The ids of a sweep's runs for each value of the label `by`, least first, as `across_runs` takes them.

    `only` leaves the runs whose other labels have these values. Raises `OptionError` where there are none.
    """
    with opened(connection) as store:
        rows = store.rows(_OF_SWEEP, sweep=sweep)
    labels = [(row["run_id"], json.loads(row["labels"])) for row in rows]
    kept = [(run, told) for run, told in labels if all(told.get(name) == value for name, value in only.items())]
    found = defaultdict(list)
    for run, told in kept:
        if by in told:
            found[told[by]].append(run)
    if not found:
        known = sorted({name for _, told in labels for name in told} - {"sweep"})
        labelled = f"its labels are {', '.join(known)}" if known else "the store has no run of it"
        raise OptionError(f"the sweep {sweep!r} has no run with the label {by!r}{_such(only)}: {labelled}")
    numbers = all(isinstance(level, int | float) for level in found)
    return dict(sorted(found.items())) if numbers else dict(found)


def sampled(paths: Sequence[AnswerPath], amounts: Iterable[float]) -> tuple[AnswerPath, ...]:
    """The paths with a step at each of these amounts of compute: what each would have answered with so much."""
    grid = sorted(set(amounts))
    if not grid:
        raise OptionError("there is no amount of compute to look at: give one or more")
    return tuple(
        AnswerPath(problem=path.problem, of=path.of, steps=tuple(path.at(amount) for amount in grid)) for path in paths
    )


def _such(only: Mapping[str, Any]) -> str:
    return f" and {', '.join(f'{name}={value!r}' for name, value in only.items())}" if only else ""


def _by_problem(level: Amount, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for row in rows:
        key = row["problem_id"], row["seed"]
        if key in found:
            raise OptionError(
                f"the problem {key[0]!r:.80} (seed {key[1]}) has two runs at {level!r},"
                f" {found[key]['run_id']} and {row['run_id']}: give one"
            )
        found[key] = row
    return found


def _step(at: Amount, row: Mapping[str, Any]) -> Step:
    if row["answer"] is not None and row["correct"] is None:
        raise OptionError(
            f"nothing says which answers to {row['problem_id']!r:.80} are right: its runs need a reference, or a check"
        )
    return Step(at=at, answer=row["answer"], correct=row["answer"] is not None and bool(row["correct"]))


_CHANGES = """
SELECT run_id, runs.problem_id, answers.answer, answers.correct, answers.{compute} AS at
FROM answers JOIN runs USING (run_id)
WHERE run_id IN (SELECT unnest($runs::VARCHAR[]))
QUALIFY step = 1 OR answers.answer IS DISTINCT FROM lag(answers.answer) OVER (PARTITION BY run_id ORDER BY step)
ORDER BY list_position($runs::VARCHAR[], run_id), step
"""

_OF_SWEEP = "SELECT run_id, labels FROM runs WHERE labels ->> '$.sweep' = $sweep ORDER BY run_id"
