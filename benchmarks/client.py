"""What it costs to stream from a host, side by side: tttlab, bare httpx in several set-ups, and OpenAI's SDK.

`python -m benchmarks.client`, on a machine that does nothing else. A server in a process of its own on one core answers
chat completions (`benchmarks.answering`), this process is held to another core. Every way parses each token's JSON and
keeps its text, its log-probability and its time of arrival; the ways take turns, and the best turn is the one that the
machine disturbed least. First at full speed: 64 streams of 512 tokens. Then at a pace: 64 streams of 32 tokens, the
first after 200 ms and one each 5 ms from then on, over the least time that this may take. `a run` is a run of
self-consistency with 64 samples, every token in the store; `unrecorded` is the same run with all recording left out.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

import tttlab
from tttlab.events import Fold
from tttlab.models.hosted import HostedModel
from tttlab.models.hosts import find_host
from tttlab.store.journal import Journal
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.tracing.tokens import NoTokens
from tttlab.types import Capabilities, Message, Request, Sampling

TURNS = 7
STREAMS = 64
FULL, PACED = 512, 32
FIRST, GAP = 0.2, 0.005
PROMPT = "What is 7 times 8?"
CAN = Capabilities(logprobs=True, seed=True, parallel=STREAMS)

OVER_AIOHTTP = "httpx over aiohttp"
MODEL, RUN, UNRECORDED = "tttlab, the model alone", "tttlab, a run", "tttlab, a run, unrecorded"
SDK = "openai's SDK"

Way = Callable[[str, int], Awaitable[int]]
"""Streams so many tokens from an address in each of the streams at once, and gives how many came."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of one way took, in seconds: by the clock, and of this process's processor time, in all threads."""

    wall: float
    processor: float


Turns = Mapping[str, Sequence[Turn]]


def main() -> None:
    """Print the table and the ratios."""
    ways: dict[str, Way] = {
        "httpx, one pool": _Httpx([(STREAMS, False)]),
        "httpx, 8 clients of 8 connections": _Httpx([(8, False)] * 8),
        "httpx, a client for each connection": _Httpx([(1, False)] * STREAMS),
        OVER_AIOHTTP: _Httpx([(STREAMS, True)]),
        MODEL: _model,
        RUN: _run,
        UNRECORDED: _unrecorded,
    }
    if find_spec("openai"):
        ways[SDK] = _openai
    with _server() as address, _on_the_other_core(), tempfile.TemporaryDirectory() as folder:
        tttlab.configure(traces=folder)
        try:
            full = asyncio.run(_turns(ways, address, FULL))
            paced = asyncio.run(_turns(ways, f"{address}/{FIRST},{GAP}", PACED))
        finally:
            tttlab.flush()
            tttlab.configure(traces=None)
    _show(full, paced)
    _compare(full, paced)


def _show(full: Turns, paced: Turns) -> None:
    least = FIRST + GAP * (PACED - 1)
    print(f"{STREAMS} streams, {TURNS} turns              {FULL} tokens, full speed          {PACED} tokens, paced")
    print("                                       tokens/s     us of processor         wall / least")
    print("                                   best    median   time a token        best    median")
    for name, turns in full.items():
        rates = [STREAMS * FULL / of(turn.wall for turn in turns) for of in (min, statistics.median)]
        walls = [of(turn.wall for turn in paced[name]) / least for of in (min, statistics.median)]
        processor = min(turn.processor for turn in turns) / STREAMS / FULL * 1e6
        print(f"{name:32s}{rates[0]:10,.0f}{rates[1]:10,.0f}{processor:12.1f}{walls[0]:15.3f}{walls[1]:10.3f}")


def _compare(full: Turns, paced: Turns) -> None:
    own = [name for name in full if name.startswith("httpx, ")]
    print("                                                          wall: best    median    processor: best")
    if SDK in full:
        _ratio("tokens/s, a run over the SDK", full[SDK], full[RUN])
    _ratio("tokens/s, a run over httpx's own connections", _best(full, own), full[RUN])
    _ratio("tokens/s, a run over the best of httpx", _best(full, [*own, OVER_AIOHTTP]), full[RUN])
    _ratio("tokens/s, the model over httpx's own connections", _best(full, own), full[MODEL])
    _ratio("tokens/s, the model over the best of httpx", _best(full, [*own, OVER_AIOHTTP]), full[MODEL])
    _ratio("seconds, recorded over unrecorded, full speed", full[RUN], full[UNRECORDED])
    _ratio("seconds, recorded over unrecorded, paced", paced[RUN], paced[UNRECORDED])


def _best(turns: Turns, names: Sequence[str]) -> Sequence[Turn]:
    return min((turns[name] for name in names), key=lambda found: min(turn.wall for turn in found))


