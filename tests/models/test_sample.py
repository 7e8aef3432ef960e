"""How a local engine's thread hands tokens to an event loop: few wakes, nothing late at either end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tttlab.events import Finish, StreamEvent, TokenDelta
from tttlab.models import sample as module
from tttlab.models.sample import Sample
from tttlab.types import Message, Request

ASKED = Request(messages=(Message("user", "Why?"),))


class Stream:
    """Takes what the sample hands over, as a model's stream does."""

    def __init__(self) -> None:
        self.sample = Sample(ASKED, asyncio.get_running_loop())
        self.taken: list[StreamEvent] = []
        self.reading = asyncio.create_task(self.read())

    async def read(self) -> None:
        while not self.taken or not isinstance(self.taken[-1], Finish):
            self.taken.append(await self.sample.take())

    async def put(self, *events: StreamEvent) -> list[StreamEvent]:
        """What the stream has in the end, if a thread puts these."""
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: [self.sample.put(event) for event in events])
        thread.start()
        thread.join()
        for _ in range(3):  # The wake, the event, the reader.
            await asyncio.sleep(0)
        return self.taken


def token(text: str) -> TokenDelta:
    return TokenDelta(text, time_ns=0)


def streamed(puts: Sequence[Sequence[StreamEvent]]) -> list[int]:
    """How many events the stream has after each of the puts."""

    async def stream() -> list[int]:
        taker = Stream()
        counts = [len(await taker.put(*events)) for events in puts]
        taker.reading.cancel()
        return counts

    return asyncio.run(stream())


def test_the_first_token_and_the_end_come_at_once_and_those_between_come_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TOGETHER_SECONDS", 3600.0)
    assert streamed([[token("a")], [token("b"), token("c")], [Finish("stop")]]) == [1, 1, 4]


def test_a_token_that_comes_later_is_not_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER_SECONDS", 0.0)
    assert streamed([[token("a")], [token("b")]]) == [1, 2]
