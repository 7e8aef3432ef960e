"""Several completions in one request: calls that ask the same in the same turn of the event loop are drawn together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from tttlab.events import Finish, StreamEvent
from tttlab.models.asking import Numbered
from tttlab.types import Request

Draw = Callable[[Request, int], AsyncGenerator[Numbered, None]]
"""Draws as many completions of a request in one."""
_Told = StreamEvent | BaseException | None
"""None is the end."""


class Together:
    """The groups of one model that gather calls now."""

    def __init__(self, draw: Draw, most: int) -> None:
        """`most` is how many completions the host draws in one request."""
        self._draw = draw
        self._most = most
        self._gathering: dict[tuple[asyncio.AbstractEventLoop, Request], _Group] = {}

    async def member(self, request: Request) -> Member | None:
        """A place among the calls that ask the same now; None where no other does."""
        loop = asyncio.get_running_loop()
        key = (loop, replace(request, seed=None))
        group = self._gathering.get(key)
        if group is None:
            group = self._gathering[key] = _Group(request, self._draw)
            # All tasks that were started together have run once when what is called soon is called.
            loop.call_soon(self._close, key, group)
        member = Member(group, request.seed)
        group.members.append(member)
        if len(group.members) == self._most:
            self._close(key, group)
        try:
            await group.closed.wait()
        except asyncio.CancelledError:
            member.leave()
            raise
        return member if len(group.members) > 1 else None

    def _close(self, key: tuple[asyncio.AbstractEventLoop, Request], group: _Group) -> None:
        if self._gathering.get(key) is group:
            del self._gathering[key]
        group.close()


class _Group:
    """Calls that are drawn in one request."""

    def __init__(self, request: Request, draw: Draw) -> None:
        self.request = request
        self.members: list[Member] = []
        self.closed = asyncio.Event()
        self._draw = draw
        self._task: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self.closed.is_set():
            return
        self.members = [member for member in self.members if not member.left]
        if len(self.members) > 1:
            self._task = asyncio.create_task(self._run())
        self.closed.set()

    def leave(self) -> None:
        """One member listens no more: the last one to do so closes the request."""
        if self._task is not None and all(member.left for member in self.members):
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until the request is closed, where none listens any more."""
        if self._task is not None and all(member.left for member in self.members):
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        end: BaseException | None = None
        try:
            async with aclosing(self._draw(self.request, len(self.members))) as events:
                async for number, event in events:
                    self.members[number].tell(event)
        except Exception as error:  # noqa: BLE001 - each member raises it in its own call
            end = error
        finally:
            for member in self.members:
                member.tell(end)


class Member:
    """One call of a group."""

    def __init__(self, group: _Group, seed: int | None) -> None:
        self._group = group
        self._seed = seed
        self._queue: asyncio.Queue[_Told] = asyncio.Queue()
        self.left = False

    def tell(self, told: _Told) -> None:
        """Give the call what comes next for it."""
        if not self.left:
            self._queue.put_nowait(told)

    async def events(self, notes: tuple[str, ...]) -> AsyncGenerator[StreamEvent, None]:
        """The events of this call's completion, with its own notes. To leave it ends no other's."""
        try:
            while (told := await self._queue.get()) is not None:
                if isinstance(told, BaseException):
                    raise told
                yield replace(told, notes=(*notes, *told.notes, self._note())) if isinstance(told, Finish) else told
        finally:
            self.leave()
            await self._group.ended()

    def leave(self) -> None:
        """Listen no more."""
        self.left = True
        self._group.leave()

    def _note(self) -> str:
        members, drawn = self._group.members, self._group.request.seed
        said = f"choice {members.index(self) + 1} of {len(members)} of one request, drawn with seed {drawn}"
        return said if drawn == self._seed else f"{said}: its own, {self._seed}, was not sent"
