"""What the engine says of a group reaches its samples, whatever it is."""

import asyncio
import math

import pytest

from tttlab.errors import CallError
from tttlab.events import Finish, TokenDelta
from tttlab.models.group import Group
from tttlab.models.sample import Sample
from tttlab.types import Message, Request


def events_of(*chunks):
    """The events of one sample that the engine gives these chunks."""

    async def main():
        sample = Sample(Request(messages=(Message("user", "?"),)), asyncio.get_running_loop())
        group = Group([sample], [0], str, lambda slots: None)
        for chunk in chunks:
            group.take(chunk)
        group.end(context=64)
        events = []
        while not events or not isinstance(events[-1], Finish):
            events.append(await sample.take())
        return events

    return asyncio.run(main())


def chunk(logprob, top, finish=None):
    entry = {
        "token": "a",
        "id": 1,
        "logprob": logprob,
        "top_logprobs": [{"id": index, "token": "a", "logprob": each} for index, each in enumerate(top)],
    }
    choice = {"index": 0, "logprobs": {"content": [entry]}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"completion_tokens": 2}, "model": "model.gguf"}


@pytest.mark.parametrize("nothing", [None, math.nan, -math.inf])
def test_a_logprob_that_is_no_number_is_left_out_and_noted(nothing):
    events = events_of(chunk(nothing, [nothing, -1.0, nothing]), chunk(-0.5, [-0.5, -2.0], "stop"))
    first, second = (event for event in events if isinstance(event, TokenDelta))
    assert (first.text, first.logprob, tuple(first.top)) == ("a", None, ((1,), ("a",), (-1.0,)))
    assert (second.logprob, second.top.logprobs) == (-0.5, (-0.5, -2.0))
    [note] = events[-1].notes
    assert "no numbers" in note


def test_an_error_of_the_engine_is_one_line():
    with pytest.raises(CallError, match=r"^the local engine: \[json\.exception\] type must be number, but is null$"):
        events_of({"error": {"message": "[json.exception] type must be number,\n  but is null\n"}})
