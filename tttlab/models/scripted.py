"""A model that follows a script: for tests, for teaching, and for trying a strategy without a model."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import anyio

from tttlab.errors import CallError
from tttlab.events import NO_ALTERNATIVES, Alternatives, ChunkDelta, Finish, StreamEvent, TokenDelta, UsageUpdate
from tttlab.types import Capabilities, Channel, Price, Request, Usage, Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One thing that a scripted model says, and how. A word, with the space before it, counts as a token."""

    text: str
    thinking: str = ""
    visibility: Visibility = "full"
    """Of the thinking: `full` streams it; `omitted` and `encrypted` count it and show nothing."""
    logprob: float | None = None
    """The log-probability of every token; None gives none."""
    seconds_per_token: float = 0.0
    chunk: int | None = None
    """Stream pieces of this many words, of unknown token boundaries, as some hosts do."""
    fail_after: int | None = None
    """Fail with a `CallError` after this many tokens."""
    stall_after: int | None = None
    """Say nothing more after this many tokens, until cancelled."""


class ScriptedModel:
    """Says what its script says.

    `replies` is one reply, or several of which each call's seed draws one (so that a list is a distribution: `["56",
    "56", "54"]` says 56 two times in three, reproducibly), or a function of the request. `in_flight` and `started`
    count streams that are open and that were ever opened.
    """

    def __init__(
        self,
        replies: str | Reply | Sequence[str | Reply] | Callable[[Request], str | Reply] = "The answer is 56.",
        *,
        name: str = "scripted",
        price: Price | None = None,
        can: Capabilities = Capabilities(seed=True, logprobs=True, prefix=True, thinking=True),  # noqa: B008 - frozen
    ) -> None:
        self.name = name
        self.provider = "tttlab"
        self.price = price
        self.can = can
        self.in_flight = 0
        self.started = 0
        self._replies = replies

    def __repr__(self) -> str:
        return f"<scripted model {self.name!r}>"

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Follow the script for one request. Raises `CallError` where the script says so."""
        reply = self._reply(request)
        self.in_flight += 1
        self.started += 1
        try:
            prompt_tokens = sum(len(message.text.split()) for message in request.messages)
            yield UsageUpdate(Usage(prompt_tokens=prompt_tokens))
            said = answered = 0
            for channel, words in _pieces(reply, request.sampling.thinking_budget):
                if answered >= request.sampling.max_tokens or said == request.cap:
                    yield Finish("length", reply.visibility if reply.thinking else "none", self.name)
                    return
                await self._pause(reply, said)
                said += len(words)
                answered += len(words) if channel == "answer" else 0
                if channel == "answer" or reply.visibility == "full":
                    yield _delta(reply, channel, words)
                else:
                    yield UsageUpdate(Usage(prompt_tokens=prompt_tokens, output_tokens=said, thinking_tokens=said))
            await self._pause(reply, said, more=False)
            yield Finish("stop", reply.visibility if reply.thinking else "none", self.name, "before_sampling")
        finally:
            self.in_flight -= 1

    def _reply(self, request: Request) -> Reply:
        said = self._replies
        if callable(said):
            said = said(request)
        elif not isinstance(said, (str, Reply)):
            said = Random(request.seed).choice(said)  # noqa: S311 - reproducible, not secret
        return Reply(text=said) if isinstance(said, str) else said

    async def _pause(self, reply: Reply, said: int, *, more: bool = True) -> None:
        if reply.fail_after is not None and said >= reply.fail_after:
            raise CallError(f"{self.name}: the script fails here, after {said} tokens")
        if reply.stall_after is not None and said >= reply.stall_after:
            await anyio.sleep_forever()
        if more:
            await anyio.sleep(reply.seconds_per_token)


def _pieces(reply: Reply, thinking_budget: int | None) -> Iterator[tuple[Channel, list[str]]]:
    for channel, text, most in (("thinking", reply.thinking, thinking_budget), ("answer", reply.text, None)):
        words = [word if index == 0 else f" {word}" for index, word in enumerate(text.split(" "))] if text else []
        step = reply.chunk or 1
        words = words[:most]
        for start in range(0, len(words), step):
            yield channel, words[start : start + step]  # type: ignore[misc]  # a literal that mypy widens


def _delta(reply: Reply, channel: Channel, words: list[str]) -> TokenDelta | ChunkDelta:
    if reply.chunk is not None:
        return ChunkDelta("".join(words), time.time_ns(), channel)
    [word] = words
    top = NO_ALTERNATIVES if reply.logprob is None else Alternatives((None,), (word,), (reply.logprob,))
    return TokenDelta(word, time.time_ns(), None, reply.logprob, top, channel)
