"""Every fault of a host, in every wire format: a call is made again until it succeeds, or ends with a clear error.

Each fault is met twice: once by a host that then recovers, where the call must succeed if nothing had been given yet,
and once by a host that does not. The table at the end of pytest's output says what became of each.
"""

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from tests.models.loopback import Reply, loopback
from tests.models.wire.formats import FORMATS
from tests.models.wire.healthy import ANSWER, texts_of
from tttlab import errors
from tttlab.events import Fold
from tttlab.models.conduct import Conduct
from tttlab.models.hosted import HostedModel
from tttlab.models.hosts.host import Host
from tttlab.types import Capabilities, Message, Request, Sampling

KEY = "sk-planted-0123456789"
QUICK = Conduct(connect_seconds=20, first_token_seconds=20, silent_seconds=20, attempts=3, first_wait=0.002)
IMPATIENT = replace(QUICK, first_token_seconds=0.5, silent_seconds=0.4)
WIRES = {wire.name: wire for wire, _ in FORMATS.values()}


@dataclass(frozen=True)
class Fault:
    """What the host does; the error of a call that meets nothing else, and how much of the answer was given before."""

    reply: object
    error: type[errors.HostError]
    given: bool = False
    """Whether some of the answer was given: then it is not asked again."""
    passing: bool = True


def _error(status, said, code, **headers):
    body = json.dumps({"error": {"message": said, "type": code, "code": code}})
    return lambda wire: Reply([body], status=status, kind="application/json", headers=headers)


def _after(count, **how):
    """The first frames, and then..."""
    return lambda wire: Reply(texts_of(wire)[:count], **dict.fromkeys(how, count))


def _framed(wire, data):
    return f"{data}\n" if wire.framing == "ndjson" else f"data: {data}\n\n"


def _told(count):
    """How many frames of a format it takes until some of the answer was given."""
    return lambda wire: next(n for n, text in enumerate(texts_of(wire)) if "Gr" in text) + count


def _then(*pieces, **how):
    """Some of the answer, and then these pieces."""

    def reply(wire):
        begun = texts_of(wire)[: _told(1)(wire)]
        return Reply([*begun, *(piece(wire) for piece in pieces)], **{name: len(begun) for name in how})

    return reply


def _half_a_frame(wire):
    return texts_of(wire)[_told(1)(wire)][:-9]


FAULTS = {
    "disconnect before the header": Fault(lambda wire: Reply(disconnect_after=-1), errors.UnreachableError),
    "disconnect after the header": Fault(lambda wire: Reply(disconnect_after=0), errors.BrokenStreamError),
    "disconnect in mid-frame": Fault(_then(_half_a_frame, disconnect_after=True), errors.BrokenStreamError, given=True),
    "disconnect after tokens": Fault(_then(disconnect_after=True), errors.BrokenStreamError, given=True),
    "no terminal event": Fault(_then(), errors.BrokenStreamError, given=True),
    "truncated in mid-frame": Fault(_then(_half_a_frame), errors.BrokenStreamError, given=True),
    "empty 200": Fault(lambda wire: Reply([]), errors.BrokenStreamError),
    "a page": Fault(lambda wire: Reply(["<html><title>Log in</title>"], kind="text/html"), errors.BrokenStreamError),
    "no HTTP": Fault(lambda wire: Reply(garbage=b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), errors.UnreachableError),
    "malformed JSON": Fault(lambda wire: Reply([_framed(wire, '{"choices": [')]), errors.BrokenStreamError),
    "malformed JSON after tokens": Fault(_then(lambda wire: _framed(wire, "{]")), errors.BrokenStreamError, given=True),
    "a list for an object": Fault(lambda wire: Reply([_framed(wire, "[1, 2]")]), errors.BrokenStreamError),
    "error event": Fault(
        lambda wire: Reply([_framed(wire, '{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}')]),
        errors.OverloadedError,
    ),
    "error event after tokens": Fault(
        _then(lambda wire: _framed(wire, '{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}')),
        errors.OverloadedError,
        given=True,
    ),
    "stall before the header": Fault(lambda wire: Reply(stall_after=-1), errors.StalledError),
    "stall before a token": Fault(lambda wire: Reply(stall_after=0), errors.StalledError),
    "stall between tokens": Fault(_then(stall_after=True), errors.StalledError, given=True),
    "401": Fault(_error(401, f"Wrong key: {KEY}", "authentication_error"), errors.CredentialError, passing=False),
    "404": Fault(_error(404, "no model m1", "not_found_error"), errors.UnknownModelError, passing=False),
    "400, too long": Fault(
        _error(400, "prompt is too long: 9 tokens > 8 maximum", "invalid_request_error"),
        errors.ContextLengthError,
        passing=False,
    ),
    "400, a parameter": Fault(
        _error(400, "temperature: may not be 3", "invalid_request_error"), errors.ParameterError, passing=False
    ),
    "402": Fault(_error(402, "no credit", "billing_error"), errors.RateLimitError, passing=False),
    "429": Fault(_error(429, "slow down", "rate_limit_error", **{"retry-after": "0"}), errors.RateLimitError),
    "500": Fault(_error(500, "oh", "api_error"), errors.OverloadedError),
    "529": Fault(_error(529, "Overloaded", "overloaded_error"), errors.OverloadedError),
}


def host_of(wire):
    return Host(name="test", title="Test", provider="test", address="http://127.0.0.1:9", wire=wire, key_variable="K")


