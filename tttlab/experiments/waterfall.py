"""The loss waterfall: after each stage, how many problems still have a candidate that can lead to a right answer.

The first stage at which a problem has none left is where it was lost, and who did that stage's work has lost it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tttlab.errors import OptionError
from tttlab.experiments.judged_trees import JudgedTree, State
from tttlab.experiments.pool import Flags

if TYPE_CHECKING:
    import pyarrow as pa

PROPOSER, EVALUATOR, SEARCH, LAST_STEP, RANKING = "proposer", "evaluator", "search", "last step", "ranking"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a chain: its name, how deep in a tree it is, and who did its work."""

    name: str
    depth: int | None
    loser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One row of a waterfall: how many problems are left after a stage, and how many it lost."""

    stage: str
    depth: int | None
    left: int
    lost: int
    loser: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waterfall:
    """P problems through S stages, in order. `good` (P x S) says where a problem has a good candidate.

    A problem is left after a stage if it has a good candidate there, or at a later stage: what ends right was never
    lost. (A candidate of a wrong step can be good by luck.)
    """

    problems: tuple[str, ...]
    stages: tuple[Stage, ...]
    good: Flags

    def __post_init__(self) -> None:
        if not self.problems or not self.stages or self.good.shape != (len(self.problems), len(self.stages)):
            raise OptionError(
                f"a waterfall of {len(self.problems)} problems and {len(self.stages)} stages needs as many rows and "
                f"columns, and at least one of each; these are {self.good.shape}"
            )

    @property
    def left(self) -> Flags:
        """P x S: whether the problem is still to be won."""
        later: Flags = np.logical_or.accumulate(self.good[:, ::-1], axis=1)[:, ::-1]
        return later

    @property
    def rows(self) -> tuple[Loss, ...]:
        """The waterfall, stage by stage."""
        left = self.left.sum(axis=0)
        before = [len(self.problems), *left[:-1]]
        return tuple(
            Loss(stage=stage.name, depth=stage.depth, left=int(now), lost=int(then - now), loser=stage.loser)
            for stage, then, now in zip(self.stages, before, left, strict=True)
        )

    @property
    def lost_at(self) -> tuple[Stage | None, ...]:
        """For each problem the stage that lost it; None for one that was won."""
        return tuple(self.stages[count] if count < len(self.stages) else None for count in self.left.sum(axis=1))

    @property
    def losers(self) -> dict[str, int]:
        """How many problems each one lost, in the order of the stages."""
        counts = dict.fromkeys((stage.loser for stage in self.stages), 0)
        for stage in self.lost_at:
            if stage is not None:
                counts[stage.loser] += 1
        return counts

    @property
    def data(self) -> pa.Table:
        """The rows as a table."""
        import pyarrow as pa

        names = Loss.__dataclass_fields__
        return pa.table({name: [getattr(row, name) for row in self.rows] for name in names})


def waterfall(trees: Sequence[JudgedTree]) -> Waterfall:
    """The waterfall of recorded trees, each of one problem.

    At each depth: `proposed` (the proposer loses), `kept` (the evaluator), `expanded` (the search: its budget ended, or
    a call failed); then `answered` (the last step: no right answer among all that were given) and `ranked first` (the
    ranking: a right one, and not the one that was chosen). A right answer that is kept stays good below its depth.
    """
    depths = sorted(
        {state.depth for tree in trees for state in tree.states if state.good is not None and not state.final}
    )
    stages: list[Stage] = []
    columns: list[list[bool]] = []

    def add(stage: Stage, column: Iterable[bool]) -> None:
        stages.append(stage)
        columns.append(list(column))

    for depth in depths:
        add(Stage("proposed", depth, PROPOSER), (any(_good_at(tree, depth)) for tree in trees))
        add(Stage("kept", depth, EVALUATOR), (any(s.kept for s in _good_at(tree, depth)) for tree in trees))
        if any(state.expanded for tree in trees for state in tree.states if state.depth == depth):
            going_on = (any(s.kept and (s.expanded or s.final) for s in _good_at(tree, depth)) for tree in trees)
            add(Stage("expanded", depth, SEARCH), going_on)
    add(Stage("answered", None, LAST_STEP), (tree.answered for tree in trees))
    add(Stage("ranked first", None, RANKING), (tree.correct for tree in trees))
    good = np.array(columns, dtype=np.bool_).T
    return Waterfall(problems=tuple(tree.problem for tree in trees), stages=tuple(stages), good=good)


def _good_at(tree: JudgedTree, depth: int) -> list[State]:
    """The good states of a depth, and the right answers above it that were kept."""
    return [
        state
        for state in tree.states
        if state.good and (state.depth == depth or (state.final and state.kept and state.depth < depth))
    ]
