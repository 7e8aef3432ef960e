"""The order in which things happen in a run, and its replay: what came next in the record comes next now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

SETTLING = 24
"""Turns of the event loop in which nothing happens, after which what the record has next is not waited for."""


@dataclass(slots=True)
class Counter:
    """The run-wide number of each thing that happens: what the strategy saw, in the order in which it saw it."""

    value: int = 0
    listen: Callable[[], None] = field(default=lambda: None)
    """Called after each number that is given."""

    def next(self) -> int:
        """The next number, from 1."""
        self.value += 1
        self.listen()
        return self.value


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: its number, and the seconds since the start of the run that recorded it.

    `kind` is `came` (a delivery, a call's end), or, where a record ends because its call was cancelled, `cut`, and
    `spent` if a budget did that.
    """

    number: int
    seconds: float
    kind: Literal["came", "cut", "spent"] = "came"


_Waiting = tuple[int, int, Moment, asyncio.Future[None]]


class RecordedOrder:
    """Lets each moment through when all before it have happened, by the run's own counter.

    Where the run goes another way, or what is waited for does not come, the lowest of those that wait is next.
    """

    def __init__(
        self, counter: Counter, passing: Callable[[Moment], Awaitable[None]], time_is_up: Callable[[], bool]
    ) -> None:
        """`passing` is awaited with each moment that is let through.

        `time_is_up` ends what the next deadline ends, where one is left: it is called when calls that a budget cut have
        come to their record's end, and nothing has cut them. It returns whether there was one.
        """
        self._counter = counter
        self._passing = passing
        self._time_is_up = time_is_up
        self._waiting: list[_Waiting] = []
        self._stuck: list[tuple[Moment, asyncio.Future[None]]] = []
        self._let: set[asyncio.Future[None]] = set()
        """Of the moments that may go on and have not done so yet: nobody passes them by."""
        self._asked = 0
        self._busy = 0
        self._pump: asyncio.Task[None] | None = None
        counter.listen = self._happened

    async def turn(self, moment: Moment) -> None:
        """Wait until it is this moment's turn. From a `cut` it returns only where nothing cuts the call again."""
        self._asked += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if moment.kind != "came":
            self._stuck.append((moment, future))
        else:
            heappush(self._waiting, (moment.number, self._asked, moment, future))
            self._happened()
        if not future.done() and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._keep_going(), name="tttlab-replay")
        try:
            await future
            with self.busy():
                await self._passing(moment)
        finally:
            # What follows it in this task is counted before anything else runs.
            self._let.discard(future)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While something happens that takes time by itself: nothing is let through out of its turn."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    def _happened(self) -> None:
        while self._waiting and not self._let:
            if not self._waiting[0][3].done() and self._waiting[0][0] > self._counter.value + 1:
                return
            self._let_first()

    def _let_first(self) -> None:
        future = heappop(self._waiting)[3]
        if not future.done():
            self._let.add(future)
            future.set_result(None)

    async def _keep_going(self) -> None:
        while True:
            await self._settle()
            self._stuck = [each for each in self._stuck if not each[1].done()]
            while self._waiting and self._waiting[0][3].done():
                heappop(self._waiting)
            first_cut = min((moment.number for moment, _ in self._stuck if moment.kind == "spent"), default=None)
            if self._waiting and (first_cut is None or self._waiting[0][0] < first_cut):
                self._let_first()
            elif first_cut is not None and self._time_is_up():
                continue
            elif self._waiting:
                self._let_first()
            elif self._stuck:
                for _, future in self._stuck:
                    future.set_result(None)
            else:
                return

    async def _settle(self) -> None:
        quiet, seen = 0, (self._asked, self._counter.value)
        while quiet < SETTLING:
            await asyncio.sleep(0.001 if self._busy else 0)
            now = (self._asked, self._counter.value)
            quiet = quiet + 1 if now == seen and not self._busy else 0
            seen = now
