"""Anthropic; and servers that speak its Messages beside OpenAI's Chat Completions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tttlab.models.hosts import openai_compatible
from tttlab.models.hosts.host import Host, ModelRow
from tttlab.models.wire.anthropic_messages import SERVER_MESSAGES, AnthropicMessages, Versions
from tttlab.types import Capabilities

_LEVELS = ("low", "medium", "high")
_TO_MAX = (*_LEVELS, "max")
_EVERY = (*_LEVELS, "xhigh", "max")
_SAMPLED = ("temperature", "top_p", "top_k", "stop")
_BY_BUDGET = ("enabled", "disabled")
_OFF = {"disabled", "between_tools"}
_OLDER: dict[str, Any] = {"display": None}


def _row(pattern: str, *types: str, effort: tuple[str, ...] = _EVERY, sampled: bool = False, **traits: Any) -> ModelRow:
    """A model that thinks in these ways, the preferred one first. `sampled` where it does not, it may be told how."""
    can: dict[str, Any] = {"effort": effort, "thinking_budget": "enabled" in types}
    if _OFF & set(types):
        can["effort"] = ("none", *effort)
        traits["at_effort"] = {"none": {"thinking": False} | ({"takes": _SAMPLED} if sampled else {})}
    return ModelRow(pattern=pattern, can=can, traits={"thinking": types, **traits})


_SILENT: dict[str, Any] = {"thinking": False, "effort": (), "prefix": True, "takes": _SAMPLED}
_ROWS = (
    _row("claude-3-7*", *_BY_BUDGET, effort=(), sampled=True, shows="full", **_OLDER),
    *(ModelRow(pattern=pattern, can=_SILENT) for pattern in ("claude-2*", "claude-instant*", "claude-3*")),
    *(
        _row(pattern, *_BY_BUDGET, effort=(), sampled=True, **_OLDER)
        for pattern in ("claude-*-4-0*", "claude-*-4-20*", "claude-*-4-1*")
    ),
    _row("claude-opus-4-5*", *_BY_BUDGET, effort=_LEVELS, sampled=True),
    _row("claude-*-4-5*", *_BY_BUDGET, effort=(), sampled=True),
    # A budget is deprecated there, and only sent where one is asked for.
    _row("claude-*-4-6*", "adaptive", *_BY_BUDGET, effort=_TO_MAX, sampled=True),
    _row("claude-mythos-preview*", "adaptive", "enabled", effort=_TO_MAX),
    _row("claude-*-4-[78]*", "adaptive", "disabled"),
    *(_row(pattern, "adaptive", "disabled") for pattern in ("claude-opus-5", "claude-opus-5-20*")),
    *(_row(pattern, "adaptive", "disabled") for pattern in ("claude-sonnet-5", "claude-sonnet-5-20*")),
    _row("claude-haiku-5-5*", "adaptive", "disabled"),
    _row("claude-sonnet-5-5*", "adaptive", "between_tools"),
    # Fable and Mythos 5 to 5.2 and Opus 5.5 always think, as whatever is newer is taken to do: see `HOSTS`.
)
_COMPATIBLE = {host.name: host for host in openai_compatible.HOSTS}


def _also(name: str, wire: AnthropicMessages = SERVER_MESSAGES) -> Host:
    """The Messages of a server whose Chat Completions, which tell more, are in `openai_compatible.py`."""
    host = _COMPATIBLE[name]
    lacking: dict[str, Any] = {"seed": False, "logprobs": False, "n": False, "takes": _SAMPLED}
    rows = tuple(replace(row, can={**row.can, **lacking, "effort": (), "thinking_budget": False}) for row in host.rows)
    title = f"{host.title}, its Messages"
    # That they go on from a partial answer is known of llama.cpp's alone.
    can = replace(host.can, **lacking, prefix=host.can.prefix and name == "llamacpp")
    return replace(host, name=f"{name}-messages", title=title, wire=wire, can=can, rows=rows)


HOSTS = (
    Host(
        name="anthropic",
        title="Anthropic",
        provider="anthropic",
        address="https://api.anthropic.com",
        address_variable="ANTHROPIC_BASE_URL",
        wire=AnthropicMessages(),
        key_variable="ANTHROPIC_API_KEY",
        key_header="x-api-key",
        headers={"anthropic-version": Versions().newest},
        can=Capabilities(thinking=True, effort=_EVERY, takes=("stop",), parallel=32),
        rows=_ROWS,
        prices="anthropic",
        listing="/v1/models?limit=1000",
    ),
    _also("llamacpp"),
    _also("vllm"),
    # What switches its top-k off is not documented.
    _also("lmstudio", replace(SERVER_MESSAGES, top_k_off=None)),
)
