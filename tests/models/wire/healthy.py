"""A whole, small stream in each wire format, which says the same: for tests that break it in every way."""

from __future__ import annotations

import json

from tttlab.models.wire import Frame, WireFormat

ANSWER = "Grüße, 56 👍"
PIECES = ["Grüße", ", 56", " 👍"]


def _chat(finish=None, **delta):
    return {"id": "r1", "model": "m1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _completion(text, finish=None):
    return {"id": "r1", "model": "m1", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


_CHAT_USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
_USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
_ITEM = {"output_index": 0, "content_index": 0, "item_id": "i1"}
_MESSAGE = {"id": "i1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]}

CHAT = [*(_chat(content=piece) for piece in PIECES), _chat("stop"), _CHAT_USAGE, "[DONE]"]
COMPLETIONS = [*(_completion(piece) for piece in PIECES), _completion("", "stop"), _CHAT_USAGE, "[DONE]"]
MESSAGES = [
    {"type": "message_start", "message": {"id": "r1", "model": "m1", "usage": {"input_tokens": 7, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in PIECES),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]
RESPONSES = [
    {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "model": "m1"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"id": "i1", "type": "message", "content": []}},
    *({"type": "response.output_text.delta", **_ITEM, "delta": piece} for piece in PIECES),
    {"type": "response.output_text.done", **_ITEM, "text": ANSWER},
    {"type": "response.output_item.done", "output_index": 0, "item": _MESSAGE},
    {
        "type": "response.completed",
        "response": {"id": "r1", "status": "completed", "model": "m1", "output": [_MESSAGE], "usage": _USAGE},
    },
]
GEMINI = [
    *(
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0, **finish}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
            "modelVersion": "m1",
            "responseId": "r1",
        }
        for piece, finish in zip(PIECES, [{}, {}, {"finishReason": "STOP"}], strict=True)
    )
]
OLLAMA = [
    *({"model": "m1", "message": {"role": "assistant", "content": piece}, "done": False} for piece in PIECES),
    {
        "model": "m1",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 7,
        "eval_count": 3,
    },
]
_OF = {
    "mistral": CHAT,
    "openrouter": CHAT,
    "openai_chat": CHAT,
    "openai_completions": COMPLETIONS,
    "anthropic": MESSAGES,
    "openai_responses": RESPONSES,
    "gemini": GEMINI,
    "google": GEMINI,
    "ollama": OLLAMA,
}


def objects_of(wire: WireFormat):
    """The stream's frames as objects. A format that is not in `_OF` has to be put there."""
    return next(objects for prefix, objects in _OF.items() if wire.name.startswith(prefix))


def frames_of(wire: WireFormat) -> list[Frame]:
    """The stream's frames."""
    return [Frame(each.get("type", "") if isinstance(each, dict) else "", _written(each)) for each in objects_of(wire)]


def texts_of(wire: WireFormat) -> list[str]:
    """The stream's frames as they are on the wire."""
    if wire.framing == "ndjson":
        return [f"{frame.data}\n" for frame in frames_of(wire)]
    return [(f"event: {event}\n" if event else "") + f"data: {data}\n\n" for event, data in frames_of(wire)]


def _written(each) -> str:
    return each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)
