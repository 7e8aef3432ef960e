"""Small streams of chat completion chunks, of the shapes that hosts send."""

from __future__ import annotations

import json
from typing import Any

from tttlab.events import Fold
from tttlab.models.hosts.openai_compatible import HOSTS
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.openai_chat import OpenAiChat

NAMED = Named(provider="test", model="m1")
DONE = "[DONE]"
WIRES = {host.name: host.wire for host in HOSTS}


def chunk(index: int = 0, finish: str | None = None, *, choice: dict[str, Any] | None = None, **delta: Any) -> str:
    """A chunk with one choice: `delta` are its delta's fields, `choice` more fields of the choice itself."""
    whole = {"index": index, "delta": delta, "finish_reason": finish, **(choice or {})}
    return json.dumps({"id": "r1", "model": "m1-0001", "choices": [whole]})


def usage(prompt: int, output: int, thinking: int | None = None, **more: Any) -> str:
    """A chunk with the usage alone."""
    inner = {} if thinking is None else {"completion_tokens_details": {"reasoning_tokens": thinking}}
    return json.dumps({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output, **inner, **more}})


def entry(token: str, logprob: float = -0.5, top: tuple[tuple[str, float], ...] = (), **more: Any) -> dict[str, Any]:
    """What a host says of a token."""
    tops = [{"token": text, "logprob": value} for text, value in top]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": tops, **more}


def logprobs(*entries: dict[str, Any]) -> dict[str, Any]:
    """The part of a choice with the entries of its tokens."""
    return {"logprobs": {"content": list(entries)}}


def decoded(
    *frames: str, wire: OpenAiChat | None = None, named: Named = NAMED, notes: tuple[str, ...] = ()
) -> list[Any]:
    """The events of a stream; the n-th frame comes at n nanoseconds."""
    decoder = (wire or OpenAiChat()).decoder(named, notes)
    events = [event for n, frame in enumerate(frames) for event in decoder.feed(Frame("", frame), n)]
    return [*events, *decoder.end()]


def folded(*frames: str, **how: Any) -> Fold:
    """The stream's events, taken together."""
    fold = Fold()
    for event in decoded(*frames, **how):
        fold.add(event)
    return fold
