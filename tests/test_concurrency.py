"""What runs at once is waited for to its end, whoever cancels whom meanwhile, and no task's error is lost."""

import asyncio
import gc

import anyio.lowlevel
import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import Budget
from tttlab.concurrency import cancel_all
from tttlab.errors import CallError
from tttlab.events import TokenDelta


async def slow_to_end(ended):
    try:
        await asyncio.sleep(60)
    finally:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(True)
        raise ValueError("the end failed")


def test_who_is_cancelled_while_it_ends_its_tasks_ends_them_first():
    async def scene():
        lost, ended = [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context["message"]))
        tasks = [asyncio.create_task(slow_to_end(ended)) for _ in range(2)]
        await asyncio.sleep(0)
        ending = asyncio.create_task(cancel_all(tasks))
        for _ in range(3):  # As anyio does at each turn until a scope is left, through `gather`.
            await asyncio.sleep(0)
            ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert ended == [True, True]
        del tasks
        gc.collect()
        return lost

    assert asyncio.run(scene()) == []


class SlowToClose(Speaker):
    """Its streams take a while to close, and fail in that."""

    closed = 0

    async def stream(self, request):
        try:
            for position in range(20):
                await anyio.lowlevel.checkpoint()
                yield TokenDelta(f" w{position}", 1, position, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.005)
            self.closed += 1
            raise CallError("could not be closed")


def test_a_limit_around_a_map_leaves_no_call_running_and_no_error_unseen(caplog):
    model = SlowToClose()

    async def mapped(problem, think):
        async def one(number):
            await think.complete(f"{problem.prompt} {number}", n=2)

        with think.limit(Budget(tokens=20)) as limit:
            await think.map(one, range(3))
        return think.propose(f"{limit.exhausted}, {model.closed} closed")

    run = tttlab.think("7 * 8?", strategy=mapped, model=model, replay="off")
    gc.collect()
    assert run.answer == "tokens, 6 closed"
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
