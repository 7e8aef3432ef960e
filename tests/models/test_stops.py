"""Stop strings for hosts that take none."""

import asyncio
from dataclasses import replace

from tests.models.chat_host import DONE, WHOLE, chat, choice
from tests.models.loopback import Reply, loopback
from tests.models.test_faults import REQUEST, called
from tttlab.types import Capabilities, Sampling


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