def _ratio(what: str, over: Sequence[Turn], under: Sequence[Turn]) -> None:
    best, median = (of(t.wall for t in over) / of(t.wall for t in under) for of in (min, statistics.median))
    processor = min(turn.processor for turn in over) / min(turn.processor for turn in under)
    print(f"{what:56s}{best:12.3f}{median:10.3f}{processor:19.3f}")


async def _turns(ways: Mapping[str, Way], address: str, tokens: int) -> Turns:
    """Each way's turns; who goes first changes from turn to turn."""
    names, taken = list(ways), {name: list[Turn]() for name in ways}
    for turn in range(-1, TURNS):
        for index in range(len(names)):
            name = names[(index + turn) % len(names)]
            tttlab.flush()  # What the last one recorded is not written in this one's time.
            started, used = time.perf_counter(), time.process_time()
            came = await ways[name](address, tokens)
            took = Turn(time.perf_counter() - started, time.process_time() - used)
            if came != STREAMS * tokens:
                raise RuntimeError(f"{name}: {came} tokens came in place of {STREAMS * tokens}")
            if turn >= 0:  # The first turn warms up, and opens the connections.
                taken[name].append(took)
    for way in ways.values():
        if isinstance(way, _Httpx):
            await way.close()
    return taken


class _Httpx:
    """Clients of so many connections each, httpx's own or aiohttp's: the streams are shared out among them."""

    def __init__(self, set_up: Sequence[tuple[int, bool]]) -> None:
        self._set_up = set_up
        self._clients: list[httpx.AsyncClient] = []

    async def __call__(self, address: str, tokens: int) -> int:
        if not self._clients:
            self._clients = [_client(f"{address}/v1", count, over_aiohttp=over) for count, over in self._set_up]
        body = orjson.dumps(_asked(tokens))

        async def one(number: int) -> int:
            kept = []
            headers = {"content-type": "application/json"}
            client = self._clients[number % len(self._clients)]
            async with client.stream("POST", "/chat/completions", content=body, headers=headers) as answer:
                async for chunk in _chunks(answer):
                    for choice in chunk["choices"]:
                        if choice["logprobs"]:
                            entry = choice["logprobs"]["content"][0]
                            kept.append((choice["delta"]["content"], entry["logprob"], time.time_ns()))
            return len(kept)

        return sum(await asyncio.gather(*map(one, range(STREAMS))))

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        self._clients = []


def _client(address: str, connections: int, *, over_aiohttp: bool) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    transport = AiohttpTransport(limits=limits) if over_aiohttp else None
    return httpx.AsyncClient(base_url=address, timeout=60, limits=limits, transport=transport, trust_env=False)


async def _chunks(answer: httpx.Response) -> AsyncIterator[Any]:
    """The quickest way that does the least: no comments, no other line ends, no errors."""
    rest = b""
    async for piece in answer.aiter_raw():
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                yield orjson.loads(event[6:])


async def _openai(address: str, tokens: int) -> int:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:

        async def one() -> int:
            kept = []
            stream = await client.chat.completions.create(**_asked(tokens))
            async for chunk in stream:
                for choice in chunk.choices:
                    if choice.logprobs:
                        entry = choice.logprobs.content[0]
                        kept.append((choice.delta.content, entry.logprob, time.time_ns()))
            return len(kept)

        return sum(await asyncio.gather(*(one() for _ in range(STREAMS))))


async def _model(address: str, tokens: int) -> int:
    model = _hosted(address)

    async def one(seed: int) -> int:
        fold = Fold()
        request = Request(messages=(Message("user", PROMPT),), sampling=Sampling(max_tokens=tokens), seed=seed)
        async with aclosing(model.stream(request)) as events:  # type: ignore[type-var]  # declared as an iterator
            async for event in events:
                fold.add(event)
        return len(fold.completion().tokens)

    return sum(await asyncio.gather(*map(one, range(STREAMS))))


async def _run(address: str, tokens: int) -> int:
    strategy = SelfConsistency(samples=STREAMS, max_tokens=tokens)
    return (await tttlab.athink(PROMPT, strategy=strategy, model=_hosted(address))).usage.output_tokens


async def _unrecorded(address: str, tokens: int) -> int:
    kept = Journal.token_buffer, Journal.span
    try:
        Journal.token_buffer = lambda _, *of: NoTokens(*of)  # type: ignore[method-assign]
        Journal.span = lambda *_: None  # type: ignore[method-assign]
        return await _run(address, tokens)
    finally:
        Journal.token_buffer, Journal.span = kept  # type: ignore[method-assign]


def _hosted(address: str) -> HostedModel:
    return HostedModel(find_host("vllm"), "m1", key=lambda: "", address=f"{address}/v1", can=CAN)


def _asked(tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": "m1", "messages": messages, "max_tokens": tokens, "stream": True, "logprobs": True}


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.answering"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int((process.stdout or sys.stdin).readline())}"
        finally:
            process.kill()


@contextmanager
def _on_the_other_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {min(cores)} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main()
