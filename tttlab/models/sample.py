"""One sample that the local engine generates: its thread puts events in, one stream takes them out."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from tttlab.errors import ModelError
from tttlab.events import StreamEvent, TokenDelta
from tttlab.types import Request

TOGETHER_SECONDS = 0.04
"""Tokens that come within this are handed over together: waking the event loop for each takes the engine's cores from
it (2 % of one stream's speed: 2026-11-25, 2 cores)."""


class Sample:
    """A stream's end in its event loop. `put`, `fail` and `closed` may be used from any thread."""

    __slots__ = ("_events", "_next_wake", "_ready", "_waking", "closed", "finished", "loop", "request")

    def __init__(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.loop = loop
        self.closed = False
        self.finished = False
        self._events: deque[StreamEvent | ModelError] = deque()
        self._ready = asyncio.Event()
        self._waking = False
        self._next_wake = 0.0

    def put(self, event: StreamEvent | ModelError) -> None:
        """Hand an event over, at once or with those that follow."""
        self._events.append(event)
        now = time.monotonic()
        if self._waking or (now < self._next_wake and isinstance(event, TokenDelta)):
            return
        self._waking = True
        self._next_wake = now + TOGETHER_SECONDS
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # The loop was closed with the stream still open.
            self.closed = True

    async def take(self) -> StreamEvent:
        """The next event. Raises the `ModelError` that ended the sample, if one did."""
        while not self._events:
            self._ready.clear()
            await self._ready.wait()
        event = self._events.popleft()
        if isinstance(event, ModelError):
            raise event
        return event

    def _wake(self) -> None:
        # Before the event is set: what is put from now on schedules a wake of its own.
        self._waking = False
        self._ready.set()
