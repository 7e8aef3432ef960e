"""Several completions in one request: who is drawn together, and what becomes of one that ends."""

import asyncio
import json
from dataclasses import replace

import tttlab
from tests.models.chat_host import DONE, DRAWS, WHOLE, chat, choice
from tests.models.loopback import Reply, loopback
from tests.models.test_faults import REQUEST, called
from tttlab import errors
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.types import Sampling


def _three():
    """Three completions that come mixed; the first ends first."""
    return [
        *(choice(index, f"{word}{index}") for word in ("one ", "two ") for index in (0, 1, 2)),
        choice(0, finish="stop"),
        choice(2, "more"),
        *(choice(index, finish="stop") for index in (1, 2)),
        "data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9}}) + "\n\n",
        DONE,
    ]


def _seeded(*seeds):
    return [replace(REQUEST, seed=seed) for seed in seeds]


def test_calls_that_ask_the_same_are_drawn_in_one_request():
    async def main():
        async with loopback(Reply(_three())) as host:
            model = chat(host.address, can=DRAWS)
            results = await asyncio.gather(*(called(model, request) for request in _seeded(5, 6, 7)))
            return [fold.completion() for fold, _ in results], host.asked

    completions, [asked] = asyncio.run(main())
    assert (asked.body["n"], asked.body["seed"]) == (3, 5)
    assert [each.text for each in completions] == ["one 0two 0", "one 1two 1", "one 2two 2more"]
    assert [each.notes[-1] for each in completions] == [
        "choice 1 of 3 of one request, drawn with seed 5",
        "choice 2 of 3 of one request, drawn with seed 5: its own, 6, was not sent",
        "choice 3 of 3 of one request, drawn with seed 5: its own, 7, was not sent",
    ]
    assert sum(each.usage.prompt_tokens for each in completions) == 7
    assert sum(each.usage.output_tokens for each in completions) == 9


def test_calls_that_ask_otherwise_or_later_are_not_drawn_with_them():
    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address, can=DRAWS)
            other = replace(REQUEST, sampling=Sampling(max_tokens=8))
            await asyncio.gather(called(model), called(model, other))
            await called(model)
            await called(model)
            return [asked.body.get("n", 1) for asked in host.asked]

    assert asyncio.run(main()) == [1, 1, 1, 1]


def test_a_model_that_draws_one_at_a_time_is_asked_as_often():
    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address)
            await asyncio.gather(*(called(model) for _ in range(3)))
            return len(host.asked)

    assert asyncio.run(main()) == 3


def test_one_that_is_cancelled_ends_no_other():
    async def main():
        async with loopback(Reply(_three(), gap=0.02)) as host:
            model = chat(host.address, can=DRAWS)
            first, second, third = [asyncio.create_task(called(model, request)) for request in _seeded(5, 6, 7)]
            await host.seen(lambda host: len(host.asked) == 1)
            second.cancel()
            results = await asyncio.gather(first, third)
            return [fold.completion().text for fold, _ in results], len(host.asked), second.cancelled()

    assert asyncio.run(main()) == (["one 0two 0", "one 2two 2more"], 1, True)


def test_the_last_one_that_is_cancelled_closes_the_request():
    async def main():
        async with asyncio.timeout(10):
            await cancel()

    async def cancel():
        async with loopback(Reply(_three(), stall_after=3)) as host:
            model = chat(host.address, can=DRAWS)
            tasks = [asyncio.create_task(called(model, request)) for request in _seeded(5, 6, 7)]
            await host.seen(lambda host: len(host.asked) == 1)
            for task in tasks[:2]:
                task.cancel()
            await asyncio.wait(tasks[:2])
            assert host.closed_early == 0
            tasks[2].cancel()
            await asyncio.wait(tasks)
            await host.seen(lambda host: host.closed_early == 1)

    asyncio.run(main())


def test_an_error_comes_to_each_that_has_not_finished():
    async def main():
        broken = [*_three()[:7], "data: {]\n\n"]
        async with loopback(Reply(broken)) as host:
            model = chat(host.address, can=DRAWS)
            return await asyncio.gather(*(called(model, request) for request in _seeded(5, 6, 7)))

    results = asyncio.run(main())
    assert [fold.completion().text for fold, _ in results] == ["one 0two 0", "one 1two 1", "one 2two 2"]
    assert [type(error) for _, error in results][1:] == [errors.BrokenStreamError] * 2


def test_a_group_is_asked_again_as_one():
    async def main():
        async with loopback(Reply(["{}"], status=503, kind="application/json"), Reply(_three())) as host:
            model = chat(host.address, can=DRAWS)
            results = await asyncio.gather(*(called(model, request) for request in _seeded(5, 6, 7)))
            return [fold.completion().notes[0] for fold, _ in results], [asked.body["n"] for asked in host.asked]

    notes, counts = asyncio.run(main())
    assert counts == [3, 3]
    assert all(note.startswith("attempt 2: ") for note in notes)


def test_a_run_draws_its_samples_in_one_request():
    async def main():
        async with loopback(Reply(_three())) as host:
            model = chat(host.address, can=DRAWS)
            run = await tttlab.athink("What is 7 times 8?", strategy=SelfConsistency(samples=3), model=model)
            return run, len(host.asked)

    run, asked = asyncio.run(main())
    assert asked == 1
    assert run.usage.calls == 3


def test_all_that_are_cancelled_before_the_request_leave_none_open():
    async def main():
        async with loopback(Reply(_three(), stall_after=1)) as host:
            model = chat(host.address, can=DRAWS)
            tasks = [asyncio.create_task(called(model, request)) for request in _seeded(5, 6, 7)]
            for task in tasks:
                asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.wait(tasks)
            if host.asked:
                await host.seen(lambda host: host.closed_early == 1)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            return [task.cancelled() for task in tasks], [task for task in others if "_Group" in repr(task)]

    assert asyncio.run(main()) == ([True] * 3, [])
