"""llama.cpp's own server on loopback, asked by a hosted model: each of its routes, as a real host answers."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from tests.models.test_faults import called
from tttlab import errors
from tttlab.events import TokenDelta
from tttlab.models.conduct import Conduct
from tttlab.models.hosted import HostedModel
from tttlab.models.hosts import find_host, hosts
from tttlab.models.llama import LlamaServer, set_wait_policy
from tttlab.models.threads import SHORT_SPIN
from tttlab.models.weights import fetch
from tttlab.types import Capabilities, Message, Request, Sampling

pytestmark = pytest.mark.embedded

CONTEXT = 512
ONCE = Conduct(attempts=1)
QUESTION = "What is the capital of France?"
ROUTES = ["llamacpp", "llamacpp-completions", "llamacpp-responses", "llamacpp-messages"]


@pytest.fixture(scope="module")
def server():
    set_wait_policy(SHORT_SPIN)  # Threads that spin for longer leave no core for this client.
    started = LlamaServer(fetch(), slots=4, context=CONTEXT, threads=2)
    yield started
    started.close()


@pytest.fixture(scope="module")
def texts():
    """What the model says, to a raw prompt and to a question: the same by each route."""
    return {}


def model_of(server, host, **options):
    """The model at a route of the server, asked as the host of this name is."""
    if host not in hosts():
        pytest.skip(f"there is no host {host}")
    row = find_host(host)
    key = server._http.headers["authorization"].removeprefix("Bearer ")
    address = str(server._http.base_url).rstrip("/") + urlsplit(row.address).path
    return HostedModel(row, "smollm2", address=address, **{"key": lambda: key, **options})


def ask(prompt=QUESTION, *, seed=1, **sampling):
    messages = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
    return Request(messages=messages, sampling=Sampling(**{"max_tokens": 8, **sampling}), seed=seed)


def completed(model, *requests):
    async def main():
        return await asyncio.gather(*(called(model, request) for request in requests))

    results = asyncio.run(main())
    assert [error for _, error in results if error] == []
    return [fold.completion() for fold, _ in results]


def local(server, host, **can):
    """The model with the abilities of a small one that does not think, whatever those of the host's own models are."""
    known = {"seed": True, "logprobs": True, "prefix": True, "takes": ("temperature", "top_p", "stop"), **can}
    return model_of(server, host, can=Capabilities(**known))


@pytest.mark.parametrize("host", ROUTES)
def test_it_answers(server, host, texts):
    model = local(server, host, logprobs=False, seed=False, prefix=False)
    request = ask("The capital of France is the city of", temperature=0.0)

    async def main():
        # One after the other: a connection that the server has closed meanwhile is not used again.
        return [await called(model, request) for _ in range(2)]

    results = asyncio.run(main())
    assert [error for _, error in results] == [None] * 2
    for completion in (fold.completion() for fold, _ in results):
        texts.setdefault(host == "llamacpp-completions", completion.text)
        assert completion.text == texts[host == "llamacpp-completions"] != ""
        assert not [note for note in completion.notes if note.startswith("attempt")]
        assert completion.finish_reason in ("stop", "length")
        assert completion.usage.prompt_tokens > 0
        assert 0 < completion.usage.output_tokens <= 8
        assert completion.usage.thinking_tokens == 0


@pytest.mark.parametrize("host", ["llamacpp", "llamacpp-completions"])
def test_the_same_seed_says_the_same_with_its_tokens(server, host):
    model = local(server, host)
    first, second, other = completed(model, ask(temperature=1.5), ask(temperature=1.5), ask(temperature=1.5, seed=2))
    assert first.text == second.text != other.text
    assert "".join(token.text for token in first.tokens) == first.text
    assert all(token.logprob <= 0 for token in first.tokens)
    assert all(len(token.top.logprobs) == 5 for token in first.tokens)
    assert first.mean_logprob < 0


def test_it_goes_on_from_a_prefix(server):
    prefix = "The capital of France is the city of"
    turns = [Message("user", QUESTION), Message("assistant", prefix)]
    completion, *_ = completed(local(server, "llamacpp"), ask(turns, temperature=0.0))
    assert completion.text.startswith(" Paris")


@pytest.mark.parametrize("host", ["llamacpp"])
def test_many_are_drawn_in_one_request(server, host):
    model = local(server, host, n=True)
    requests = [ask(temperature=1.5, seed=seed) for seed in (5, 6, 7)]
    drawn = completed(model, *requests)
    assert len({each.text for each in drawn}) == 3
    assert all(each.notes[-1].startswith(f"choice {n} of 3 of one") for n, each in enumerate(drawn, 1))
    assert sum(each.usage.prompt_tokens > 0 for each in drawn) == 1
    assert all(each.usage.output_tokens > 0 for each in drawn)
    alone, *_ = completed(local(server, host), requests[0])
    assert alone.usage.prompt_tokens == max(each.usage.prompt_tokens for each in drawn)


@pytest.mark.parametrize("host", ["llamacpp", "llamacpp-completions"])
def test_a_cancelled_call_stops_the_server(server, host):
    model = local(server, host)

    async def main():
        async with aclosing(model.stream(ask("Tell a long story.", max_tokens=400, temperature=1.0))) as events:
            async for event in events:
                if isinstance(event, TokenDelta):
                    return

    def working():
        return any(slot["is_processing"] for slot in server._http.get("/slots").json())

    asyncio.run(main())
    given_up = time.monotonic() + 5
    while working():
        assert time.monotonic() < given_up
        time.sleep(0.02)
    slots = server._http.get("/slots").json()
    assert max(token["n_decoded"] for slot in slots for token in slot.get("next_token") or []) < 300


def test_a_stop_string_ends_it(server):
    completion, *_ = completed(local(server, "llamacpp"), ask("Count from 1 to 9.", temperature=0.0, stop=("4",)))
    here, *_ = completed(
        local(server, "llamacpp", takes=("temperature",)), ask("Count from 1 to 9.", temperature=0.0, stop=("4",))
    )
    assert here.text == completion.text
    assert "4" not in completion.text


@pytest.mark.parametrize("host", ROUTES)
def test_what_it_refuses(server, host):
    model = local(server, host, logprobs=False, seed=False, prefix=False)

    def error_of(model, request):
        _, error = asyncio.run(called(model, request))
        return error

    wrong = model_of(server, host, key=lambda: "sk-wrong-key", can=model.can)
    refused = error_of(wrong, ask())
    assert type(refused) is errors.CredentialError
    assert refused.status == httpx.codes.UNAUTHORIZED
    assert type(error_of(model, ask("word " * 2 * CONTEXT))) is errors.ContextLengthError
    gone = HostedModel(replace(find_host(host)), "smollm2", key=lambda: "", address="http://127.0.0.1:9", conduct=ONCE)
    assert type(error_of(gone, ask())) is errors.UnreachableError