def model_of(wire, address, **options):
    options = {"key": lambda: KEY, "can": Capabilities(takes=("temperature",)), "conduct": QUICK, **options}
    return HostedModel(host_of(wire), "m1", address=address, **options)


REQUEST = Request(messages=(Message("user", "What is 7 times 8?"),), sampling=Sampling(max_tokens=9))


async def called(model, request=REQUEST):
    """What a call gave, and the error that ended it."""
    fold = Fold()
    try:
        async with aclosing(model.stream(request)) as events:
            async for event in events:
                fold.add(event)
    except errors.HostError as error:
        return fold, error
    return fold, None


async def met_by(wire, fault):
    """What becomes of a call to a host that is always so, and to one that is so once; how often each was asked."""
    conduct = IMPATIENT if fault.error is errors.StalledError else QUICK
    reply = fault.reply(wire)
    async with loopback(reply) as lasting, loopback(reply, Reply(texts_of(wire), kind=_kind(wire))) as passing:
        one = called(model_of(wire, lasting.address, conduct=conduct))
        other = called(model_of(wire, passing.address, conduct=conduct))
        results = await asyncio.gather(one, other)
        return results, (len(lasting.asked), len(passing.asked))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_overcome_or_told(name, fault_matrix):
    fault = FAULTS[name]

    async def main():
        return await asyncio.gather(*(met_by(wire, fault) for wire in WIRES.values()))

    for wire, (results, asked) in zip(WIRES, asyncio.run(main()), strict=True):
        became = check(fault, *results, asked, wire)
        fault_matrix(wire, name, became)


def check(fault, lasting, passing, asked, wire):
    partial, error = lasting
    fold, recovered = passing
    assert type(error) is fault.error, (wire, error)
    assert (error.provider, error.model) == ("test", "m1"), wire
    assert KEY not in f"{error!r} {error} {error.said} {vars(error)}", wire
    assert bool(partial.completion().text) == fault.given, wire
    assert ANSWER.startswith(partial.completion().text), wire
    if not fault.passing or fault.given:
        assert asked == (1, 1), wire
        assert type(recovered) is fault.error, wire
        return f"{fault.error.__name__}{', partial' * fault.given}"
    assert asked == (QUICK.attempts, 2), wire
    assert recovered is None, wire
    assert fold.completion().text == ANSWER, wire
    note = fold.finish.notes[0]
    assert note.startswith(f"attempt 2: after 0.0 s, since the last failed ({fault.error.__name__}"), wire
    return "asked again, whole"


def _kind(wire):
    return "application/x-ndjson" if wire.framing == "ndjson" else "text/event-stream"


@pytest.mark.parametrize("name", WIRES)
def test_a_terminal_event_that_comes_twice_is_one_end(name, fault_matrix):
    wire = WIRES[name]
    texts = texts_of(wire)

    async def main():
        async with loopback(Reply([*texts, texts[-1], *texts[-2:]])) as host:
            return await called(model_of(wire, host.address))

    fold, error = asyncio.run(main())
    assert error is None
    assert fold.completion().text == ANSWER
    assert (fold.prompt_tokens, fold.output_tokens) == (7, 3)
    fault_matrix(name, "duplicate finish", "one finish")


@pytest.mark.parametrize("name", WIRES)
def test_a_stream_that_is_whole_is_given_whole(name):
    wire = WIRES[name]

    async def main():
        body = "".join(texts_of(wire)).encode()
        pieces = [body[at : at + 3] for at in range(0, len(body), 3)]
        async with loopback(Reply(pieces, kind=_kind(wire))) as host:
            return await called(model_of(wire, host.address)), host.asked

    (fold, error), [asked] = asyncio.run(main())
    assert error is None
    completion = fold.completion()
    assert (completion.text, completion.finish_reason) == (ANSWER, "stop")
    assert (completion.usage.prompt_tokens, completion.usage.output_tokens) == (7, 3)
    assert asked.headers["authorization"] == f"Bearer {KEY}"


def test_the_time_that_a_host_names_is_waited_for():
    wire = next(iter(WIRES.values()))

    async def main():
        refused = _error(429, "slow down", "rate_limit_error", **{"retry-after-ms": "300", "retry-after": "9"})(wire)
        async with loopback(refused, Reply(texts_of(wire))) as host:
            started = time.monotonic()
            fold, _ = await called(model_of(wire, host.address))
            return fold, time.monotonic() - started

    fold, seconds = asyncio.run(main())
    assert fold.completion().text == ANSWER
    assert 0.3 <= seconds < 3


def test_a_time_that_is_too_long_is_told_and_not_waited_for():
    wire = next(iter(WIRES.values()))

    async def main():
        refused = _error(429, "come back tomorrow", "rate_limit_error", **{"retry-after": "86400"})(wire)
        async with loopback(refused) as host:
            return await called(model_of(wire, host.address)), len(host.asked)

    (_, error), asked = asyncio.run(main())
    assert (asked, error.retry_after) == (1, 86400)


def test_a_page_in_place_of_a_stream_is_named():
    wire = next(iter(WIRES.values()))

    async def main():
        async with loopback(FAULTS["a page"].reply(wire)) as host:
            return await called(model_of(wire, host.address))

    assert "a page where a stream belongs: a page 'Log in'" in str(asyncio.run(main())[1])


def test_nobody_there_is_unreachable():
    wire = next(iter(WIRES.values()))
    model = model_of(wire, "http://127.0.0.1:9", conduct=replace(QUICK, attempts=1))
    _, error = asyncio.run(called(model))
    assert type(error) is errors.UnreachableError
    assert "127.0.0.1" in str(error)
