"""The tree of one problem in a log of the tree-of-thought release: who came of whom, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tttlab.answers import FINAL_ANSWER
from tttlab.errors import OptionError
from tttlab.experiments.importers.logged import LoggedAnswer, LoggedBranch, LoggedUsage, LoggedVerdict

_UNREAD = "worth 0: the evaluator was not asked, or none of its replies had a word that counts"


@dataclass(frozen=True, slots=True)
class ThoughtTree:
    """The branches of a tree in the order of the log, what was said of each, and its outputs, first-ranked last."""

    branches: Sequence[LoggedBranch]
    verdicts: Sequence[LoggedVerdict]
    answers: Sequence[LoggedAnswer]


@dataclass(frozen=True, slots=True)
class _State:
    """A state of the log: its whole text, and the branch that it is."""

    text: str
    path: str


def tree_of(problem: Mapping[str, Any], right: Sequence[bool], usage: LoggedUsage, *, evaluate: str) -> ThoughtTree:
    """The tree of a problem; `right` says which of its outputs are right.

    Raises `OptionError` where the log contradicts itself.
    """
    branches: dict[str, LoggedBranch] = {}
    verdicts: list[LoggedVerdict] = []
    frontier = [_State("", "")]
    for step in problem["steps"]:
        grown = _grown(step, frontier, problem["idx"])
        values = step["values"]
        _same_length(grown, values, problem["idx"])
        kept = _kept(grown, values, step["select_new_ys"], problem["idx"])
        frontier = [grown[place] for place in kept]
        seen: set[str] = set()
        for place, (state, value) in enumerate(zip(grown, values, strict=True)):
            twin = state.text in seen
            seen.add(state.text)
            parent = state.path.rpartition(".")[0]
            if parent in branches:
                branches[parent] = replace(branches[parent], state="expanded")
            branches[state.path] = LoggedBranch(
                path=state.path,
                state="selected" if place in kept else "pruned",
                score=value,
                facts={"thought": _thought(state, step["ys"]), **({"duplicate": True} if twin else {})},
            )
            if not twin:  # The release asks about a state once: another one of the same text is worth 0 unasked.
                verdicts.append(_verdict(state, value, evaluate))
    answers = [
        LoggedAnswer(value=FINAL_ANSWER(text), correct=correct, branch=_path(frontier, text), usage=usage)
        for text, correct in zip(problem["ys"], right, strict=True)
    ]
    return ThoughtTree(list(branches.values()), verdicts, answers[::-1])


def _grown(step: Mapping[str, Any], frontier: Sequence[_State], idx: object) -> list[_State]:
    """The states of a level, each under the state that it goes on from."""
    children = dict.fromkeys((state.path for state in frontier), 0)
    grown = []
    for text in step["new_ys"]:
        parents = [state for state in frontier if text.startswith(state.text)]
        if not parents:
            raise OptionError(
                f"problem {idx}, step {step['step']}: {text!r:.80} goes on from no state that was selected"
            )
        parent = max(parents, key=lambda state: len(state.text))
        grown.append(_State(text, f"{parent.path}.{children[parent.path]}".lstrip(".")))
        children[parent.path] += 1
    return grown


def _kept(grown: Sequence[_State], values: Sequence[float], selected: Sequence[str], idx: object) -> list[int]:
    """The places of the selected states, in their order; of several with one text, those of the highest values."""
    best = sorted(range(len(grown)), key=lambda place: -values[place])
    kept: list[int] = []
    for text in selected:
        found = next((place for place in best if place not in kept and grown[place].text == text), None)
        if found is None:
            raise OptionError(f"problem {idx}: {text!r:.80} was selected, and never proposed: the log is damaged")
        kept.append(found)
    return kept


def _verdict(state: _State, value: float, evaluate: str) -> LoggedVerdict:
    # The words of the evaluator are worth 0.001 at least: 0 is no judgement. No votes are one.
    read = value > 0 or evaluate == "vote"
    return LoggedVerdict(
        verifier=evaluate,
        candidate=state.text.strip(),
        score=value if read else None,
        error=None if read else _UNREAD,
        branch=state.path,
    )


def _thought(state: _State, before: Sequence[str]) -> str:
    return state.text.removeprefix(max((text for text in before if state.text.startswith(text)), key=len)).strip()


def _path(frontier: Sequence[_State], text: str) -> str:
    return next((state.path for state in frontier if state.text == text), "")


def _same_length(grown: Sequence[_State], values: Sequence[float], idx: object) -> None:
    if len(grown) != len(values):
        raise OptionError(f"problem {idx} has {len(grown)} proposals and {len(values)} values: the log is damaged")
