"""Several agents answer, others improve on their answers layer by layer, and one sums them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Model, Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Completion, Message, Problem

AGGREGATE = """You have been provided with a set of responses from various models to the latest user query. Your task \
is to synthesize these responses into a single, high-quality response. It is crucial to critically evaluate the \
information provided in these responses, recognizing that some of it may be biased or incorrect. Your response should \
not simply replicate the given answers but should offer a refined, accurate, and comprehensive reply to the \
instruction. Ensure your response is well-structured, coherent, and adheres to the highest standards of accuracy and \
reliability.

Responses from models:
{responses}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureOfAgents:
    """Mixture-of-Agents (Wang et al., 2024), with the paper's prompt.

    Each of `layers - 1` layers asks every agent; those of the second layer and on are shown all responses of the layer
    before, and so is the `aggregator`, the last layer, whose answer is the answer. The agents are the models in
    `proposers`, or, where none are given, `agents` samples of the run's model (the paper's single-proposer form). The
    aggregator is the run's model unless another is given. Two layers are the paper's lighter form, three its full one.
    Until the aggregator has answered, or if it gives no answer, the majority of the last layer of agents decides, with
    its share of that layer's responses as its confidence; the aggregator states none. Costs (layers - 1) x agents + 1
    calls, with prompts as long as the responses they show. Not a vote: a minority that argues well may win, so compare
    it with self-consistency at equal compute.
    """

    agents: int = 6
    layers: int = 2
    proposers: tuple[Model | str, ...] = ()
    aggregator: Model | str | None = None
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, agents=self.agents, max_tokens=self.max_tokens)
        at_least(2, layers=self.layers)
        at_least(0, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        responses: list[Completion] = []
        answer = Answer(value=None)
        for layer in range(self.layers - 1):
            with think.branch(layer=layer):
                ask = self._models if self.proposers else self._samples
                said = await ask(shown(problem, responses), problem, think, first=not responses)
            if said:
                responses = said
                answer = _vote(responses, problem, think)
        with think.branch(layer=self.layers - 1):
            try:
                [summed] = await think.complete(
                    shown(problem, responses),
                    role="aggregator",
                    model=self.aggregator,
                    temperature=self.temperature,
                    max_tokens=self.max_tokens,
                )
            except CallError:
                return answer
        value = problem.extract(summed.text)
        return answer if value is None else think.propose(value)

    async def _samples(self, prompt: list[Message], problem: Problem, think: Think, *, first: bool) -> list[Completion]:
        """A layer of samples of the run's model; the first is proposed from as they come."""
        said: list[Completion] = []
        try:
            async with think.sample(
                prompt, n=self.agents, role="proposer", temperature=self.temperature, max_tokens=self.max_tokens
            ) as samples:
                async for completion in samples:
                    said.append(completion)
                    if first and len(said) < self.agents:
                        _vote(said, problem, think)
        except CallError:
            if first:
                raise
        return said

    async def _models(self, prompt: list[Message], _problem: Problem, think: Think, *, first: bool) -> list[Completion]:
        """A layer of other models, at once; one that fails says nothing. All failed in the first fails the run."""
        failures: list[CallError] = []

        async def ask(model: Model | str) -> list[Completion]:
            try:
                return await think.complete(
                    prompt, role="proposer", model=model, temperature=self.temperature, max_tokens=self.max_tokens
                )
            except CallError as failure:
                failures.append(failure)
                return []

        said = [completion for each in await think.map(ask, self.proposers) for completion in each]
        if first and failures and not said:
            raise failures[0]
        return said


def shown(problem: Problem, responses: Sequence[Completion]) -> list[Message]:
    """The question, with the responses to it before it, where there are any."""
    question = Message("user", problem.prompt)
    if not responses:
        return [question]
    listed = "\n".join(f"{number}. {response.text}" for number, response in enumerate(responses, 1))
    return [Message("system", AGGREGATE.format(responses=listed)), question]


def _vote(responses: Sequence[Completion], problem: Problem, think: Think) -> Answer:
    votes = Counter(value for response in responses if (value := problem.extract(response.text)) is not None)
    winner = leader(votes)
    return think.propose(winner, confidence=votes[winner] / len(responses) if winner else 0.0, votes=votes)
