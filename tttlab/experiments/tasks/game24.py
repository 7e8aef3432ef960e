"""The Game of 24: make 24 of four numbers, each used once, with + - * / and fractions on the way. Judged exactly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from itertools import combinations

from tttlab.answers import FINAL_ANSWER, Check, find_extractor
from tttlab.arithmetic import value_of
from tttlab.errors import OptionError
from tttlab.strategies.steps import states_answer
from tttlab.types import Problem

TARGET = Fraction(24)
NUMBERS = 4
_LEFT = re.compile(r"left:\s*([^)]*)\)", re.IGNORECASE)
_OPERAND = r"\(?\s*(-?\d+(?:\.\d+)?(?:/\d+)?)\s*\)?"
_OPERATION = re.compile(rf"^\W*?{_OPERAND}\s*([-+*/])\s*{_OPERAND}\s*(?:=|$)")


def game24(puzzles: Iterable[str]) -> list[Problem]:
    """Problems such as `4 5 6 10`, each with a check that knows all right answers; an answer is an expression.

    Raises `OptionError` for one that has not four whole numbers.
    """
    return [
        Problem(
            prompt=" ".join(map(str, numbers_of(puzzle))),
            extractor=find_extractor("expression"),
            id=f"game24:{' '.join(map(str, numbers_of(puzzle)))}",
            check=Check("game24", 1, partial(is_right, puzzle)),
        )
        for puzzle in puzzles
    ]


def numbers_of(puzzle: str) -> tuple[int, ...]:
    """The numbers of a puzzle. Raises `OptionError` where these are not four."""
    words = puzzle.split()
    if len(words) != NUMBERS or not all(word.isdecimal() for word in words):
        raise OptionError(f"{puzzle!r:.80} is no Game of 24: write four whole numbers, such as '4 5 6 10'")
    return tuple(map(int, words))


def is_right(puzzle: str, answer: str) -> bool:
    """Whether an expression makes 24 of each number of the puzzle once. What comes after `=` is left out."""
    found = value_of(answer)
    return found is not None and found.value == TARGET and Counter(found.numbers) == Counter(numbers_of(puzzle))


def solvable(puzzle: str, steps: Sequence[str]) -> bool | None:
    """Whether 24 can be made of the numbers that the last step says are left, `(left: 6 9 10)`.

    Of steps that state an answer: whether it is right. None where the last step has no numbers that can be read, or not
    as many as there must be by then. The numbers count as they are written, were they got by right arithmetic or not:
    `reachable` asks for that too.
    """
    if not steps:
        return can_make(tuple(map(Fraction, numbers_of(puzzle))))
    if states_answer(steps[-1]):
        return is_right(puzzle, FINAL_ANSWER(steps[-1]) or "")
    left = numbers_left(steps[-1])
    return None if left is None or len(left) != NUMBERS - len(steps) else can_make(left)


def reachable(puzzle: str, steps: Sequence[str]) -> bool | None:
    """Whether 24 can still be made by doing what the steps say, exactly, from the puzzle's numbers on.

    Unlike `solvable` it takes no step's word for what is left, and a step that uses a number that is not there, or says
    no operation, has lost: False. A number that is written rounded stands for the one that it rounds. None where there
    are more steps than operations.
    """
    if steps and states_answer(steps[-1]):
        return is_right(puzzle, FINAL_ANSWER(steps[-1]) or "")
    if len(steps) >= NUMBERS:
        return None
    left: tuple[Fraction, ...] | None = tuple(map(Fraction, numbers_of(puzzle)))
    for step in steps:
        left = _after(left, step) if left is not None else None
    return left is not None and can_make(left)


def numbers_left(step: str) -> tuple[Fraction, ...] | None:
    """The numbers that a step says are left; None where it says none, or what is not exactly a number."""
    said = _LEFT.search(step.strip().rpartition("\n")[2])
    try:
        return tuple(map(Fraction, said[1].replace(",", " ").split())) if said else None
    except (ValueError, ZeroDivisionError):
        return None


def can_make(numbers: tuple[Fraction, ...], target: Fraction = TARGET) -> bool:
    """Whether the target can be made of all the numbers, exactly."""
    return _can_make(tuple(sorted(numbers)), target)


@lru_cache(maxsize=200_000)
def _can_make(numbers: tuple[Fraction, ...], target: Fraction) -> bool:
    if len(numbers) <= 1:
        return numbers == (target,)
    for i, j in combinations(range(len(numbers)), 2):
        rest = numbers[:i] + numbers[i + 1 : j] + numbers[j + 1 :]
        for made in _made(numbers[i], numbers[j]):
            if made == target if not rest else _can_make(tuple(sorted((*rest, made))), target):
                return True
    return False


def _made(a: Fraction, b: Fraction) -> Iterator[Fraction]:
    yield a + b
    yield a - b
    yield b - a
    yield a * b
    if b:
        yield a / b
    if a:
        yield b / a


def _after(left: tuple[Fraction, ...], step: str) -> tuple[Fraction, ...] | None:
    """The numbers after doing what a step says; None where it cannot be done."""
    said = _OPERATION.match(step.strip().rpartition("\n")[2].replace("≈", "="))
    if said is None:
        return None
    rest = list(left)
    pair = []
    for written in (said[1], said[3]):
        taken = _rounded(written, rest)
        if taken is None:
            return None
        rest.remove(taken)
        pair.append(taken)
    a, b = pair
    match said[2]:
        case "+":
            made = a + b
        case "-":
            made = a - b
        case "*":
            made = a * b
        case _:
            if not b:
                return None
            made = a / b
    return (*rest, made)


def _rounded(written: str, among: Sequence[Fraction]) -> Fraction | None:
    """The number among these that is written so, exactly or rounded to its decimals."""
    try:
        value = Fraction(written)
    except ZeroDivisionError:
        return None
    decimals = len(written.partition(".")[2])
    within = Fraction(1, 10**decimals) if decimals else Fraction(0)
    near = [number for number in among if abs(number - value) <= within]
    return min(near, key=lambda number: abs(number - value), default=None)
