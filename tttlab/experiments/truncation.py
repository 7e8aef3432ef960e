"""The truncation curve: what would the answer have been after so many tokens of thinking?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.answer_paths import AnswerPath, Step, along_runs
from tttlab.experiments.asked import opened, runs_asked
from tttlab.experiments.forced_answers import Forcing, Thought, hindrance, thinking_calls, thoughts
from tttlab.portal import wait_for
from tttlab.protocols import Model
from tttlab.run import Run
from tttlab.types import Problem, Usage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.experiments.intervals import Interval

Way = Literal["forced", "recorded"]
_FIRST_AMOUNT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncationPoint:
    """What would have been answered after `thinking_tokens` tokens of thinking, over all that thought."""

    thinking_tokens: int
    accuracy: Interval
    """The share of right answers; problems are resampled."""
    unanswered: float
    """The share without an answer; it is part of the accuracy's denominator."""
    final: float
    """The share whose answer was already the one that they gave in the end."""
    thinking_on: float
    """The share that would have thought longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """The curve, and the answers behind it. `forced` ones are exact where they were asked for, and nowhere between."""

    way: Way
    """`forced`: the model was made to answer from its thinking, cut. `recorded`: the answers that the runs proposed."""
    amounts: tuple[int, ...]
    """Tokens of thinking at which it was looked."""
    paths: tuple[AnswerPath, ...] = field(repr=False)
    """The answers of each call that thought (`forced`), or of each run (`recorded`)."""
    lengths: tuple[int, ...] = field(repr=False)
    """How long each thought, in tokens."""
    runs: tuple[Run, ...] = field(default=(), repr=False)
    """The forced answers, each a run; their labels are `truncation` (the call's id) and `thinking_tokens`."""

    @property
    def usage(self) -> Usage:
        """What the forced answers cost, those that were replayed included."""
        return sum((run.usage for run in self.runs), Usage())

    @property
    def points(self) -> tuple[TruncationPoint, ...]:
        """The curve, least thinking first."""
        return tuple(self._point(amount) for amount in self.amounts)

    @property
    def data(self) -> list[dict[str, Any]]:
        """One row a point of the curve."""
        return [
            {
                "thinking_tokens": point.thinking_tokens,
                "accuracy": point.accuracy.mean,
                "low": point.accuracy.low,
                "high": point.accuracy.high,
                "problems": point.accuracy.problems,
                "interval": f"{point.accuracy.level:.0%}, {point.accuracy.kind}",
                "unanswered": point.unanswered,
                "final": point.final,
                "thinking_on": point.thinking_on,
            }
            for point in self.points
        ]

    @property
    def appearances(self) -> list[dict[str, Any]]:
        """One row a path: its final answer, where that first appeared, and from where on it stood.

        Where answers were forced, both are the first amount looked at that shows it.
        """
        return [_appearance(path, length) for path, length in zip(self.paths, self.lengths, strict=True)]

    def _point(self, amount: int) -> TruncationPoint:
        from tttlab.experiments.intervals import bootstrap

        steps = [path.at(amount) for path in self.paths]
        return TruncationPoint(
            thinking_tokens=amount,
            accuracy=bootstrap([float(step.correct) for step in steps], of=[path.problem for path in self.paths]),
            unanswered=fmean(step.answer is None for step in steps),
            final=fmean(_is_final(path, step) for path, step in zip(self.paths, steps, strict=True)),
            thinking_on=fmean(length > amount for length in self.lengths),
        )


def truncation(
    *runs: Run | str,
    at: Iterable[int] | None = None,
    way: Way | None = None,
    model: str | Model | None = None,
    problems: Iterable[Problem] = (),
    answer_tokens: int = 64,
    temperature: float = 0.0,
    replay: str | None = None,
    connection: DuckDBPyConnection | None = None,
) -> Truncation:
    """What runs would have answered after each of these numbers of thinking tokens.

    `forced`: each call that thought is cut there and made to answer, in a run of its own; a call that thought no longer
    answered what it answered. It takes a model that goes on from a partial answer and shows its thinking, and costs a
    call for each thought and number, its prompt the thinking so far. `recorded`: the last answer proposed by then,
    at no cost. Unless given, it is forced where that can be done. `at` begins with 0 and doubles from 16, unless given.
    `problems` are needed where runs are given by their ids and their answers are judged by a check. Raises
    `OptionError` where nothing thought, where it cannot be forced (with the reason), and where nothing says which
    answers are right.
    """
    at_least(1, answer_tokens=answer_tokens)
    at_least(0, temperature=temperature)
    if way not in (None, "forced", "recorded"):
        raise OptionError(f"a truncation cannot be {way!r}; there are: forced, recorded")
    known = {run.problem.id: run.problem for run in runs if isinstance(run, Run)}
    known |= {problem.id: problem for problem in problems}
    with opened(connection) as store:
        asked = runs_asked(store, runs)
        calls = [] if way == "recorded" else thinking_calls(store, [run["run_id"] for run in asked])
    reason = hindrance(calls, own_model=model is None)
    if way == "forced" and reason is not None:
        raise OptionError(f"no answer can be forced: {reason}")
    if way == "recorded" or reason is not None:
        return _recorded(asked, at, along_runs(*runs, compute="spent_thinking_tokens", connection=connection))
    forcing = Forcing(model=model, replay=replay, answer_tokens=answer_tokens, temperature=temperature)
    return _forced(thoughts(calls, known), at, forcing)


def _forced(found: Sequence[Thought], at: Iterable[int] | None, forcing: Forcing) -> Truncation:
    amounts = _amounts(at, max(thought.length for thought in found))
    wanted = [(thought, amount) for thought in found for amount in amounts if amount < thought.length]
    runs = wait_for(lambda: forcing.run(wanted), stop=forcing.stop)
    steps: dict[str, list[Step]] = {thought.call: [] for thought in found}
    for (thought, amount), run in zip(wanted, runs, strict=True):
        steps[thought.call].append(Step(at=amount, answer=run.answer, correct=run.correct is True))
    for thought in found:
        steps[thought.call].append(Step(at=thought.length, answer=thought.answer, correct=thought.correct))
    return Truncation(
        way="forced",
        amounts=amounts,
        paths=tuple(
            AnswerPath(problem=thought.problem.id, of=thought.call, steps=tuple(steps[thought.call]))
            for thought in found
        ),
        lengths=tuple(thought.length for thought in found),
        runs=tuple(runs),
    )


def _recorded(
    asked: Sequence[Mapping[str, Any]], at: Iterable[int] | None, paths: tuple[AnswerPath, ...]
) -> Truncation:
    lengths = tuple(run["thinking_tokens"] or 0 for run in asked)
    if not any(lengths):
        raise OptionError("these runs have no thinking tokens: there is nothing to cut")
    return Truncation(way="recorded", amounts=_amounts(at, max(lengths)), paths=paths, lengths=lengths)


def _amounts(at: Iterable[int] | None, longest: int) -> tuple[int, ...]:
    """In order, each once: those given, or 0 and doublings up to the longest thinking."""
    if at is None:
        doubled = takewhile(lambda amount: amount < longest, (_FIRST_AMOUNT << power for power in count()))
        return (0, *doubled, longest)
    amounts = list(at)
    if not amounts or not all(isinstance(amount, int) and amount >= 0 for amount in amounts):
        raise OptionError(f"at={amounts!r:.60} are no numbers of thinking tokens: give whole numbers from 0 on")
    return tuple(sorted(set(amounts)))


def _is_final(path: AnswerPath, step: Step) -> bool:
    return path.final is not None and step.answer is not None and step.answer == path.final.answer


def _appearance(path: AnswerPath, length: int) -> dict[str, Any]:
    final = path.final
    same = [final is not None and final.answer is not None and step.answer == final.answer for step in path.steps]
    first = path.steps[same.index(True)].at if True in same else None
    stood = None if first is None else path.steps[len(same) - list(takewhile(bool, reversed(same))).count(True)].at
    return {
        "problem": path.problem,
        "of": path.of,
        "final_answer": final and final.answer,
        "correct": final is not None and final.correct,
        "first_appeared_at": first,
        "stood_from": stood,
        "thinking_tokens": length,
    }
