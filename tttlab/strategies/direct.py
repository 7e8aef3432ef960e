"""Ask once and take the answer: the baseline that every other strategy is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.types import Answer, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """One completion, greedy by default. Not a sample: with `temperature=0` every run gives the same answer."""

    temperature: float = 0.0
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(0, temperature=self.temperature)
        at_least(1, max_tokens=self.max_tokens)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        [completion] = await think.complete(problem.prompt, temperature=self.temperature, max_tokens=self.max_tokens)
        return think.propose(problem.extract(completion.text))
