"""Sample in windows and stop at the first that is unanimous."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStoppingConsistency:
    """Self-consistency in windows (early-stopping self-consistency, ESC; Li et al., 2024).

    The samples of a window are asked at once. Sampling ends after the first window whose samples all give one answer,
    and that is then the answer, as in the published code, even where the majority so far is another; without such a
    window it is the majority of all `max_samples`, ties to the first seen. A window with an abstention, a failed
    call, or cut short by `max_samples` is not unanimous. The confidence is the answer's share of all samples so far.
    Costs `window` to `max_samples` calls. Not a test of how sure the vote is: see `adaptive_consistency`.
    """

    window: int = 5
    max_samples: int = 40
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, window=self.window, max_samples=self.max_samples, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        votes: Counter[str] = Counter()
        answer, seen, failures = Answer(value=None), 0, list[CallError]()
        for start in range(0, self.max_samples, self.window):
            n = min(self.window, self.max_samples - start)
            window: list[str | None] = []
            try:
                async with think.sample(
                    problem.prompt, n=n, temperature=self.temperature, max_tokens=self.max_tokens
                ) as samples:
                    async for completion in samples:
                        seen += 1
                        window.append(value := problem.extract(completion.text))
                        if value is not None:
                            votes[value] += 1
                        winner = leader(votes)
                        answer = think.propose(winner, confidence=votes[winner] / seen if winner else 0.0, votes=votes)
            except CallError as failure:
                failures.append(failure)
            if agreed := unanimous(window, self.window):
                if agreed != answer.value:
                    answer = think.propose(agreed, confidence=votes[agreed] / seen, votes=votes)
                return answer
        if failures and not seen:
            raise failures[0]
        return answer


def unanimous(window: list[str | None], size: int) -> str | None:
    """The one answer that all `size` samples of a window give; None where there is none."""
    return window[0] if len(window) == size and len(set(window)) == 1 else None
