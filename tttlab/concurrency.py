"""Tasks that run at once: awaited in order, or as they end, and cancelled together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

import anyio


def has_result(task: asyncio.Task[Any]) -> bool:
    """Whether the task has ended, and well."""
    return task.done() and not task.cancelled() and task.exception() is None


async def in_order(tasks: Sequence[asyncio.Task[Any]], order: Literal["index", "finished"]) -> AsyncIterator[int]:
    """The places of tasks that have ended, one by one: in the order of the tasks, or as they end."""
    if order == "index":
        for index, task in enumerate(tasks):
            await asyncio.wait([task])
            yield index
        return
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for index, task in enumerate(tasks):
            if task in done:
                yield index


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what runs and wait until it has ended, whatever cancels the caller meanwhile."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while any(not task.done() for task in running):
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError as error:  # By `Task.cancel`, from which no scope shields.
                cancelled = error
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
    if cancelled:
        raise cancelled
