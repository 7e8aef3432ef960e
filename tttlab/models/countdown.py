"""`local:countdown`: the package's own small model, which thinks before it answers, and of one thing only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from tttlab.countdown.vocabulary import ID
from tttlab.countdown.wording import read_puzzle
from tttlab.errors import CallError, OptionError, nearest
from tttlab.events import Finish, StreamEvent, TokenDelta, UsageUpdate
from tttlab.models.group import LOGPROB_STAGE
from tttlab.models.local import LocalModel
from tttlab.types import Capabilities, Message, Request, Usage

WEIGHTS = Path(__file__).parents[1] / "countdown" / "countdown.gguf"
CONTEXT = 640
"""Tokens of the longest text that it was trained on."""
ORDERS = ("dfs", "best", "bfs")
ANSWER_ROOM = 32
OPEN, CLOSED, ANSWER = "<think>", "</think>", "Answer :"


class CountdownModel:
    """Solves Countdown: reads `3 5 8 -> 16` or the usual words, searches in its thinking, and answers an expression.

    `order` is how it searches: `dfs` (depth first, any step next), `best` (the step whose result is nearest to the
    target next) or `bfs` (breadth first, three numbers only). `noisy` makes its comparisons with the target wrong one
    time in ten. Its thinking ends by itself, or is ended at `thinking_budget`; with a budget of 0 it answers at once.
    See `tttlab/countdown/MODEL_CARD.md`.
    """

    provider = "llama_cpp"

    def __init__(self, order: str = "dfs", *, noisy: bool = False, weights: Path = WEIGHTS) -> None:
        """Load it. Raises `OptionError` for an order that there is not, and `ModelError`."""
        if order not in ORDERS:
            raise OptionError(f"there is no order of search {order!r}{nearest(order, ORDERS)}")
        self._engine = LocalModel(weights, name="local:countdown", context=1024)
        self._mode = f"{order} {'noisy' if noisy else 'exact'}"
        self._order = order
        self.name = "local:countdown" + (f"-{order}" if order != "dfs" else "") + ("-noisy" if noisy else "")
        self.can = Capabilities(
            seed=True,
            logprobs=True,
            prefix=True,
            thinking=True,
            thinking_budget=True,
            parallel=self._engine.can.parallel,
            takes=("temperature", "top_p", "top_k", "min_p"),
        )
        self.parameters = self._engine.parameters

    def __repr__(self) -> str:
        return f"<{self.name!r}: {self.parameters:,} weights>"

    def describe(self) -> dict[str, str | int]:
        """What identifies the weights, what ran them, and how it searches."""
        return {**self._engine.describe(), "search": self._mode}

    def close(self) -> None:
        """Give the memory back, for every model of these weights. Harmless when done already."""
        self._engine.close()

    def check(self, prompt: str) -> None:
        """Raise `OptionError` for a prompt that it cannot read."""
        puzzle = read_puzzle(prompt)
        if self._order == "bfs" and len(puzzle.numbers) > 3:  # noqa: PLR2004 - as its training had it
            raise OptionError(f"{self.name} searches three numbers only, and {puzzle} has more: take local:countdown")

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Think and answer. Raises `CallError`."""
        draft = self._draft(request)
        finish: Finish | None = None
        while finish is None:
            async with aclosing(self._engine.stream(draft.next_part())) as events:  # type: ignore[type-var]  # one in fact
                async for event in events:
                    if (told := draft.take(event)) is not None:
                        yield told
                    if (finish := draft.finish) is not None:
                        break
        yield UsageUpdate(draft.usage)
        yield finish

    def _draft(self, request: Request) -> _Draft:
        begun = request.messages[-1].text if request.messages and request.messages[-1].role == "assistant" else ""
        asked = "\n".join(message.text for message in request.messages if message.role == "user")
        if request.sampling.stop or request.sampling.grammar:
            raise CallError(f"{self.name} takes no stop strings and no grammar: leave them out")
        try:
            self.check(asked)
        except OptionError as error:
            raise CallError(f"{self.name}: {error}") from None
        return _Draft(f"{read_puzzle(asked)} {self._mode}", _known(begun), request)


def _known(text: str) -> str:
    """The words of a text that the model knows: what a strategy says to a reader of English is left out."""
    return " ".join(word for word in text.replace("Answer:", ANSWER).split() if word in ID)


class _Draft:
    """A completion as it grows, in one part or in more: where its thinking is ended by force, the answer is another."""

    def __init__(self, asked: str, begun: str, request: Request) -> None:
        sampling = request.sampling
        if begun and not begun.startswith((OPEN, "Answer")):
            begun = f"{OPEN} {begun}"
        self._request = request
        self._text = f"{asked} {begun or (OPEN if sampling.thinking_budget != 0 else ANSWER)}"
        self._open = OPEN in self._text.split() and CLOSED not in self._text.split()
        self._thought = self._answered = self._output = 0
        self._prompt: Usage | None = None
        self.finish: Finish | None = None

    def next_part(self) -> Request:
        """What the engine is asked next."""
        most = self._room(thinking=self._open)
        if self._open and most < 1:
            self._close()
            most = self._room(thinking=False)
        sampling = replace(self._request.sampling, max_tokens=max(1, most), thinking_budget=None)
        return replace(self._request, messages=(Message("user", self._text),), sampling=sampling, cap=None)

    def take(self, event: StreamEvent) -> StreamEvent | None:
        """What an event of the engine's says to whoever asked, if it says something."""
        if isinstance(event, TokenDelta):
            return self._token(event)
        if isinstance(event, UsageUpdate):
            self._output += event.usage.output_tokens
            if self._prompt is not None:
                return None
            self._prompt = event.usage
            return event
        if isinstance(event, Finish):
            self._ended(event)
        return None

    @property
    def usage(self) -> Usage:
        """The whole completion's: its prompt is what was asked, however often the engine read it."""
        output = max(self._output, self._thought + self._answered)
        return replace(self._prompt or Usage(), output_tokens=output, thinking_tokens=self._thought)

    def _room(self, *, thinking: bool) -> int:
        """How many tokens the next part may have."""
        sampling, cap = self._request.sampling, self._request.cap
        left = CONTEXT - len(self._text.split()) - 1
        if thinking:
            budget = left if sampling.thinking_budget is None else sampling.thinking_budget - self._thought
            most = min(left - ANSWER_ROOM, budget)
        else:
            most = min(left, sampling.max_tokens - self._answered)
        return most if cap is None else min(most, cap - self._thought - self._answered)

    def _token(self, token: TokenDelta) -> TokenDelta:
        self._text += token.text
        if not self._open:
            self._answered += 1
            if self._answered == self._request.sampling.max_tokens:  # The engine's part may hold more: it thought too.
                self._end(Finish("length", served_model=WEIGHTS.name, logprob_stage=LOGPROB_STAGE))
            return token
        self._thought += 1
        if token.text.strip() != CLOSED:
            return replace(token, channel="thinking")
        self._open = False
        return replace(token, channel="thinking", text="")

    def _close(self) -> None:
        self._open = False
        self._text += f" {CLOSED}"

    def _ended(self, finish: Finish) -> None:
        spent = self._request.cap is not None and self._thought + self._answered >= self._request.cap
        if finish.reason == "length" and self._open and not spent:
            self._close()
        elif finish.reason != "length" or spent or self._room(thinking=False) < 1:
            self._end(finish)

    def _end(self, finish: Finish) -> None:
        self.finish = replace(finish, visibility="full" if self._thought else "none")
