"""Have the model think in words first, then ask it for the answer."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.types import Answer, Message, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOfThought:
    """Zero-shot chain of thought in two stages (Kojima et al., 2022).

    The first call is given `trigger` after the question and its whole text is declared to be thinking; the second goes
    on from that thinking with `answer_trigger` and gives the answer. Models that cannot go on from a partial answer
    are asked for it in a second turn. Not a search: one chain, never revised.
    """

    temperature: float = 0.0
    max_tokens: int = 512
    answer_tokens: int = 64
    trigger: str = "Let's think step by step."
    answer_trigger: str = "Therefore, the answer is"

    def __post_init__(self) -> None:
        at_least(0, temperature=self.temperature)
        at_least(1, max_tokens=self.max_tokens, answer_tokens=self.answer_tokens)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
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

    def _conclude(self, thinking: str, *, prefix: bool) -> list[Message]:
        if prefix:
            return [Message("assistant", f"{thinking.rstrip()}\n\n{self.answer_trigger}")]
        return [Message("assistant", thinking), Message("user", f"{self.answer_trigger} (answer only)")]
