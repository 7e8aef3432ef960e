"""A hosted model against a real server on loopback: its key, its limits, its connections, and many in one request."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

import tttlab
from tests.models.loopback import Reply, loopback
from tests.models.test_faults import KEY, QUICK, REQUEST, called, model_of
from tests.models.wire.healthy import ANSWER, texts_of
from tttlab import errors
from tttlab.models import conduct, transport
from tttlab.models.conduct import Conduct, delay_of
from tttlab.models.rates import Rate, rate
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.protocols import Model, recorded_facts
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.types import Capabilities, Message, Price, Sampling

CHAT = OpenAiChat()
WHOLE = Reply(texts_of(CHAT))
DRAWS = Capabilities(n=True, seed=True, takes=("temperature", "stop"))


def chat(address, **options):
    return model_of(CHAT, address, **options)


def choice(index, text="", finish=None):
    delta = {"content": text} if text else {}
    return "data: " + json.dumps({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}) + "\n\n"


DONE = "data: [DONE]\n\n"


def test_it_is_a_model_that_shows_no_key():
    model = chat("http://127.0.0.1:9/v1/", price=Price(prompt=1, output=2))
    assert isinstance(model, Model)
    assert model.name == "test:m1@http://127.0.0.1:9/v1"
    assert chat("http://127.0.0.1:9").name == "test:m1"
    assert model.server == ("127.0.0.1", 9)
    said = f"{model!r} {recorded_facts(model)} {vars(model)}"
    assert KEY not in said
    assert model.describe()["model"] == "m1"


def test_the_key_is_asked_for_with_each_request():
    keys = iter(["sk-first-11111", "sk-second-2222"])

    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address, key=lambda: next(keys))
            await called(model)
            await called(model)
            return [asked.headers["authorization"] for asked in host.asked]

    assert asyncio.run(main()) == ["Bearer sk-first-11111", "Bearer sk-second-2222"]


def test_a_host_that_asks_for_no_key_is_sent_none():
    async def main():
        async with loopback(WHOLE) as host:
            await called(chat(host.address, key=lambda: ""))
            return host.asked[0].headers

    assert "authorization" not in asyncio.run(main())


def test_a_key_that_is_missing_is_told_before_anything_is_sent():
    def missing():
        raise errors.CredentialError("there is no key", provider="test", model="*")

    async def main():
        async with loopback(WHOLE) as host:
            return await called(chat(host.address, key=missing)), host.asked

    (_, error), asked = asyncio.run(main())
    assert type(error) is errors.CredentialError
    assert asked == []


def test_a_cancelled_call_closes_its_request_at_once():
    async def main():
        async with loopback(Reply(texts_of(CHAT)[:2], stall_after=2)) as host:
            async with aclosing(chat(host.address).stream(REQUEST)) as events:
                async for _ in events:
                    break
            await host.seen(lambda host: host.closed_early == 1)
            task = asyncio.create_task(called(chat(host.address)))
            await host.seen(lambda host: len(host.asked) == 2)
            task.cancel()
            await host.seen(lambda host: host.closed_early == 2)
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_a_cancelled_call_that_waits_to_be_made_again_ends():
    async def main():
        async with loopback(Reply(["{}"], status=500, kind="application/json", headers={"retry-after": "50"})) as host:
            task = asyncio.create_task(called(chat(host.address)))
            await host.seen(lambda host: len(host.asked) == 1)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_each_loop_has_its_own_connections_and_closes_them():
    async def main():
        async with loopback(WHOLE) as host:
            fold, error = await called(chat(host.address))
            assert error is None
            assert len(transport._loops) == 1
        return fold.completion().text

    assert [asyncio.run(main()) for _ in range(3)] == [ANSWER] * 3
    assert transport._loops == {}
    gc.collect()


PROGRAM = """
import asyncio, atexit, os, sys, threading, warnings
warnings.simplefilter("error")
sys.path.insert(0, {here!r})
atexit.register(lambda: print(len(sys.modules["tttlab.models.transport"]._loops), "left"))
from tests.models.test_hosted import WHOLE, called, chat, loopback
from tttlab.portal import portal

async def main():
    async with loopback(WHOLE) as host:
        print((await called(chat(host.address)))[0].completion().text, flush=True)

