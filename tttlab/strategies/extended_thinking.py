"""Give the model a budget of thinking, and hold it to that budget both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.protocols import Think
from tttlab.types import Answer, Message, Problem

OPENING = "<think>"
"""Begins a partial answer that is still thinking, as the models write it that are run locally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedThinking:
    """Budget forcing: thinking is cut at a maximum and pushed on below a minimum (s1, Muennighoff et al., 2025).

    A model that can go on from a prefix thinks up to `max_thinking_tokens`, all rounds together. Where it ends by
    itself below `min_thinking_tokens`, that end is ignored, at most `ignored_ends` times: `wait` is appended and it
    thinks on with what is left. Then `suffix` is appended and it answers, whether it had finished or was cut. With the
    minimum set to the maximum, exactly `ignored_ends` ends are ignored while there is room, as in the paper's own
    experiments. Costs 2 calls and one more for each ignored end, each with all the thinking so far in its prompt.

    A model that thinks in a channel of its own, and whose host can hold it to a budget, is held to
    `max_thinking_tokens` by its host, and its answer comes in the same call. Where it also goes on from a prefix, an
    end below the minimum is ignored in the same way: it is asked again with its thinking opened (`<think>`) and `wait`
    at its end, a call for each. One that cannot be held to a budget is asked once with both maxima as its `max_tokens`,
    and nothing is forced. In every case the branch of the thinking records what was asked and what was observed. Until
    there is an answer, the one that can be found in the thinking stands; a conclusion that says nothing abstains. Not
    training, and no search: one line of thought, longer or shorter.
    """

    needs: ClassVar[tuple[str, ...]] = ("prefix|thinking",)

    max_thinking_tokens: int = 512
    min_thinking_tokens: int = 0
    ignored_ends: int = 2
    answer_tokens: int = 64
    temperature: float = 0.0
    trigger: str = "Let's think step by step."
    wait: str = "Wait"
    suffix: str = "Final Answer:"

    def __post_init__(self) -> None:
        at_least(0, min_thinking_tokens=self.min_thinking_tokens, ignored_ends=self.ignored_ends)
        at_least(1, max_thinking_tokens=self.max_thinking_tokens, answer_tokens=self.answer_tokens)
        at_least(0, temperature=self.temperature)
        if self.min_thinking_tokens > self.max_thinking_tokens:
            raise OptionError(
                f"min_thinking_tokens={self.min_thinking_tokens} is above "
                f"max_thinking_tokens={self.max_thinking_tokens}: lower it, or raise the maximum"
            )

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        if think.can.thinking_budget:
            return await self._hold(problem, think)
        return await (self._force if think.can.prefix else self._request)(problem, think)

    async def _hold(self, problem: Problem, think: Think) -> Answer:
        """The host holds the thinking to its budget; an end that comes too early is ignored here."""
        question, thinking, used, ignored = Message("user", problem.prompt), "", 0, 0
        with think.branch(
            kind="thinking", asked_max_tokens=self.max_thinking_tokens, asked_min_tokens=self.min_thinking_tokens
        ) as branch:
            while True:
                [part] = await think.complete(
                    [question, *([Message("assistant", f"{OPENING}\n{thinking}")] if thinking else [])],
                    temperature=self.temperature,
                    max_tokens=self.answer_tokens,
                    thinking_budget=self.max_thinking_tokens - used,
                )
                used += part.usage.thinking_tokens
                thinking = f"{thinking}{part.thinking}".strip()
                branch.mark(
                    observed_tokens=used, ignored_ends=ignored, ended=part.finish_reason, visibility=part.visibility
                )
                answer = think.propose(problem.extract(part.text))
                enough = used >= self.min_thinking_tokens
                if enough or ignored == self.ignored_ends or not (think.can.prefix and thinking):
                    branch.mark(state="selected")
                    return answer
                thinking = f"{thinking}\n\n{self.wait}"
                ignored += 1

    async def _force(self, problem: Problem, think: Think) -> Answer:
        question = Message("user", f"{problem.prompt}\n\n{self.trigger}")
        thinking = await self._think(problem, question, think)
        [conclusion] = await think.complete(
            [question, Message("assistant", f"{thinking}\n\n{self.suffix}".lstrip())],
            temperature=self.temperature,
            max_tokens=self.answer_tokens,
        )
        said = conclusion.text
        return think.propose(problem.extract(f"{self.suffix} {said}") if said.strip() else None)

    async def _think(self, problem: Problem, question: Message, think: Think) -> str:
        thinking, used, ignored = "", 0, 0
        with think.branch(
            kind="thinking", asked_max_tokens=self.max_thinking_tokens, asked_min_tokens=self.min_thinking_tokens
        ) as branch:
            while True:
                [part] = await think.complete(
                    [question, *([Message("assistant", thinking)] if thinking else [])],
                    temperature=self.temperature,
                    max_tokens=self.max_thinking_tokens - used,
                    channel="thinking",
                )
                used += part.usage.output_tokens
                thinking = f"{thinking}{part.thinking}".strip()
                branch.mark(observed_tokens=used, ignored_ends=ignored, ended=part.finish_reason)
                if part.thinking.strip():
                    think.propose(problem.extract(thinking))
                enough = used >= self.min_thinking_tokens
                if part.finish_reason != "stop" or enough or ignored == self.ignored_ends:
                    branch.mark(state="selected")
                    return thinking
                thinking = f"{thinking}\n\n{self.wait}".lstrip()
                ignored += 1

    async def _request(self, problem: Problem, think: Think) -> Answer:
        whole = self.max_thinking_tokens + self.answer_tokens
        with think.branch(kind="thinking", asked_max_tokens=whole) as branch:
            [completion] = await think.complete(problem.prompt, temperature=self.temperature, max_tokens=whole)
            branch.mark(
                state="selected",
                reported_tokens=completion.usage.thinking_tokens,
                visibility=completion.visibility,
                ended=completion.finish_reason,
            )
        return think.propose(problem.extract(completion.text))
