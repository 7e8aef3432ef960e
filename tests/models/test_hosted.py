"""A hosted model against a real server on loopback: its key, its requests, its connections."""

import asyncio
import gc
import os
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace

import pytest

from tests.models.chat_host import CHAT, WHOLE, chat
from tests.models.loopback import Reply, loopback
from tests.models.test_faults import KEY, REQUEST, called
from tests.models.wire.healthy import ANSWER, texts_of
from tttlab import errors
from tttlab.models import transport
from tttlab.protocols import Model, recorded_facts
from tttlab.types import Message, Price


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
    before = set(transport._loops)  # That of earlier tests' runs.

    async def main():
        async with loopback(WHOLE) as host:
            fold, error = await called(chat(host.address))
            assert error is None
            assert set(transport._loops) - before == {asyncio.get_running_loop()}
        return fold.completion().text

    assert [asyncio.run(main()) for _ in range(3)] == [ANSWER] * 3
    assert set(transport._loops) == before
    gc.collect()


PROGRAM = """
import asyncio, atexit, os, sys, threading, warnings
warnings.simplefilter("error")
sys.path.insert(0, {here!r})
atexit.register(lambda: print(len(sys.modules["tttlab.models.transport"]._loops), "left"))
from tests.models.chat_host import WHOLE, chat
from tests.models.loopback import loopback
from tests.models.test_faults import called
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
