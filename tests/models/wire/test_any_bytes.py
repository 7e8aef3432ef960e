"""Whatever comes, a decoder gives events or an error of the host's: never another exception, and it comes to an end."""

import itertools
import json
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.wire.formats import FORMATS
from tests.models.wire.healthy import ANSWER, frames_of, objects_of, texts_of
from tttlab.errors import HostError
from tttlab.events import Finish, Fold
from tttlab.models.framing import frames
from tttlab.models.wire import DrawsMany, Frame

# Of hosts that speak one format in one dialect, one is enough.
DIALECTS = {repr(wire): (name, wire, named) for name, (wire, named) in FORMATS.items()}
ROWS = [pytest.param(wire, named, id=name) for name, wire, named in DIALECTS.values()]
NAMES = {wire.name: (wire, named) for wire, named in FORMATS.values()}
FEW = [pytest.param(*row, id=name) for name, row in NAMES.items()]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        *("type", "event", "error", "message", "code", "choices", "delta", "content", "text", "index", "usage", "id"),
        *("finish_reason", "logprobs", "token", "logprob", "top_logprobs", "bytes", "reasoning", "reasoning_content"),
        *("reasoning_details", "thinking", "signature", "response", "output", "item", "summary", "candidates", "parts"),
        *("thought", "finishReason", "usageMetadata", "done", "done_reason", "prompt_tokens", "completion_tokens"),
        *("input_tokens", "output_tokens", "content_block", "stop_reason", "model", "object", "tokens", "token_ids"),
        *("timings", "x_groq", "sequence_number", "part", "output_index", "content_index", "status", "annotations"),
        *("incomplete_details", "logprobsResult", "chosenCandidates", "eval_count"),
    ]
)
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
QUICK = settings(max_examples=40, deadline=None)


def cut(pieces, framing):
    """The frames of a body that comes in pieces, all of them there: nothing is waited for, so no loop is needed."""

    async def given_pieces():
        for piece in pieces:
            yield piece

    async def main():
        async with aclosing(frames(given_pieces(), framing)) as found:
            return [frame async for arrived in found for frame in arrived.frames]

    try:
        main().send(None)
    except StopIteration as stopped:
        return stopped.value


def frame_of(value):
    if isinstance(value, str):
        return Frame("", value)
    return Frame(str(value.get("type", "")) if isinstance(value, dict) else "", json.dumps(value))


def decode(wire, named, found):
    """The events of frames, and the error that ended them."""
    decoder, events = wire.decoder(named), []
    try:
        for n, frame in enumerate(found):
            events += decoder.feed(frame, n)
        events += decoder.end()
    except HostError as error:
        return events, error
    return events, None


def check(wire, named, found):
    events, error = decode(wire, named, found)
    finishes = [event for event in events if isinstance(event, Finish)]
    assert len(finishes) <= 1
    if error is None:
        assert isinstance(events[-1], Finish)
    fold = Fold()
    for event in events:
        fold.add(event)
    fold.completion().text.encode()
    if isinstance(wire, DrawsMany):
        decoder = wire.choices_decoder(named, 2)
        try:
            for n, frame in enumerate(found):
                list(decoder.feed(frame, n))
            list(decoder.end())
        except HostError:
            pass


@pytest.mark.parametrize(("wire", "named"), FEW)
@given(pieces=st.lists(st.binary(max_size=40), max_size=8))
@QUICK
def test_any_bytes(wire, named, pieces):
    check(wire, named, cut(pieces, wire.framing))


@pytest.mark.parametrize(("wire", "named"), ROWS)
@given(texts=st.lists(ANY_JSON.map(json.dumps) | st.text(max_size=20), max_size=4), event=st.text(max_size=8))
@QUICK
def test_any_json(wire, named, texts, event):
    check(wire, named, [Frame(event, text) for text in texts])


def _changed(draw, node):
    """The same JSON with one place in it replaced."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(node, dict | list) or not node:
        return draw(ANY_JSON)
    key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    if draw(st.integers(0, 5)) == 0:
        return type(node)()
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[key] = _changed(draw, node[key])
    return copy


@pytest.mark.parametrize(("wire", "named"), ROWS)
@given(data=st.data())
@QUICK
def test_a_healthy_stream_that_is_changed_somewhere(wire, named, data):
    objects = list(objects_of(wire))
    at = data.draw(st.integers(0, len(objects) - 1))
    how = data.draw(st.sampled_from(["change", "drop", "twice", "swap"]))
    if how == "change" and not isinstance(objects[at], str):
        objects[at] = _changed(data.draw, objects[at])
    elif how == "drop":
        del objects[at]
    elif how == "twice":
        objects.insert(at, objects[at])
    else:
        other = data.draw(st.integers(0, len(objects) - 1))
        objects[at], objects[other] = objects[other], objects[at]
    check(wire, named, [frame_of(each) for each in objects])


@pytest.mark.parametrize(("wire", "named"), FEW)
@given(data=st.data())
@QUICK
def test_a_healthy_stream_with_bytes_that_are_not_its_own(wire, named, data):
    body = bytearray("".join(texts_of(wire)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    check(wire, named, cut([bytes(body)], wire.framing))


@pytest.mark.parametrize(("wire", "named"), FEW)
@given(data=st.data())
@QUICK
def test_a_healthy_stream_that_is_cut_is_never_whole(wire, named, data):
    body = "".join(texts_of(wire)).encode()
    size = data.draw(st.integers(0, len(body) - 1))
    events, error = decode(wire, named, cut([body[:size]], wire.framing))
    fold = Fold()
    for event in events:
        fold.add(event)
    if error is None:  # The completion had ended, and what is missing is what the host says behind it.
        assert fold.completion().text == ANSWER
    else:
        assert ANSWER.startswith(fold.completion().text)


@pytest.mark.parametrize(("wire", "named"), FEW)
@given(cuts=st.lists(st.integers(0, 2000), max_size=12), ending=st.sampled_from(["\n", "\r\n", "\r"]))
@QUICK
def test_how_a_stream_is_cut_changes_nothing(wire, named, cuts, ending):
    if wire.framing == "ndjson" and ending == "\r":
        ending = "\n"
    texts = texts_of(wire) if wire.framing == "ndjson" else [": a comment\n\n", *texts_of(wire)]
    body = "".join(texts).replace("\n", ending).encode()
    places = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(places)]
    assert cut(pieces, wire.framing) == frames_of(wire)
