"""The strategy of a problem that shares its budget with others: it draws what it is granted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tttlab.allocation.rules import Ballot
from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Problem

Grants = Callable[[Ballot], Awaitable[int]]
"""Told the vote so far, it says how many samples to draw next; 0 is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotted:
    """Self-consistency (Wang et al., 2022) that draws a sample whenever `grants` allows it one.

    Samples without an answer abstain: they never win, and they count in the confidence, the leader's share of the
    samples seen. Ties go to the answer that was seen first. A failed call costs one sample; the run fails where all do.
    Costs as many calls as are granted.
    """

    grants: Grants
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        """Draw what is granted until nothing is; see the class."""
        votes: Counter[str] = Counter()
        answer, seen, drawn, failures = Answer(value=None), 0, 0, list[CallError]()
        while n := await self.grants(Ballot(votes=dict(votes), seen=seen, failed=drawn - seen)):
            drawn += n
            try:
                async with think.sample(
                    problem.prompt, n=n, temperature=self.temperature, max_tokens=self.max_tokens
                ) as samples:
                    async for completion in samples:
                        seen += 1
                        if (value := problem.extract(completion.text)) is not None:
                            votes[value] += 1
                        winner = leader(votes)
                        answer = think.propose(winner, confidence=votes[winner] / seen if winner else 0.0, votes=votes)
            except CallError as failure:
                failures.append(failure)
        if failures and not seen:
            raise failures[0]
        return answer
