"""Have the model think in words first, then ask it for the answer."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.protocols import Think
from tttlab.types import Answer, Message, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOfThought:
    """Zero-shot chain of thought in two stages (Kojima et al., 2022).

    The first call is given `trigger` after the question and its whole text is declared to be thinking; the second goes
    on from that thinking with `answer_trigger` and gives the answer. Models that cannot go on from a partial answer
    are asked for it in a second turn. Costs 2 calls. Not a search: one chain, never revised.

    With `examples`, pairs of a question and its worked answer that ends in the answer, it is few-shot chain of thought
    (Wei et al., 2022): each pair is a turn of the user's and one of the assistant's before the question, and one call,
    without either trigger, gives chain and answer together, at most `max_tokens` long.
    """

    temperature: float = 0.0
    max_tokens: int = 512
    answer_tokens: int = 64
    trigger: str = "Let's think step by step."
    answer_trigger: str = "Therefore, the answer is"
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        at_least(0, temperature=self.temperature)
        at_least(1, max_tokens=self.max_tokens, answer_tokens=self.answer_tokens)
        if not all(_is_pair(example) for example in self.examples):
            raise OptionError("examples are pairs of texts: examples=(('the question', 'the worked answer'),)")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        if self.examples:
            return await self._follow_examples(problem, think)
        question = Message("user", f"{problem.prompt}\n\n{self.trigger}")
        [thought] = await think.complete(
            [question], temperature=self.temperature, max_tokens=self.max_tokens, channel="thinking"
        )
        [conclusion] = await think.complete(
            [question, *self._conclude(thought.thinking, prefix=think.can.prefix)],
            temperature=self.temperature,
            max_tokens=self.answer_tokens,
        )
        return think.propose(problem.extract(f"{self.answer_trigger} {conclusion.text}"))

    async def _follow_examples(self, problem: Problem, think: Think) -> Answer:
        shown = [turn for q, worked in self.examples for turn in (Message("user", q), Message("assistant", worked))]
        [completion] = await think.complete(
            [*shown, Message("user", problem.prompt)], temperature=self.temperature, max_tokens=self.max_tokens
        )
        return think.propose(problem.extract(completion.text))

    def _conclude(self, thinking: str, *, prefix: bool) -> list[Message]:
        if prefix:
            return [Message("assistant", f"{thinking.rstrip()}\n\n{self.answer_trigger}")]
        return [Message("assistant", thinking), Message("user", f"{self.answer_trigger} (answer only)")]


def _is_pair(example: object) -> bool:
    texts = example if isinstance(example, (tuple, list)) else ()
    return [isinstance(text, str) for text in texts] == [True, True]
