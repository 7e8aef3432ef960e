"""Drawing puzzles: some are kept from the model's training, for tests of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement
from random import Random

from tttlab.countdown.puzzle import BIGGEST_NUMBER, HIGHEST_TARGET, LOWEST_TARGET, SMALLEST, Puzzle, targets
from tttlab.errors import OptionError

_HELD_OUT = 10
"""One puzzle in so many is kept from training."""


def is_held_out(puzzle: Puzzle) -> bool:
    """Whether a puzzle belongs to the test: by its numbers and target alone, whatever their order."""
    numbers, target = puzzle.key
    digest = hashlib.sha256(f"{numbers} {target}".encode()).digest()
    return digest[0] % _HELD_OUT == 0


def puzzles(rng: Random, count: int, *, held_out: bool) -> Iterator[Puzzle]:
    """Solvable puzzles of `count` numbers, without end: those of the test, or those of training."""
    while True:
        numbers = tuple(rng.randint(SMALLEST, BIGGEST_NUMBER) for _ in range(count))
        reachable = _askable(numbers)
        if not reachable:
            continue
        puzzle = Puzzle(numbers, rng.choice(reachable))
        if is_held_out(puzzle) == held_out:
            yield puzzle


def held_out_puzzles(numbers: int, count: int, seed: int = 777) -> list[Puzzle]:
    """`count` puzzles of the test, no two the same whatever the order of their numbers; the same for the same seed.

    Raises `OptionError` where there are not so many: 332 of three numbers, 4,865 of four.
    """
    kept = _held_out(numbers)
    if not 1 <= count <= len(kept):
        raise OptionError(f"{len(kept):,} puzzles of {numbers} numbers are kept from training, and not {count:,}")
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    return [Puzzle(tuple(rng.sample(puzzle.numbers, numbers)), puzzle.target) for puzzle in rng.sample(kept, count)]


@cache
def _held_out(numbers: int) -> list[Puzzle]:
    every = combinations_with_replacement(range(SMALLEST, BIGGEST_NUMBER + 1), numbers)
    asked = (Puzzle(chosen, target) for chosen in every for target in _askable(chosen))
    return [puzzle for puzzle in asked if is_held_out(puzzle)]


def _askable(numbers: tuple[int, ...]) -> list[int]:
    """The targets that may be asked for, in order."""
    made = sorted(targets(tuple(sorted(numbers))))
    return [target for target in made if LOWEST_TARGET <= target <= HIGHEST_TARGET and target not in numbers]
