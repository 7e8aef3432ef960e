"""The recorded order: moments pass by their numbers whatever is ready when; what does not come is not waited for."""

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tttlab.clock import RunClock
from tttlab.order import Counter, Moment, RecordedOrder


class Trace:
    """Streams that each have some of the numbers, played at once; `passed` are the numbers in the order they came."""

    def __init__(self, streams, seed, *, time_is_up=lambda: False):
        self.counter = Counter()
        self.order = RecordedOrder(self.counter, self.passing, time_is_up)
        self.streams = streams
        self.random = Random(seed)
        self.passed = []

    async def passing(self, moment):
        pass

    async def stream(self, numbers):
        for number in numbers:
            for _ in range(self.random.randrange(6)):
                await asyncio.sleep(0)
            await self.order.turn(Moment(number, 0.0))
            self.passed.append(number)
            self.counter.next()

    async def play(self):
        await asyncio.wait_for(asyncio.gather(*map(self.stream, self.streams)), 20)
        return self.passed


@st.composite
def traces(draw):
    numbers = list(range(1, draw(st.integers(1, 40)) + 1))
    owners = draw(st.lists(st.integers(0, 4), min_size=len(numbers), max_size=len(numbers)))
    return [[number for number, owner in zip(numbers, owners, strict=True) if owner == each] for each in range(5)]


@settings(deadline=None, max_examples=60)
@given(traces(), st.integers())
def test_moments_pass_in_the_order_of_their_numbers_whatever_is_ready_when(streams, seed):
    assert asyncio.run(Trace(streams, seed).play()) == sorted(number for stream in streams for number in stream)


@settings(deadline=None, max_examples=30)
@given(traces(), st.sets(st.integers(1, 40), max_size=6), st.integers())
def test_what_does_not_come_is_not_waited_for_and_the_others_keep_their_order(streams, missing, seed):
    there = [[number for number in stream if number not in missing] for stream in streams]
    assert asyncio.run(Trace(there, seed).play()) == sorted(number for stream in there for number in stream)


def test_a_cut_call_returns_only_when_nothing_else_is_to_come():
    async def play():
        trace = Trace([[2, 3]], 0)
        cut = asyncio.create_task(trace.order.turn(Moment(1, 0.0, "cut")))
        await trace.play()
        assert not cut.done()
        await asyncio.wait_for(cut, 20)
        return trace.passed

    assert asyncio.run(play()) == [2, 3]


def test_calls_that_a_budget_of_time_cut_are_cut_at_their_place_by_the_clock():
    async def play():
        passed_then, fired = [], asyncio.Event()

        def time_is_up():
            passed_then.append(list(trace.passed))
            fired.set()
            return True

        trace = Trace([[1, 3]], 0, time_is_up=time_is_up)
        spent = asyncio.create_task(trace.order.turn(Moment(2, 0.0, "spent")))
        playing = asyncio.create_task(trace.play())
        await fired.wait()
        spent.cancel()
        return passed_then[0], await playing

    assert asyncio.run(play()) == ([1], [1, 3])


def test_while_something_takes_its_own_time_nothing_passes_out_of_its_turn():
    async def play():
        trace = Trace([[2]], 0)
        with trace.order.busy():
            playing = asyncio.create_task(trace.play())
            await asyncio.sleep(0.05)
            assert trace.passed == []
        return await playing

    assert asyncio.run(play()) == [2]


def test_a_held_clock_stands_still_and_then_goes():
    clock = RunClock(held=True)
    clock.advance(2.5)
    clock.advance(1.0)
    assert clock.now() == 2.5
    clock.go()
    assert 2.5 <= clock.now() < 30
