"""How hosts are treated: rates that the whole process shares, times to wait, and options that say them."""

import asyncio
import time
from dataclasses import replace

import pytest

import tttlab
from tests.models.chat_host import DONE, WHOLE, chat, choice
from tests.models.loopback import Reply, loopback
from tests.models.test_faults import QUICK, REQUEST, called
from tttlab import errors
from tttlab.models import conduct
from tttlab.models.conduct import Conduct, delay_of
from tttlab.models.rates import Rate, rate
from tttlab.types import Sampling


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