async def in_child():
    async with loopback(WHOLE) as host:
        await called(chat(host.address))
        if (child := os.fork()) == 0:
            # The child has its parent's memory, and none of its loops or threads.
            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            thread.join()
            sys.stdout.flush()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        print((await called(chat(host.address)))[0].completion().text)

if sys.argv[1] == "fork":
    asyncio.run(in_child())
else:
    portal().call(main)  # A loop that nobody ends.
"""


@pytest.mark.parametrize("how", ["portal", "fork"])
def test_nothing_is_left_open_at_the_end_of_a_process(how, request):
    if how == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    program = PROGRAM.format(here=str(request.config.rootpath))
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, how],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert ran.stdout.decode().split("\n")[:-1] == [ANSWER, "0 left"] * (2 if how == "fork" else 1)
    assert "Unclosed" not in ran.stderr.decode()
    assert "ResourceWarning" not in ran.stderr.decode()
    assert ran.returncode == 0


def test_proxies_of_the_environment_are_for_hosts_that_are_not_here(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert transport._proxy("https://api.test/v1") == "http://127.0.0.1:9"
    assert [transport._proxy(f"http://{here}:1/v1") for here in ("127.0.0.1", "localhost", "[::1]")] == [None] * 3
    monkeypatch.setenv("no_proxy", "api.test")
    assert transport._proxy("https://api.test/v1") is None

    async def main():
        async with loopback(WHOLE) as host:
            return await called(chat(host.address))

    assert asyncio.run(main())[1] is None


def test_a_proxy_is_asked():
    async def main():
        async with loopback(WHOLE) as proxy:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("http_proxy", proxy.address)
                patch.delenv("no_proxy", raising=False)
                patch.delenv("NO_PROXY", raising=False)
                fold, error = await called(chat("http://host.test/v1"))
            return fold.completion().text, error, proxy.asked[0].path

    assert asyncio.run(main()) == (ANSWER, None, "http://host.test/v1/chat/completions")


def test_what_cannot_be_an_address_is_told():
    _, error = asyncio.run(called(chat("ftp://127.0.0.1:9")))
    assert type(error) is errors.UnreachableError


def test_half_a_character_in_a_prompt_is_sent():
    request = replace(REQUEST, messages=(Message("user", "half \ud83d"),))

    async def main():
        async with loopback(WHOLE) as host:
            return await called(chat(host.address), request), host.asked[0].body

    (_, error), body = asyncio.run(main())
    assert error is None
    assert body["messages"][0]["content"] == "half \ud83d"


# --- limits ---


def test_a_slow_stream_is_waited_for_as_long_as_it_goes_on():
    limits = replace(QUICK, first_token_seconds=0.4, silent_seconds=0.4)

    async def main():
        async with loopback(Reply([*[choice(0, "a")] * 12, choice(0, finish="stop"), DONE], gap=0.06)) as host:
            return await called(chat(host.address, conduct=limits))

    fold, error = asyncio.run(main())
    assert error is None
    assert fold.completion().text == "a" * 12


def test_pings_are_no_tokens():
    limits = replace(QUICK, first_token_seconds=0.3, attempts=1)

    async def main():
        async with loopback(Reply([": ping\n\n"] * 100, gap=0.05)) as host:
            return await called(chat(host.address, conduct=limits))

    assert type(asyncio.run(main())[1]) is errors.StalledError


def test_a_rate_spreads_what_is_asked():
    limit = Rate()
    waits = [limit.take(1, 60) for _ in range(5)]
    assert waits == pytest.approx([0, 0, 1, 2, 3], abs=0.05)
    limit.give_back(2, 60)
    assert limit.take(1, 60) == pytest.approx(2, abs=0.05)


def test_a_rate_holds_in_all_threads_and_loops():
    """Twelve calls in three loops at once, at 40 a second: what is left of a second's burst does not hide the limit."""
    limits = replace(QUICK, requests_per_minute=40 * 60)
    started: list[float] = []

    def run(address):
        async def main():
            model = chat(address, conduct=limits)
            results = await asyncio.gather(*(called(model) for _ in range(30)))
            assert all(error is None for _, error in results)

        asyncio.run(main())

    async def main():
        async with loopback(WHOLE) as host:
            before = time.monotonic()
            await asyncio.gather(*(asyncio.to_thread(run, host.address) for _ in range(3)))
            started.append(time.monotonic() - before)
            return len(host.asked)

    assert asyncio.run(main()) == 90
    assert started[0] >= (90 - 40 - 1) / 40


