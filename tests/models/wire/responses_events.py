"""Small streams of Responses, of the shapes that hosts send."""

from __future__ import annotations

import json
from typing import Any

from tttlab.events import Fold
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.openai_responses import LLAMA_CPP_RESPONSES, OPENROUTER_RESPONSES, OpenAiResponses

NAMED = Named(provider="openai", model="m1")
WIRES = {"openai": OpenAiResponses(), "llamacpp": LLAMA_CPP_RESPONSES, "openrouter": OPENROUTER_RESPONSES}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "encrypted_content": "gAAA",
    "summary": [{"type": "summary_text", "text": "hm"}],
}
SAID = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "annotations": [], "text": "four"}],
}


def event(kind: str, **more: Any) -> str:
    """One event."""
    return json.dumps({"type": kind, "sequence_number": 1, **more})


def at(item: int = 0, part: int = 0, place: str = "content_index") -> dict[str, Any]:
    """Where a delta belongs."""
    return {"output_index": item, "item_id": f"i{item}", place: part}


def text(delta: object, item: int = 1, **more: Any) -> str:
    """A piece of the answer."""
    return event("response.output_text.delta", **at(item), delta=delta, **more)


def summary(delta: str, item: int = 0, part: int = 0) -> str:
    """A piece of what the thinking is summed up as."""
    return event("response.reasoning_summary_text.delta", **at(item, part, "summary_index"), delta=delta)


def raw(delta: str, item: int = 0, part: int = 0) -> str:
    """A piece of the thinking itself."""
    return event("response.reasoning_text.delta", **at(item, part), delta=delta)


def item_done(item: object, place: object) -> str:
    """An item, whole."""
    return event("response.output_item.done", output_index=place, item=item)


def ended(status: str = "completed", *, thinking: int | None = None, **more: Any) -> str:
    """The terminal event."""
    details = {} if thinking is None else {"output_tokens_details": {"reasoning_tokens": thinking}}
    usage = {"input_tokens": 9, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 4}, **details}
    response = {"id": "r1", "model": "m1-0001", "status": status, "usage": usage, "output": [], **more}
    return event(f"response.{status}", response=response)


def decoded(*frames: str, host: str = "openai", notes: tuple[str, ...] = ()) -> list[Any]:
    """The events of a stream; the n-th frame comes at n nanoseconds."""
    decoder = WIRES[host].decoder(NAMED, notes)
    events = [each for n, frame in enumerate(frames) for each in decoder.feed(Frame("", frame), n)]
    return [*events, *decoder.end()]


def folded(*frames: str, **how: Any) -> Fold:
    """The stream's events, taken together."""
    fold = Fold()
    for each in decoded(*frames, **how):
        fold.add(each)
    return fold
