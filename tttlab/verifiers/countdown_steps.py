"""Judge each step of a line of thinking about a puzzle of Countdown by the rules: an exact process verifier."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.countdown.checking import judge_steps
from tttlab.countdown.wording import find_puzzle
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CountdownSteps:
    """Scores the share of right steps in thinking as `local:countdown` writes it: `8 * 5 = 40 : 40 3 ;`.

    A step is right if its sum is, if it takes numbers that an earlier step left, if the rest is all there, and if its
    comparison with the target (`? 16 x`, `? 16 !`) is true. Passes where every step is right. The explanation names the
    first wrong ones. Thinking without a step gives a verdict with an error. It asks no model; it does not say whether
    the search was a good one.
    """

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        puzzle = find_puzzle(problem.prompt)
        if puzzle is None:
            return Verdict(score=None, error="there is no puzzle of Countdown in the prompt")
        steps = list(judge_steps(puzzle, candidate))
        if not steps:
            return Verdict(score=None, error="no step of thinking in the candidate")
        wrong = [step for step in steps if step.trouble]
        said = "; ".join(f"{step.text}: {step.trouble}" for step in wrong[:SHOWN])
        return Verdict(
            score=1 - len(wrong) / len(steps), passed=not wrong, explanation=said or f"all {len(steps)} steps are right"
        )
