"""Recorded trees with the truth beside them: of each partial solution, whether a right answer can still come of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.experiments.asked import opened, runs_asked
from tttlab.run import Run
from tttlab.strategies.steps import states_answer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Truth = Callable[[str, Sequence[str]], bool | None]
"""Whether a right answer can still come of a prompt and these steps, or of the last step's answer, whether it is right.

None where that cannot be told, as of a step that says nothing. Exact, where the figures are to say who lost what.
"""

_BRANCHES = """
SELECT
    run_id, path, parent_path, state,
    coalesce(attributes ->> '$."tttlab.branch.thought"', attributes ->> '$."tttlab.branch.step"') AS step,
    CASE
        WHEN (attributes ->> '$."tttlab.branch.duplicate"')::BOOLEAN THEN NULL
        WHEN branches.score = 0 AND runs.parameters ->> '$.evaluate' = 'value' THEN NULL
        ELSE branches.score
    END AS score
FROM branches JOIN runs USING (run_id)
WHERE run_id IN (SELECT unnest($ids::VARCHAR[]))
ORDER BY run_id, depth, branches.span_key
"""
"""A state worth 0 by the words of `tree_of_thought` was not judged: each word is worth more."""
_ANSWERED = """
SELECT run_id FROM answers WHERE run_id IN (SELECT unnest($ids::VARCHAR[])) GROUP BY run_id HAVING bool_or(correct)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A partial solution, or one that states its answer."""

    path: str
    steps: tuple[str, ...]
    kept: bool
    expanded: bool
    """Whether something came of it."""
    score: float | None
    """The evaluator's; None where it was not judged."""
    good: bool | None
    """The truth."""
    final: bool
    """Whether its last step states an answer."""

    @property
    def depth(self) -> int:
        """How many steps it has."""
        return len(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTree:
    """The tree of one run."""

    run_id: str
    problem: str
    states: tuple[State, ...]
    answered: bool
    """Whether any answer that it gave, or any of the final states that it kept, is right."""
    correct: bool
    """Whether the run's answer is."""


def judged_trees(
    runs: Iterable[Run | str], truth: Truth, *, connection: DuckDBPyConnection | None = None
) -> list[JudgedTree]:
    """The trees of these runs, or of the runs of these ids: tttlab's own and imported ones alike.

    A state is a branch with a `thought` (`tree_of_thought`) or a `step` (`beam_search`, `mcts`), and its steps are
    those of the branches that lead to it. Raises `OptionError` where a run is not in the store, nothing says whether
    its answer is right, or none of the runs has a tree.
    """
    with opened(connection) as store:
        asked = runs_asked(store, [runs] if isinstance(runs, Run | str) else list(runs))
        ids = [run["run_id"] for run in asked]
        branches = defaultdict(list)
        for row in store.rows(_BRANCHES, ids=ids):
            branches[row["run_id"]].append(row)
        answered = {row["run_id"] for row in store.rows(_ANSWERED, ids=ids)}
    for run in asked:
        if run["correct"] is None:
            raise OptionError(
                f"nothing says whether the answer of the run {run['run_id']!r} is right: "
                "its problem needs a reference, or a check"
            )
    trees = [_tree(run, branches[run["run_id"]], truth, answered=run["run_id"] in answered) for run in asked]
    if not any(tree.states for tree in trees):
        raise OptionError(
            f"none of these {len(trees):,} runs has a tree: its strategy searches over no steps "
            "(tree_of_thought, beam_search and mcts do)"
        )
    return trees


def _tree(run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], truth: Truth, *, answered: bool) -> JudgedTree:
    steps: dict[str, tuple[str, ...]] = {}
    parents = {row["parent_path"] for row in rows}
    states = []
    for row in rows:
        steps[row["path"]] = (*steps.get(row["parent_path"] or "", ()), *([row["step"]] if row["step"] else []))
        if not row["step"] or row["state"] == "failed":
            continue
        taken = steps[row["path"]]
        states.append(
            State(
                path=row["path"],
                steps=taken,
                kept=row["state"] in ("selected", "expanded"),
                expanded=row["path"] in parents,
                score=row["score"],
                good=truth(run["prompt"], taken),
                final=states_answer(taken[-1]),
            )
        )
    return JudgedTree(
        run_id=run["run_id"],
        problem=run["problem_id"],
        states=tuple(states),
        answered=answered or bool(run["correct"]) or any(each.final and each.kept and each.good for each in states),
        correct=bool(run["correct"]),
    )
