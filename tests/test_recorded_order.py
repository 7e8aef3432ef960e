"""The order of a replay by itself: who is let through before whom."""

import asyncio

from tttlab.order import Counter, Moment, RecordedOrder


async def pass_at_once(moment):
    pass


def replayed(scene, *, counted):
    """What a scene made of the numbers that came, where so many things had happened before."""
    counter, came = Counter(value=counted), []
    order = RecordedOrder(counter, pass_at_once, lambda: False)

    async def come(number):
        await order.turn(Moment(number, 0.0))
        came.append(number)
        counter.next()

    asyncio.run(asyncio.wait_for(scene(come, counter), 10))
    return came


def test_nothing_passes_by_a_moment_that_may_go_on_and_has_not_yet():
    async def scene(come, counter):
        first = asyncio.create_task(come(41))
        await asyncio.sleep(0)
        counter.next()  # Now it may go on, and before it does
        counter.next()  # a call begins, which is not ranked, and counts as well.
        await come(42)
        await first

    assert replayed(scene, counted=39) == [41, 42]


def test_a_moment_that_is_cancelled_after_it_was_let_through_keeps_nobody_back():
    async def scene(come, counter):
        first = asyncio.create_task(come(41))
        second = asyncio.create_task(come(42))
        await asyncio.sleep(0)
        counter.next()
        first.cancel()
        await second

    assert replayed(scene, counted=39) == [42]


def test_what_does_not_come_is_not_waited_for():
    async def scene(come, counter):
        await asyncio.gather(come(9), come(7))

    assert replayed(scene, counted=0) == [7, 9]
