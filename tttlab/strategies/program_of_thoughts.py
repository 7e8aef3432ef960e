"""Have the model write a program that computes the answer, and run it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from tttlab.answers import normalise
from tttlab.checks import at_least
from tttlab.programs import find_program
from tttlab.protocols import Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, CodeLimits, Problem, Ran

PROMPT = """{question}

Write a Python program that computes the answer, in one ```python block. Reason in code, step by step, with a variable
for each quantity, and define a function solution() that takes no arguments and returns the answer."""

_END = """

def _say(value):
    if value is not None:
        print(float(f"{value:.10g}") if isinstance(value, float) else value)
    return value is not None

_given = globals()
_say(solution() if callable(_given.get("solution")) else None) or _say(_given.get("ans"))
"""
"""Says what `solution()` returns, else `ans`; where there is neither, what the program printed last counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOfThoughts:
    """Sample programs, run each, and return the majority of their answers (Chen et al., 2022; PAL: Gao et al., 2022).

    A program's answer is what its `solution()` returns (PAL), else its variable `ans` (Program of Thoughts), else the
    last line that it prints; decimals are rounded to ten digits. One that fails, or runs longer than `timeout` seconds,
    is an unanswered sample: it never wins, and it counts in the confidence. A reply without a program is taken at its
    word, unless `programs_only` makes it unanswered too. Ties go to the answer that was seen first. Costs `samples`
    calls and as many programs. Not self-debugging: no error is shown to the model.
    """

    samples: int = 8
    temperature: float = 0.7
    max_tokens: int = 512
    timeout: float = 10.0
    programs_only: bool = False
    needs: ClassVar[tuple[str, ...]] = ("code",)

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)
        at_least(0.001, timeout=self.timeout)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        votes: Counter[str] = Counter()
        answer, seen = Answer(value=None), 0
        prompt = PROMPT.format(question=problem.prompt)
        async with think.sample(
            prompt, n=self.samples, temperature=self.temperature, max_tokens=self.max_tokens
        ) as samples:
            async for completion in samples:
                value = await self._answer_of(completion.text, problem, think)
                seen += 1
                if value is not None:
                    votes[value] += 1
                winner = leader(votes)
                answer = think.propose(winner, confidence=votes[winner] / seen if winner else 0.0, votes=votes)
        return answer

    async def _answer_of(self, text: str, problem: Problem, think: Think) -> str | None:
        program = find_program(text)
        if program is None:
            return None if self.programs_only else problem.extract(text)
        ran = await think.run_code(f"{program}{_END}", limits=CodeLimits(seconds=self.timeout))
        return _printed(ran, problem)


def _printed(ran: Ran, problem: Problem) -> str | None:
    lines = [line for line in ran.stdout.splitlines() if line.strip()]
    if ran.outcome != "ok" or not lines:
        return None
    # The problem's extractor reads prose (`\boxed{...}`); a program says its answer bare.
    return problem.extract(lines[-1]) or normalise(lines[-1])
