"""Plain completions of a raw prompt (`/v1/completions`), as vLLM's and llama.cpp's servers have them: no template.

The prompt is the messages' texts, one after the other, with nothing added between: what is sent is what was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_list, an_object
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiCompletions(OpenAiChat):
    """Plain completions: the fields are those of chat completions."""

    name: str = "openai_completions"
    path: str = "/completions"

    def _asked(self, messages: Sequence[Message], notes: list[str]) -> dict[str, Any]:
        if any(message.reasoning for message in messages):
            notes.append("sealed thinking was not sent back: a raw prompt has no place for it")
        return {"prompt": "".join(message.text for message in messages)}

    def _logprobs(self, alternatives: int) -> dict[str, Any]:
        return {"logprobs": alternatives}

    def _entries(self, logprobs: Mapping[str, Any], named: Named) -> list[Any]:
        """llama.cpp's entries are those of chat completions; others give columns."""
        if "content" in logprobs:
            return a_list(logprobs["content"], named)
        tokens = a_list(logprobs.get("tokens"), named)
        chosen = _padded(a_list(logprobs.get("token_logprobs"), named), len(tokens))
        tops = _padded(a_list(logprobs.get("top_logprobs"), named), len(tokens))
        return [
            {"token": token, "logprob": logprob, "top_logprobs": _rows(an_object(top, named))}
            for token, logprob, top in zip(tokens, chosen, tops, strict=True)
        ]


def _padded(values: list[Any], length: int) -> list[Any]:
    return [*values, *[None] * length][:length]


def _rows(top: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": logprob} for token, logprob in top.items()]
