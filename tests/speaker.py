"""A model whose every delivery a test can hold back, for tests of what runs above models."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from tttlab.errors import CallError
from tttlab.events import Alternatives, Finish, TokenDelta, UsageUpdate
from tttlab.types import Capabilities, Usage


class Speaker:
    """Says `reply(request)`, a word a token, and waits `pause(request, position)` seconds before each word.

    `prompt_tokens` are charged first. A reply that is an exception is raised. `in_flight` counts open streams.
    """

    name = "speaker"
    can = Capabilities(seed=True, logprobs=True, prefix=True)

    def __init__(
        self,
        reply: Callable | str = "The answer is 56",
        *,
        pause: Callable | None = None,
        prompt_tokens: int = 3,
        price=None,
        name: str = "speaker",
    ):
        self.reply = reply if callable(reply) else lambda request: reply
        self.pause = pause
        self.prompt_tokens = prompt_tokens
        self.price = price
        self.name = name
        self.in_flight = 0
        self.started = 0
        self.requests = []

    async def stream(self, request):
        self.in_flight += 1
        self.started += 1
        self.requests.append(request)
        try:
            yield UsageUpdate(Usage(prompt_tokens=self.prompt_tokens))
            reply = self.reply(request)
            for position, word in enumerate(reply.split(" ") if isinstance(reply, str) else []):
                await anyio.sleep(self.pause(request, position) if self.pause else 0)
                text = word if position == 0 else f" {word}"
                yield TokenDelta(text, time.time_ns(), position, -0.5, Alternatives((position,), (text,), (-0.5,)))
            if isinstance(reply, Exception):
                raise reply
            yield Finish("stop", served_model=self.name)
        finally:
            self.in_flight -= 1


def answers(*values):
    """A reply that gives the i-th of these answers to the sample whose seed counts i from the first one's."""
    first = {}

    def reply(request):
        base = first.setdefault(request.messages, request.seed)
        value = values[(request.seed - base) % len(values)]
        return value if isinstance(value, Exception) else f"The answer is {value}"

    return reply


def fault(message="the line went dead"):
    return CallError(message)
