"""Countdown's rules: what may be combined, which targets can be reached, and what a position in the search is.

Every intermediate result is a positive integer of at most `LARGEST`, as in the television game.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations

SMALLEST, BIGGEST_NUMBER = 1, 13
LOWEST_TARGET, HIGHEST_TARGET = 10, 60
LARGEST = 100
COUNTS = (3, 4)
"""How many numbers a puzzle may have."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Some numbers, in the order in which they are said, and the target to be made of all of them."""

    numbers: tuple[int, ...]
    target: int

    @property
    def key(self) -> tuple[tuple[int, ...], int]:
        """The same for every order of the same numbers."""
        return tuple(sorted(self.numbers)), self.target

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.numbers))} -> {self.target}"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, the greater operand first, and what it gives."""

    first: int
    sign: str
    second: int
    result: int

    def __str__(self) -> str:
        return f"{self.first} {self.sign} {self.second} = {self.result}"


@cache
def steps_of(a: int, b: int) -> tuple[Step, ...]:
    """What may be done with two numbers: nothing that gives 0, a fraction or more than `LARGEST`, nothing idle."""
    a, b = max(a, b), min(a, b)
    found = [Step(a, "+", b, a + b)]
    if a > b:
        found.append(Step(a, "-", b, a - b))
    if b > 1:
        found.append(Step(a, "*", b, a * b))
        if a % b == 0:
            found.append(Step(a, "/", b, a // b))
    return tuple(step for step in found if step.result <= LARGEST)


@lru_cache(maxsize=200_000)
def moves(position: tuple[int, ...]) -> tuple[tuple[Step, tuple[int, ...]], ...]:
    """What may be done at a position, each once, with the position after it: the result first, the rest in order."""
    found: dict[tuple[Step, tuple[int, ...]], None] = {}
    for i, j in combinations(range(len(position)), 2):
        rest = position[:i] + position[i + 1 : j] + position[j + 1 :]
        for step in steps_of(position[i], position[j]):
            found[step, (step.result, *rest)] = None
    return tuple(found)


@lru_cache(maxsize=200_000)
def targets(position: tuple[int, ...]) -> frozenset[int]:
    """All that can be made of all the numbers of a position, which is sorted."""
    if len(position) == 1:
        return frozenset(position)
    return frozenset().union(*(targets(tuple(sorted(after))) for _, after in moves(position)))


def solutions(puzzle: Puzzle) -> Iterator[tuple[Step, ...]]:
    """Every way to the target, step by step, in the order of `moves`."""
    yield from _ways(puzzle.numbers, puzzle.target, ())


def _ways(position: tuple[int, ...], target: int, done: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    if len(position) == 1:
        if position[0] == target:
            yield done
        return
    for step, after in moves(position):
        if target in targets(tuple(sorted(after))):
            yield from _ways(after, target, (*done, step))


def expression(numbers: tuple[int, ...], path: tuple[Step, ...]) -> str:
    """The steps of a path, put together: `( 12 - 4 ) * 3`. Numbers stand for themselves until a step made them."""
    made: list[tuple[int, str]] = [(number, str(number)) for number in numbers]
    for step in path:
        first, second = (_taken(made, value) for value in (step.first, step.second))
        made.append((step.result, f"( {first} {step.sign} {second} )"))
    text = made[-1][1]
    return text[2:-2] if path else text


def _taken(made: list[tuple[int, str]], value: int) -> str:
    # The latest first: what was made is used before a number of the puzzle that equals it.
    place = max(index for index, (known, _) in enumerate(made) if known == value)
    return made.pop(place)[1]
