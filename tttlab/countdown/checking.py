"""Judging by the rules: whether an expression solves a puzzle, and whether each step of a line of thinking is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tttlab.arithmetic import value_of
from tttlab.countdown.puzzle import Puzzle

_STEP = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+) (?:: (\d+(?: \d+)*)|\? (\d+) ([x!])) ;")


def trouble(puzzle: Puzzle, expression: str) -> str | None:
    """Why an expression does not solve a puzzle; None where it does."""
    found = value_of(expression)
    if found is None:
        return "no arithmetic expression"
    if Counter(found.numbers) != Counter(puzzle.numbers):
        return f"uses {' '.join(map(str, found.numbers))}, not {' '.join(map(str, puzzle.numbers))}"
    return None if found.value == puzzle.target else f"makes {found.value}, not {puzzle.target}"


@dataclass(frozen=True, slots=True)
class StepJudged:
    """One step of thinking and what is wrong with it, if anything."""

    text: str
    start: int
    """Where it stands in the thinking, in characters."""
    trouble: str | None
    last: bool
    """Whether it uses the last two numbers, and so is held against the target."""


def judge_steps(puzzle: Puzzle, thinking: str) -> Iterator[StepJudged]:
    """Each whole step of a line of thinking, with what is wrong with it: sums, numbers it has not, or its verdict.

    One that was cut before its `;` is none. A step may start from any position that an earlier step of the same
    thinking led to, or from the puzzle's numbers.
    """
    positions = {_position(puzzle.numbers)}
    for match in _STEP.finditer(thinking):
        first, sign, second, result, rest, target, verdict = match.groups()
        last = rest is None
        after = (int(result),) if last else tuple(map(int, rest.split()))
        judged = _trouble(positions, (int(first), sign, int(second), int(result)), after)
        if judged is None and last:
            judged = _of_verdict(puzzle, int(result), int(target), verdict)
        if judged is None and not last:
            positions.add(_position(after))
        yield StepJudged(match[0].strip(" ;"), match.start(), judged, last)


def _position(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(numbers))


def _trouble(positions: set[tuple[int, ...]], step: tuple[int, str, int, int], after: tuple[int, ...]) -> str | None:
    first, sign, second, result = step
    found = value_of(f"{first} {sign} {second}")
    if found is None or found.value != result:
        return f"{first} {sign} {second} is not {result}"
    rest = Counter(after)
    rest.subtract([result])
    before = rest + Counter([first, second])
    if min(rest.values(), default=0) < 0 or _position(tuple(before.elements())) not in positions:
        return f"there is no {first} and {second} to take, or other numbers are left"
    return None


def _of_verdict(puzzle: Puzzle, result: int, target: int, verdict: str) -> str | None:
    if target != puzzle.target:
        return f"the target is {puzzle.target}, not {target}"
    return (
        None
        if (result == target) == (verdict == "!")
        else f"{result} {'is' if result == target else 'is not'} {target}"
    )
