"""OpenAI: `openai:` by its Responses, `openai-chat:` by its Chat Completions, which show nothing of the thinking.

And the Responses of llama.cpp's server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tttlab.models.hosts import openai_compatible
from tttlab.models.hosts.host import Host, ModelRow
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.models.wire.openai_responses import LLAMA_CPP_RESPONSES, OpenAiResponses
from tttlab.types import Capabilities

_LEVELS = ("low", "medium", "high")
_HIGHER = (*_LEVELS, "xhigh")
_HIGHEST = (*_HIGHER, "max")
_COLOURS = ("temperature", "top_p")
_THINKS: dict[str, Any] = {"thinking": True, "logprobs": False, "takes": ()}
"""Thinking, it refuses a temperature, what truncates, and log-probabilities."""
_SILENT: dict[str, Any] = {"thinking": False, "logprobs": True, "takes": _COLOURS}


def _thinks(pattern: str, *levels: str) -> ModelRow:
    """Models that always think."""
    return ModelRow(pattern=pattern, can={**_THINKS, "effort": levels})


def _may_think(pattern: str, *levels: str, asked: str | None = None) -> ModelRow:
    """Models that need not think. `asked` is asked for where no effort is told, of those that else would not."""
    traits: dict[str, Any] = {"at_effort": {"none": _SILENT}} | ({"effort": asked} if asked else {})
    return ModelRow(pattern=pattern, can={**_THINKS, "effort": ("none", *levels)}, traits=traits)


_ROWS = (
    ModelRow(pattern="gpt-5-chat*"),
    ModelRow(pattern="gpt-5-search*", can={"logprobs": False, "takes": ()}),
    _thinks("gpt-5.[1-9]*chat*", "medium"),
    _thinks("gpt-5-pro*", "high"),
    _thinks("gpt-[5-9]*-pro*", "medium", "high", "xhigh"),
    _thinks("gpt-5.1-codex-max*", *_HIGHER),
    _thinks("gpt-5.[2-9]-codex*", *_HIGHER),
    _thinks("*codex*", *_LEVELS),
    _may_think("gpt-5.1*", *_LEVELS, asked="medium"),
    _may_think("gpt-5.[2-4]*", *_HIGHER, asked="medium"),
    _may_think("gpt-5.5*", *_HIGHER),
    _may_think("gpt-5.[6-9]*", *_HIGHEST),
    _thinks("gpt-5*", "minimal", *_LEVELS),
    _thinks("gpt-*-astra*", *_HIGHEST),
    _may_think("gpt-[6-9]*", *_HIGHEST),
    _thinks("o[1-9]-mini-deep-research*", "medium"),
    _thinks("o[1-9]-deep-research*", "medium"),
    _thinks("o[1-9]*", *_LEVELS),
    _thinks("ft:o[1-9]*", *_LEVELS),
)


def _of_chat(rows: Sequence[ModelRow]) -> tuple[ModelRow, ...]:
    """The same models by Chat Completions: without the highest effort, and with an effort in a field of its own."""
    found = []
    for row in rows:
        can = dict(row.can)
        if "effort" in can:
            can["effort"] = tuple(level for level in can["effort"] if level != "max")
        found.append(replace(row, can=can))
    return tuple(found)


_OPENAI: dict[str, Any] = {
    "provider": "openai",
    "address": "https://api.openai.com/v1",
    "address_variable": "OPENAI_BASE_URL",
    "key_variable": "OPENAI_API_KEY",
    "prices": "openai",
}
_LLAMA_CPP = next(host for host in openai_compatible.HOSTS if host.name == "llamacpp")
HOSTS = (
    Host(
        name="openai",
        title="OpenAI",
        wire=OpenAiResponses(),
        can=Capabilities(logprobs=True, takes=_COLOURS, parallel=64),
        rows=_ROWS,
        **_OPENAI,
    ),
    Host(
        name="openai-chat",
        title="OpenAI, its Chat Completions",
        # Some of its models truncate by a top-p of their own.
        wire=OpenAiChat(max_tokens="max_completion_tokens", sends_defaults=True, most_stops=4),
        can=Capabilities(seed=True, logprobs=True, n=True, takes=(*_COLOURS, "stop"), parallel=64),
        rows=_of_chat(_ROWS),
        **_OPENAI,
    ),
    replace(
        _LLAMA_CPP,
        name="llamacpp-responses",
        title=f"{_LLAMA_CPP.title}, its Responses",
        wire=LLAMA_CPP_RESPONSES,
        can=replace(_LLAMA_CPP.can, logprobs=False),
    ),
)
