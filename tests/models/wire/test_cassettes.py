"""Recorded exchanges with real hosts: each says the same however its bytes are cut, and what it says itself."""

import itertools
from random import Random

import pytest

from tests.models.wire.cassettes import FOLDER, exchanges
from tests.models.wire.test_any_bytes import cut, decode
from tttlab.errors import HostError, ParameterError, RateLimitError
from tttlab.events import Fold

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded exchanges are not here")
EXCHANGES = [pytest.param(each, id=each.name) for each in exchanges()]
STREAMS = [each for each in EXCHANGES if each.values[0].stream]
OTHERS = [each for each in EXCHANGES if not each.values[0].stream]
ANSWERS = [each for each in OTHERS if each.values[0].status == 200]
REFUSALS = [each for each in OTHERS if each.values[0].status != 200]
CUTS = 200


def pieces_of(body, cuts, rng):
    places = [0, *sorted(rng.sample(range(1, len(body)), min(cuts, len(body) - 1))), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(places)]


def told(exchange, pieces):
    wire, named = exchange.row
    framing = wire.framing if exchange.stream else "whole"
    events, error = decode(wire, named, cut(pieces, framing))
    fold = Fold()
    for event in events:
        fold.add(event)
    if error is not None:
        raise error
    return fold


def said_by(fold):
    """The thinking and the answer; tags that the model wrote into its text stay in it, as all that it wrote does."""
    whole = fold.completion()
    return whole.thinking.replace("<think>", "").replace("</think>", "").strip(), whole.text.strip()


def same(fold):
    whole = fold.completion()
    said = (whole.thinking, whole.text, whole.finish_reason, whole.usage)
    return *said, whole.reasoning, whole.visibility, whole.notes


@pytest.fixture
def exchange(request):
    found = request.param
    if found.row is None:
        pytest.skip(f"no format reads {found.uri}")
    return found


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
def test_a_stream_says_the_same_however_it_is_cut(exchange):
    fold = told(exchange, [exchange.body])
    whole = fold.completion()
    assert said_by(fold) == exchange.said()
    assert whole.usage.output_tokens > 0
    assert whole.usage.prompt_tokens > 0
    for seed in range(3):
        assert same(told(exchange, pieces_of(exchange.body, CUTS, Random(seed)))) == same(fold)
    assert same(told(exchange, [bytes([byte]) for byte in exchange.body[:]])) == same(fold)


@pytest.mark.parametrize("exchange", STREAMS, indirect=True)
def test_a_stream_that_is_cut_short_is_not_whole(exchange):
    whole = told(exchange, [exchange.body]).completion()
    rng = Random(1)
    for size in rng.sample(range(len(exchange.body)), 100):
        try:
            fold = told(exchange, [exchange.body[:size]])
        except HostError:
            continue
        assert (fold.completion().text, fold.completion().thinking) == (whole.text, whole.thinking)


@pytest.mark.parametrize("exchange", ANSWERS, indirect=True)
def test_an_answer_that_is_no_stream_says_the_same(exchange):
    try:
        fold = told(exchange, [exchange.body])
    except HostError as error:
        pytest.skip(f"{exchange.row[0].name} reads streams alone ({error.said:.60})")
    assert said_by(fold) == exchange.said()
    assert same(told(exchange, pieces_of(exchange.body, CUTS, Random(1)))) == same(fold)


@pytest.mark.parametrize("exchange", REFUSALS, indirect=True)
def test_an_error_says_what_it_is(exchange):
    wire, named = exchange.row
    error = wire.failure(exchange.status, exchange.body.decode(), named)
    assert type(error) is {400: ParameterError, 429: RateLimitError}[exchange.status]
    [said] = exchange.objects()
    assert " ".join(said["error"]["message"].split())[:100] in error.said
