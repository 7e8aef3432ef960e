"""Countdown: puzzles that the package's own model was not trained on, judged exactly by the verifier `countdown`."""

from __future__ import annotations

from functools import partial

from tttlab.answers import Check, find_extractor
from tttlab.countdown.checking import trouble
from tttlab.countdown.drawing import held_out_puzzles
from tttlab.countdown.puzzle import COUNTS, Puzzle
from tttlab.errors import OptionError
from tttlab.types import Problem


def countdown(count: int, *, seed: int, numbers: int = 3) -> list[Problem]:
    """`count` different puzzles of 3 or 4 numbers, such as `3 5 8 -> 16`, whose targets can be made.

    The same seed gives the same puzzles. None has a reference, since many expressions are right: each has a check that
    judges as the verifier `countdown` does. Answers are expressions in one form, so that a vote counts `8 + 3 + 5`
    and `5 + (3 + 8)` together.
    Raises `OptionError` where there are not so many.
    """
    if numbers not in COUNTS:
        raise OptionError(f"puzzles have {' or '.join(map(str, COUNTS))} numbers, not {numbers}")
    return [
        Problem(
            prompt=str(puzzle),
            extractor=find_extractor("expression"),
            id=f"countdown:{puzzle}",
            check=Check("countdown", 1, partial(_makes, puzzle)),
        )
        for puzzle in held_out_puzzles(numbers, count, seed)
    ]


def _makes(puzzle: Puzzle, expression: str) -> bool:
    return trouble(puzzle, expression) is None
