"""Several agents answer, read one another's solutions, and answer again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Completion, Message, Problem

OTHERS = "These are the solutions to the problem from other agents:"
ONE = "One agent solution: ```{solution}```"
AGAIN = """Using the solutions from other agents as additional information, can you provide your answer to the \
problem? Examine your solution and that of other agents step by step. The original problem is {question}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debate:
    """Multi-agent debate of one model with itself (Du et al., 2023).

    `agents` answer by themselves; in each further one of `rounds` every agent, with its own conversation before it, is
    shown the others' latest solutions and answers again. The answer is the majority of the latest solutions, ties to
    the first agent; its share of the agents is the confidence. An agent without an answer abstains and counts in the
    confidence; one whose call fails keeps its last solution. Costs agents x rounds calls, whose prompts grow with both:
    `rounds=1` is self-consistency, so compare it with that at equal compute. Not independent samples after the first
    round: agents that agree may have persuaded one another of an error.
    """

    agents: int = 3
    rounds: int = 2
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, agents=self.agents, rounds=self.rounds, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        talks: list[tuple[Message, ...]] = []
        answer = Answer(value=None)
        with think.branch(round=0):
            async with think.sample(
                problem.prompt, n=self.agents, temperature=self.temperature, max_tokens=self.max_tokens
            ) as samples:
                async for completion in samples:
                    talks.append((Message("user", problem.prompt), Message("assistant", completion.text)))
                    answer = _vote(talks, problem, think)
        for number in range(1, self.rounds):
            with think.branch(round=number):
                talks = await self._debate(talks, problem, think)
            answer = _vote(talks, problem, think)
        return answer

    async def _debate(
        self, talks: Sequence[tuple[Message, ...]], problem: Problem, think: Think
    ) -> list[tuple[Message, ...]]:
        """One more round: every agent at once, each shown what the others said in the round before."""

        async def again(agent: int) -> tuple[Message, ...]:
            others = [talk[-1].text for index, talk in enumerate(talks) if index != agent]
            asked = (*talks[agent], Message("user", told(problem, others)))
            said: list[Completion] = []
            try:
                said = await think.complete(asked, temperature=self.temperature, max_tokens=self.max_tokens)
            except CallError:
                return talks[agent]
            return (*asked, Message("assistant", said[0].text))

        return await think.map(again, range(len(talks)))


def told(problem: Problem, others: Sequence[str]) -> str:
    """What an agent is told in a further round."""
    solutions = [ONE.format(solution=solution) for solution in others]
    return "\n\n".join([*([OTHERS, *solutions] if others else []), AGAIN.format(question=problem.prompt)])


def _vote(talks: Sequence[tuple[Message, ...]], problem: Problem, think: Think) -> Answer:
    votes = Counter(value for talk in talks if (value := problem.extract(talk[-1].text)) is not None)
    winner = leader(votes)
    return think.propose(winner, confidence=votes[winner] / len(talks) if winner else 0.0, votes=votes)
