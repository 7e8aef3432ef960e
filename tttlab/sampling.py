"""Drawing samples: calls are made ready, run at once, and given to the strategy in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from tttlab.branches import Place
from tttlab.call import Call, CallContext
from tttlab.checks import at_least
from tttlab.concurrency import cancel_all, has_result, in_order
from tttlab.errors import CallError, OptionError, nearest
from tttlab.identity import IdentityCounter, call_seed, request_digest
from tttlab.protocols import Watch
from tttlab.types import SAMPLING_OPTIONS, Channel, Completion, Prompt, Request, Sampling, as_messages

Order = Literal["index", "finished"]
Give = Callable[[Call, Completion], None]
"""Told of each completion right before the strategy is given it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What is drawn: `n` completions of a prompt."""

    prompt: Prompt
    n: int
    sampling: Sampling
    role: str
    channel: Channel | None
    stop_when: Callable[[], Watch] | None

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        if self.stop_when is not None and not callable(self.stop_when):
            raise OptionError(f"stop_when={self.stop_when!r} makes no watch: give a function without parameters")


def calls_of(draw: Draw, context: CallContext, place: Place, seed: int, identities: IdentityCounter) -> list[Call]:
    """The calls of a draw, each with its identity and its seed; none has started."""
    messages = as_messages(draw.prompt)
    digest = request_digest(context.model.name, messages, draw.sampling)
    return [
        Call(
            context,
            identity=identity,
            role=draw.role,
            channel=draw.channel,
            meter=place.meter,
            parent=place.span,
            request=Request(messages=messages, sampling=draw.sampling, seed=call_seed(seed, identity)),
            watch=draw.stop_when() if draw.stop_when else None,
        )
        for identity in identities.take(digest, place.branch.path, draw.n)
    ]


@asynccontextmanager
async def running(calls: Sequence[Call], order: Order, give: Give) -> AsyncIterator[AsyncIterator[Completion]]:
    """Run the calls at once and iterate over what they give; leaving the block cancels those that still run."""
    tasks = [asyncio.create_task(call.run(), name="tttlab-call") for call in calls]
    try:
        async with aclosing(_delivering(calls, tasks, order, give)) as completions:
            yield completions
    finally:
        await cancel_all(tasks)
        for call in calls:
            call.discard()


async def _delivering(
    calls: Sequence[Call], tasks: Sequence[asyncio.Task[Completion]], order: Order, give: Give
) -> AsyncGenerator[Completion]:
    failures: list[CallError] = []
    left = dict(enumerate(tasks))
    try:
        async for index in _places(calls, tasks, order):
            await calls[index].turn_to_deliver()
            try:
                completion = left.pop(index).result()
            except CallError as error:
                failures.append(error)
                continue
            give(calls[index], completion)
            yield completion
    except asyncio.CancelledError:
        # A run that is cut is still given what has finished: it was paid for, and may change the best answer.
        for index in [index for index, task in left.items() if has_result(task)]:
            completion = left[index].result()
            give(calls[index], completion)
            yield completion
        raise
    if failures and len(failures) == len(tasks):
        raise failures[0]


async def _places(calls: Sequence[Call], tasks: Sequence[asyncio.Task[Completion]], order: Order) -> AsyncIterator[int]:
    """The places of tasks that have ended; as they ended in the record, where one run recorded them."""
    if order == "index":
        async for index in in_order(tasks, order):
            yield index
        return
    await asyncio.sleep(0)  # By now each has begun, and knows whether it is recorded.
    recorded = {index: call.record for index, call in enumerate(calls) if call.record and call.record.delivered}
    if len({record.run_id for record in recorded.values()}) > 1:
        recorded = {}  # Numbers of two runs say nothing about each other.
    for index in sorted(recorded, key=lambda each: recorded[each].delivered or 0):
        await asyncio.wait([tasks[index]])
        yield index
    rest = [index for index in range(len(tasks)) if index not in recorded]
    async for place in in_order([tasks[index] for index in rest], order):
        yield rest[place]


def with_options(sampling: Sampling, options: Mapping[str, Any]) -> Sampling:
    """The sampling with these options set. Raises `OptionError` for one that there is not."""
    for name in options:
        if name not in SAMPLING_OPTIONS:
            raise OptionError(f"sampling has no option {name!r}{nearest(name, SAMPLING_OPTIONS)}")
    return replace(sampling, **options)
