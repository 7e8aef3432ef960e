"""Judge an answer to a puzzle of Countdown by the rules."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.answers import find_extractor
from tttlab.countdown.checking import trouble
from tttlab.countdown.wording import find_puzzle
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Countdown:
    """Passes an expression that makes the target of all the puzzle's numbers, each used once. Exact, and no oracle.

    It reads the puzzle from the prompt, in the usual words of Countdown and of the Game of 24, whatever its numbers,
    and takes the expression that the candidate states. Brackets, fractions and negative results on the way are allowed.
    It needs no reference, and asks no model.
    """

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        puzzle = find_puzzle(problem.prompt)
        if puzzle is None:
            return Verdict(score=None, error="there is no puzzle of Countdown in the prompt")
        expression = find_extractor("expression")(candidate)
        said = "no arithmetic expression" if expression is None else trouble(puzzle, expression)
        return Verdict(score=float(said is None), passed=said is None, explanation=said or "it makes the target")
