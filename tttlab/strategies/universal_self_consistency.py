"""Sample many times and ask the model which response agrees most with the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Model, Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Completion, Problem

PICK = """I have generated the following responses to the question: {question}

{responses}

Evaluate these responses.
Select the most consistent response based on majority consensus.
Start your answer with "The most consistent response is Response X" (without quotes)."""
_PICKED = re.compile(r"most consistent response is\W*response\W*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniversalSelfConsistency:
    """The model itself picks the most consistent of its responses (Chen et al., 2023).

    For answers that cannot be counted because each is worded in its own way. The `judge`, the run's model unless
    another is given, sees all responses, whole, in `orders` orders: the first as sampled, further ones shuffled,
    because judges favour places in a list; the response picked most often is taken. A pick that cannot be read, names
    no response, or one without an answer, is an abstention; without any pick the majority of the extracted answers
    decides, as it does until then. It is not asked where all answers are alike. The confidence is the answer's share
    of all samples. Costs `samples` calls and `orders` long ones. Not a check of the responses against the question.
    """

    samples: int = 8
    orders: int = 1
    judge: Model | str | None = None
    judge_tokens: int = 128
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(
            1, samples=self.samples, orders=self.orders, max_tokens=self.max_tokens, judge_tokens=self.judge_tokens
        )
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        votes: Counter[str] = Counter()
        answer, seen = Answer(value=None), list[Completion]()
        async with think.sample(
            problem.prompt, n=self.samples, temperature=self.temperature, max_tokens=self.max_tokens
        ) as samples:
            async for completion in samples:
                seen.append(completion)
                if (value := problem.extract(completion.text)) is not None:
                    votes[value] += 1
                winner = leader(votes)
                answer = think.propose(winner, confidence=votes[winner] / len(seen) if winner else 0.0, votes=votes)
        if len(votes) > 1 and (picked := await self._pick(seen, problem, think)) is not None:
            return think.propose(picked, confidence=votes[picked] / len(seen), votes=votes)
        return answer

    async def _pick(self, responses: Sequence[Completion], problem: Problem, think: Think) -> str | None:
        """The answer of the response that was picked most often, the first picked among equals; None without any."""
        order = list(range(len(responses)))
        picks: Counter[int] = Counter()
        for _ in range(self.orders):
            listed = "\n\n".join(f"Response {place}: {responses[index].text}" for place, index in enumerate(order))
            try:
                [said] = await think.complete(
                    PICK.format(question=problem.prompt, responses=listed),
                    role="judge",
                    model=self.judge,
                    temperature=0.0,
                    max_tokens=self.judge_tokens,
                )
            except CallError:
                continue
            finally:
                shown, order = order, think.rng.sample(order, len(order))
            index = picked_place(said.text, shown)
            if index is not None and problem.extract(responses[index].text) is not None:
                picks[index] += 1
        return problem.extract(responses[picks.most_common(1)[0][0]].text) if picks else None


def picked_place(text: str, order: Sequence[int]) -> int | None:
    """The response at the place that a judge names first; None where it names none that there is."""
    found = _PICKED.search(text)
    place = int(found[1]) if found else len(order)
    return order[place] if place < len(order) else None
