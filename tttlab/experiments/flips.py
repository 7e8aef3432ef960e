"""Answers that flipped as compute grew: from right to wrong, back, and from one wrong answer to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.experiments.answer_paths import AnswerPath, Step

if TYPE_CHECKING:
    from tttlab.experiments.intervals import Interval

KINDS = {
    ("wrong", "right"): "wrong to right",
    ("right", "wrong"): "right to wrong",
    ("wrong", "wrong"): "wrong to other wrong",
    ("unanswered", "right"): "unanswered to right",
    ("unanswered", "wrong"): "unanswered to wrong",
    ("right", "unanswered"): "right to unanswered",
    ("wrong", "unanswered"): "wrong to unanswered",
    ("right", "right"): "right to other right",
}
"""What a change of an answer is called. Where many answers are right, one right answer may follow another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One change of an answer, between two amounts of compute."""

    problem: str
    of: str
    """Whose answers they are, as in `AnswerPath`."""
    before: Step
    after: Step

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return KINDS[self.before.state, self.after.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What happened between two neighbouring levels of compute, over all paths: how many did what."""

    before: float | str
    after: float | str
    counts: Mapping[str, int]
    """By kind of change (`KINDS`)."""
    paths: int
    net: Interval
    """The gain in accuracy, paired: problems are resampled."""

    @property
    def gained(self) -> int:
        """How many became right."""
        return sum(number for kind, number in self.counts.items() if _gains(kind) > 0)

    @property
    def lost(self) -> int:
        """How many were right, and are not any more."""
        return sum(number for kind, number in self.counts.items() if _gains(kind) < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """How the answers along some paths changed. `paths` come from `along_runs`, `across_runs` or `sampled`.

    An abstention is not right, and no wrong answer either; the first answer of a run is not a change.
    """

    paths: tuple[AnswerPath, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.paths:
            raise OptionError("there are no answers to compare: give paths of one or more problems")

    @property
    def changes(self) -> tuple[Flip, ...]:
        """Every change, path by path."""
        return tuple(
            Flip(problem=path.problem, of=path.of, before=before, after=after)
            for path in self.paths
            for before, after in pairwise(path.steps)
            if before.answer != after.answer
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there were of each of `KINDS`."""
        found = Counter(flip.kind for flip in self.changes)
        return {kind: found[kind] for kind in KINDS.values()}

    def problems(self, kind: str) -> list[str]:
        """The ids of the problems with such a change, each once. Raises `OptionError` for a kind that there is not."""
        if kind not in KINDS.values():
            raise OptionError(f"there is no change {kind!r}; there are: {', '.join(KINDS.values())}")
        return list(dict.fromkeys(flip.problem for flip in self.changes if flip.kind == kind))

    @property
    def net(self) -> Interval:
        """The share of right answers at the end less that of the first ones: paired, problems resampled."""
        return _net(self.paths, 0, -1)

    def passages(self) -> list[Passage]:
        """The changes between neighbouring levels. Raises `OptionError` where paths don't have the same levels."""
        levels = levels_of_paths(self.paths)
        return [
            Passage(
                before=before,
                after=after,
                counts=Counter(
                    KINDS[old.state, new.state]
                    for old, new in ((path.steps[place], path.steps[place + 1]) for path in self.paths)
                    if old.answer != new.answer
                ),
                paths=len(self.paths),
                net=_net(self.paths, place, place + 1),
            )
            for place, (before, after) in enumerate(pairwise(levels))
        ]

    @property
    def data(self) -> list[dict[str, Any]]:
        """One row a path: its first and its last answer, when it was first right, and how often it changed how."""
        return [_row(path) for path in self.paths]


def levels_of_paths(paths: Sequence[AnswerPath]) -> list[float | str]:
    """The amounts of compute that all paths have a step at. Raises `OptionError` where they differ."""
    levels = [step.at for step in paths[0].steps]
    if len(levels) == 1 or any([step.at for step in path.steps] != levels for path in paths):
        raise OptionError(
            "these answers have no levels of compute in common: `sampled(paths, [...])` takes them at the same amounts"
        )
    return levels


def _gains(kind: str) -> int:
    before, after = next(states for states, called in KINDS.items() if called == kind)
    return (after == "right") - (before == "right")


def _net(paths: Sequence[AnswerPath], first: int, last: int) -> Interval:
    from tttlab.experiments.intervals import difference

    ends = [path.steps or (Step(at=0, answer=None, correct=False),) for path in paths]
    return difference(
        [float(steps[last].correct) for steps in ends],
        [float(steps[first].correct) for steps in ends],
        of=[path.problem for path in paths],
    )


def _row(path: AnswerPath) -> dict[str, Any]:
    pairs = list(pairwise(path.steps))
    kinds = Counter(KINDS[old.state, new.state] for old, new in pairs if old.answer != new.answer)
    right = [step.at for step in path.steps if step.correct]
    first, final = (path.steps[0], path.steps[-1]) if path.steps else (None, None)
    return {
        "problem": path.problem,
        "of": path.of,
        "first_answer": first and first.answer,
        "final_answer": final and final.answer,
        "first": first.state if first else "unanswered",
        "final": final.state if final else "unanswered",
        "first_right_at": right[0] if right else None,
        "settled_at": next((new.at for old, new in reversed(pairs) if old.answer != new.answer), first and first.at),
        "wrong_to_right": kinds["wrong to right"],
        "right_to_wrong": kinds["right to wrong"],
        "wrong_to_other_wrong": kinds["wrong to other wrong"],
        "changes": sum(kinds.values()),
    }
