"""Sample many times and let the answers vote."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.strategies.selection import is_decided, leader
from tttlab.types import Answer, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsistency:
    """Sample independent completions and return the majority answer (Wang et al., 2022).

    Samples without an answer abstain: they never win, and they count in the confidence, which is the leader's share of
    the samples seen. Ties go to the answer that was seen first. With `stop_early` the rest is cancelled once no
    further vote can change the leader. With `samples=1` it is one sample at this temperature, not a greedy answer.
    """

    samples: int = 16
    temperature: float = 0.7
    max_tokens: int = 512
    stop_early: bool = False

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        votes: Counter[str] = Counter()
        answer = Answer(value=None)
        async with think.sample(
            problem.prompt, n=self.samples, temperature=self.temperature, max_tokens=self.max_tokens
        ) as samples:
            seen = 0
            async for completion in samples:
                seen += 1
                if (value := problem.extract(completion.text)) is not None:
                    votes[value] += 1
                winner = leader(votes)
                answer = think.propose(winner, confidence=votes[winner] / seen if winner else 0.0, votes=votes)
                if self.stop_early and is_decided(votes, self.samples - seen):
                    break
        return answer
