"""Puzzles in the usual words: those of Countdown, of the Game of 24, and the short form `3 5 8 -> 16`."""

from __future__ import annotations

import re

from tttlab.countdown.puzzle import BIGGEST_NUMBER, COUNTS, HIGHEST_TARGET, LOWEST_TARGET, SMALLEST, Puzzle
from tttlab.errors import OptionError

_NUMBER = r"\d{1,9}"
_LIST = rf"[\[({{]?\s*({_NUMBER}(?:\s*(?:,\s*and|,|\band\b|;|\s)\s*{_NUMBER})+)\s*[\])}}]?"
_ARROW = re.compile(rf"{_LIST}\s*(?:->|→|=>)\s*({_NUMBER})\b")
_AIMS = (
    "make|makes|making|reach|reaches|obtain|obtains|get|gets|give|gives|calculate|compute|equals?|equal to|"
    r"evaluates? to|results? in|game of|target(?:\s+(?:number|of|is))*"
)
_AIM = re.compile(rf"\b(?:{_AIMS})\s*:?\s*(?:the\s+(?:number|target)\s+)?({_NUMBER})\b", re.IGNORECASE)
_NUMBERS = re.compile(_LIST)
READABLE = (
    f"write it as `3 5 8 -> 16`: {' or '.join(map(str, COUNTS))} numbers from {SMALLEST} to {BIGGEST_NUMBER}, and a "
    f"target from {LOWEST_TARGET} to {HIGHEST_TARGET}"
)


def read_puzzle(text: str) -> Puzzle:
    """The puzzle that a text asks. Raises `OptionError` that says what can be read, where there is none in range."""
    puzzle = find_puzzle(text)
    if puzzle is None:
        raise OptionError(f"there is no puzzle of Countdown in {' '.join(text.split())[:80]!r}: {READABLE}")
    if len(puzzle.numbers) not in COUNTS:
        raise OptionError(f"{puzzle} has {len(puzzle.numbers)} numbers: {READABLE}")
    if odd := [number for number in puzzle.numbers if not SMALLEST <= number <= BIGGEST_NUMBER]:
        raise OptionError(f"{puzzle} has the number {odd[0]}: {READABLE}")
    if not LOWEST_TARGET <= puzzle.target <= HIGHEST_TARGET:
        raise OptionError(f"{puzzle} has the target {puzzle.target}: {READABLE}")
    return puzzle


def find_puzzle(text: str) -> Puzzle | None:
    """The puzzle that a text asks, whatever its numbers; None where there is none."""
    # The last one: what stands before it may be examples.
    if arrows := _ARROW.findall(text):
        listed, target = arrows[-1]
        return Puzzle(_numbers(listed), int(target))
    lists = [match for match in _NUMBERS.finditer(text) if len(_numbers(match[1])) > 1]
    aims = list(_AIM.finditer(text))
    if not lists:
        return None
    listed = max(lists, key=lambda match: (len(_numbers(match[1])) in COUNTS, match.start()))
    outside = [aim for aim in aims if not listed.start() <= aim.start(1) < listed.end()]
    if not outside:
        return None
    return Puzzle(_numbers(listed[1]), int(max(outside, key=lambda aim: aim.start())[1]))


def _numbers(listed: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(_NUMBER, listed))