def test_the_tokens_of_a_call_are_counted_as_the_host_counts_them():
    limits = replace(QUICK, tokens_per_minute=60_000)

    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address, conduct=limits)
            for _ in range(3):
                await called(model, replace(REQUEST, sampling=Sampling(max_tokens=900)))
            return rate(model.address, "tokens").take(0, 60_000)

    # Ten tokens each were used. As many as were allowed, 2,700, would have to be waited for.
    assert asyncio.run(main()) == 0


def test_options_say_how_hosts_are_treated(monkeypatch):
    assert Conduct.configured() == Conduct()
    tttlab.configure(requests_per_minute=50, attempts=2, silent_seconds="none")
    monkeypatch.setenv("TTTLAB_FIRST_TOKEN_SECONDS", "7")
    found = Conduct.configured()
    assert (found.requests_per_minute, found.attempts, found.first_token_seconds) == (50, 2, 7)
    assert found.silent_seconds > 3600
    for wrong in ("-1", "0", "many", "nan", "inf"):
        tttlab.configure(requests_per_minute=wrong)
        with pytest.raises(errors.OptionError, match=r"requests_per_minute is a number greater than 0.*\(configured\)"):
            Conduct.configured()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_forms_of_retry_after(headers, seconds):
    assert delay_of(headers) == seconds


def test_a_date_in_retry_after_is_waited_for():
    from email.utils import formatdate

    assert delay_of({"retry-after": formatdate(time.time() + 30, usegmt=True)}) == pytest.approx(30, abs=2)


def test_waits_grow_and_are_not_all_the_same():
    waits = conduct._Waits(0.5)
    error = errors.OverloadedError("x", provider="p", model="m")

    def wait(attempt):
        from tenacity import Future, RetryCallState

        state = RetryCallState(None, None, (), {})
        state.attempt_number = attempt
        state.outcome = Future(attempt)
        state.outcome.set_exception(error)
        return waits(state)

    assert len({wait(1) for _ in range(20)}) > 10
    assert max(wait(1) for _ in range(50)) <= 0.5 < max(wait(4) for _ in range(50)) <= 4


# --- many in one ---


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


# --- stop strings ---


def stopped_by(*stops, pieces=("I say ", "56 E", "N", "D and more")):
    async def main():
        reply = Reply([*(choice(0, piece) for piece in pieces)], stall_after=len(pieces))
        async with loopback(reply) as host:
            fold, error = await called(
                chat(host.address), replace(REQUEST, sampling=Sampling(max_tokens=9, stop=tuple(stops)))
            )
            if error is None:
                await host.seen(lambda host: host.closed_early == 1)
            return fold, host.asked[0].body

    return asyncio.run(main())


def test_a_stop_string_that_is_split_ends_the_answer_before_it():
    fold, body = stopped_by("END")
    assert "stop" not in body
    assert fold.completion().text == "I say 56 "
    assert fold.completion().finish_reason == "stop"
    assert "stop strings were looked for" in fold.completion().notes[0]


def test_the_first_of_several_stop_strings_counts():
    assert stopped_by("more", "END", pieces=["It is 56 END and more", " and"])[0].completion().text == "It is 56 "


def test_what_only_begins_a_stop_string_is_given_in_the_end():
    async def main():
        body = [choice(0, "Well, EN"), choice(0, "E, E"), choice(0, finish="stop"), DONE]
        async with loopback(Reply(body)) as host:
            return await called(chat(host.address), replace(REQUEST, sampling=Sampling(max_tokens=9, stop=("END",))))

    fold, _ = asyncio.run(main())
    assert fold.completion().text == "Well, ENE, E"
    assert fold.finish.reason == "stop"


def test_a_host_that_takes_stop_strings_is_sent_them():
    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address, can=Capabilities(takes=("stop",)))
            await called(model, replace(REQUEST, sampling=Sampling(max_tokens=9, stop=("END",))))
            return host.asked[0].body["stop"]

    assert asyncio.run(main()) == ["END"]
