"""A server of chat completions that answers at full speed, or at a pace: `python -m benchmarks.answering`.

It prints its port. Each token is a chunk of its own with its log-probability, as vLLM sends it. A path may begin with
`/FIRST,GAP/`: seconds to the first token, and between two.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any, cast

WORD = " word"
_CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m1"}
_ENTRY = {"token": WORD, "logprob": -0.25, "bytes": list(WORD.encode()), "top_logprobs": []}
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TURN = 16
"""Tokens that are written to one stream before the others have their turn."""


def _event(data: str) -> bytes:
    body = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


def _choice(delta: dict[str, str], finish: str | None, logprobs: dict[str, Any] | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return _event(json.dumps({**_CHUNK, "choices": [choice]}))


def _end(tokens: int) -> bytes:
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens}
    counted = _event(json.dumps({**_CHUNK, "choices": [], "usage": usage}))
    return _choice({}, "stop", None) + counted + _event("[DONE]") + b"0\r\n\r\n"


_TOKEN = _choice({"content": WORD}, None, {"content": [_ENTRY]})


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._read = b""
        self._free = asyncio.Event()
        self._free.set()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, _: Exception | None) -> None:
        if self._answering:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        if found and lengths and len(body) >= int(lengths[0]):
            self._read = body[int(lengths[0]) :]
            pace = head.split(b"/")[1].decode()
            first, gap = map(float, pace.split(",")) if "," in pace else (0.0, 0.0)
            asked = json.loads(body[: int(lengths[0])])
            tokens = asked.get("max_completion_tokens") or asked["max_tokens"]
            self._answering = asyncio.ensure_future(self._answer(tokens, first, gap))

    async def _answer(self, tokens: int, first: float, gap: float) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time() + first
        await asyncio.sleep(first)
        self._transport.write(_HEAD)
        for number in range(tokens):
            if gap and (early := started + gap * number - loop.time()) > 0:
                await asyncio.sleep(early)
            elif not gap and number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            await self._free.wait()
            self._transport.write(_TOKEN)
        self._transport.write(_end(tokens))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
