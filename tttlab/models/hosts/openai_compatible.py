"""Hosts and servers that speak OpenAI's Chat Completions, each in its dialect. OpenAI's own are in `openai.py`."""

from __future__ import annotations

from typing import Any

from tttlab.models.hosts.host import Host, ModelRow
from tttlab.models.wire.mistral_content import MistralContent
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.models.wire.openai_chat_shapes import Fields
from tttlab.models.wire.openai_completions import OpenAiCompletions
from tttlab.models.wire.openrouter_details import OpenRouterDetails
from tttlab.types import Capabilities

_COLOURS = ("temperature", "top_p", "stop")
_LOCAL = ("temperature", "top_p", "top_k", "min_p", "stop")
_LEVELS = ("low", "medium", "high")
_THINKS: dict[str, Any] = {"thinking": True}


def _open_models(**can: Any) -> tuple[ModelRow, ...]:
    """Which of the models with open weights think, by their usual names; `can` is what a server lets those do."""
    silent = ("*[Qq]wen3*[Ii]nstruct*", "*[Qq]wen3*[Cc]oder*", "*[Ee]mbedding*")
    thinking = (
        *("*[Qq]wen3*", "*[Qq]w[Qq]*", "*[Dd]eep[Ss]eek-[Rr]*", "*[Dd]eep[Ss]eek-[Vv]4*", "*[Mm]agistral*"),
        *("*[Gg][Ll][Mm]-4.[5-9]*", "*[Gg][Ll][Mm]-[5-9]*", "*[Tt]hinking*", "*[Rr]easoning*", "*[Mm]ini[Mm]ax-[Mm]*"),
    )
    levels = {**can, **_THINKS, "effort": _LEVELS}
    return (
        ModelRow(pattern="*gpt-oss*", can=levels),
        *(ModelRow(pattern=pattern) for pattern in silent),
        *(ModelRow(pattern=pattern, can={**can, **_THINKS}) for pattern in thinking),
    )


_VLLM: dict[str, Any] = {
    "top_k_off": 0,
    "sends_defaults": True,  # It takes a model's own generation_config.json for its defaults.
    "always": {"return_token_ids": True},
    "grammar": ("structured_outputs", "grammar"),
    "logprob_stage": "before_sampling",  # `--logprobs-mode raw_logprobs`, its default.
}
_LLAMA_CPP: dict[str, Any] = {
    "top_k_off": 0,
    "sends_defaults": True,
    "usage_of_each": True,
    "logprob_stage": "before_sampling",  # `post_sampling_probs` is off unless it is asked for.
}
_ON_FROM_THE_LAST = {"continue_final_message": True, "add_generation_prompt": False}
_LOCAL_CAN = Capabilities(seed=True, logprobs=True, prefix=True, takes=(*_LOCAL, "grammar"), parallel=64)

VLLM = OpenAiChat(**_VLLM, shapes=Fields(("reasoning", "reasoning_content")), in_band=True, going_on=_ON_FROM_THE_LAST)
VLLM_COMPLETIONS = OpenAiCompletions(**_VLLM)
LLAMA_CPP = OpenAiChat(**_LLAMA_CPP, in_band=True)
LLAMA_CPP_COMPLETIONS = OpenAiCompletions(**_LLAMA_CPP)
"""The route of a raw prompt."""


_ONCE = {"connection": "close"}
"""It ends a connection when a stream has ended, without having said so: the next request on it would fail."""


def _server(name: str, title: str, address: str, wire: OpenAiChat, can: Capabilities, **more: Any) -> Host:
    """A server that the user runs."""
    more = {"provider": name, "address_variable": f"{_variable(name)}_BASE_URL", **more}
    return Host(name=name, title=title, address=address, wire=wire, can=can, local=True, **more)


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _hosted(name: str, title: str, address: str, wire: OpenAiChat, can: Capabilities, **more: Any) -> Host:
    """A host of others."""
    more = {"provider": name, "key_variable": f"{_variable(name)}_API_KEY", "prices": name, **more}
    return Host(name=name, title=title, address=address, wire=wire, can=can, **more)


_OPENROUTER_LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
_OPENROUTER = OpenAiChat(
    name="openrouter_chat",
    shapes=OpenRouterDetails(),
    # Else it drops silently what the host that it chooses does not take.
    always={"provider": {"require_parameters": True}},
    thinking={"reasoning": {"enabled": True}},
    effort=("reasoning", "effort"),
    budget=("reasoning", "max_tokens"),
    effort_or_budget=True,
    most_stops=4,
    dollars=True,
)
_BY_BUDGET: dict[str, Any] = {**_THINKS, "effort": _OPENROUTER_LEVELS, "thinking_budget": True}
_BY_EFFORT: dict[str, Any] = {**_THINKS, "effort": _OPENROUTER_LEVELS}
_CLAUDE: dict[str, Any] = {"seed": False, "takes": ("stop",)}
_OPENROUTER_ROWS = (
    ModelRow(pattern="anthropic/claude-3-*", can={"seed": False, "takes": (*_COLOURS, "top_k")}),
    ModelRow(pattern="anthropic/claude-3.5*", can={"seed": False, "takes": (*_COLOURS, "top_k")}),
    *(
        ModelRow(pattern=f"anthropic/claude-*{version}", can={**_CLAUDE, **_BY_BUDGET})
        for version in ("3.7*", "-4", "-4.1*", "-4.5*", "-4.6*")
    ),
    ModelRow(pattern="anthropic/*", can={**_CLAUDE, **_BY_EFFORT}),
    ModelRow(pattern="openai/gpt-oss*", can=_BY_EFFORT),
    ModelRow(pattern="openai/gpt-5*", can={**_BY_EFFORT, "takes": ()}),
    ModelRow(pattern="openai/o[1-9]*", can={**_BY_EFFORT, "takes": ()}),
    ModelRow(pattern="google/gemini-2.5*", can={**_BY_BUDGET, "takes": _COLOURS}),
    ModelRow(pattern="google/gemini-[3-9]*", can={**_BY_EFFORT, "takes": _COLOURS}),
    ModelRow(pattern="x-ai/grok-[4-9]*", can={**_BY_EFFORT, "takes": ("temperature", "top_p")}),
    *_open_models(effort=_OPENROUTER_LEVELS),
)
_MISTRAL_LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_MISTRAL_THINKS = {"can": {**_THINKS, "effort": _MISTRAL_LEVELS}, "traits": {"body": {"reasoning_effort": "high"}}}

_SERVERS = (
    _server(
        "vllm",
        "vLLM",
        "http://127.0.0.1:8000/v1",
        VLLM,
        _LOCAL_CAN,
        rows=_open_models(thinking_budget=True),
    ),
    _server("vllm-completions", "vLLM, raw prompts", "http://127.0.0.1:8000/v1", VLLM_COMPLETIONS, _LOCAL_CAN),
    _server(
        "sglang",
        "SGLang",
        "http://127.0.0.1:30000/v1",
        OpenAiChat(top_k_off=-1, sends_defaults=True, grammar=("ebnf",), in_band=True, going_on=_ON_FROM_THE_LAST),
        _LOCAL_CAN,
        rows=_open_models(),
    ),
    _server(
        "llamacpp",
        "llama.cpp's server",
        "http://127.0.0.1:9931/v1",
        LLAMA_CPP,
        _LOCAL_CAN,
        rows=_open_models(),
        headers=_ONCE,
    ),
    _server(
        "llamacpp-completions",
        "llama.cpp's server, raw prompts",
        "http://127.0.0.1:9931/v1",
        LLAMA_CPP_COMPLETIONS,
        _LOCAL_CAN,
        headers=_ONCE,
    ),
    _server(
        "lmstudio",
        "LM Studio",
        "http://127.0.0.1:1234/v1",
        OpenAiChat(top_k_off=0, sends_defaults=True, in_band=True),
        Capabilities(seed=True, takes=_LOCAL, parallel=4),
        rows=_open_models(),
    ),
    _server(
        "ollama-v1",
        "Ollama, its OpenAI route",
        "http://127.0.0.1:11434/v1",
        OpenAiChat(sends_defaults=True, in_band=True),
        Capabilities(seed=True, logprobs=True, takes=_COLOURS, parallel=4),
        provider="ollama",
        rows=_open_models(),
    ),
)

_HOSTED = (
    _hosted(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com",
        OpenAiChat(thinking={"thinking": {"type": "enabled"}}, most_stops=16),
        # Thinking, it ignores the temperature and what truncates, and says nothing of it.
        Capabilities(thinking=True, effort=("low", "high", "max"), takes=("stop",), parallel=64),
        rows=(
            ModelRow(
                pattern="deepseek-chat*", can={"thinking": False, "effort": (), "logprobs": True, "takes": _COLOURS}
            ),
        ),
    ),
    _hosted(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        _OPENROUTER,
        Capabilities(seed=True, takes=_LOCAL, parallel=32),
        rows=_OPENROUTER_ROWS,
        reports_dollars=True,
    ),
    _hosted(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        OpenAiChat(
            max_tokens="max_completion_tokens",
            thinking={"reasoning_format": "parsed"},
            usage_in="x_groq",
            in_band=True,
            most_stops=4,
        ),
        Capabilities(seed=True, takes=_COLOURS),
        rows=(ModelRow(pattern="*qwen3*", can={**_THINKS, "effort": ("none", "default")}), *_open_models()),
    ),
    _hosted(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        OpenAiChat(max_tokens="max_completion_tokens", sends_defaults=True, in_band=True, most_stops=4),
        Capabilities(seed=True, logprobs=True, takes=_COLOURS),
        rows=_open_models(),
    ),
    _hosted(
        "together",
        "Together",
        "https://api.together.xyz/v1",
        OpenAiChat(sends_defaults=True, in_band=True),
        Capabilities(seed=True, takes=_LOCAL),
        rows=_open_models(),
    ),
    _hosted(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        OpenAiChat(name="mistral_chat", shapes=MistralContent(), seed="random_seed", with_usage=False),
        Capabilities(seed=True, takes=_COLOURS),
        provider="mistral_ai",
        rows=(
            ModelRow(pattern="magistral*", can=_THINKS),
            *(
                ModelRow(pattern=f"mistral-{size}-{version}", **_MISTRAL_THINKS)
                for size in ("small", "medium")
                for version in ("latest", "26*", "2[7-9]*")
            ),
        ),
    ),
    _hosted(
        "zai",
        "Z.ai",
        "https://api.z.ai/api/paas/v4",
        OpenAiChat(sends_defaults=True, thinking={"thinking": {"type": "enabled"}}, with_usage=False, most_stops=1),
        Capabilities(takes=_COLOURS),
        rows=_open_models(),
    ),
    _hosted(
        "huggingface",
        "Hugging Face's router",
        "https://router.huggingface.co/v1",
        OpenAiChat(sends_defaults=True, in_band=True),
        Capabilities(seed=True, takes=_COLOURS),
        key_variable="HF_TOKEN",
        prices=None,
        rows=_open_models(),
    ),
    _hosted(
        "openai-compatible",
        "Any host with OpenAI's Chat Completions",
        "",
        OpenAiChat(sends_defaults=True, in_band=True),
        Capabilities(seed=True, takes=_COLOURS),
        address_variable="OPENAI_COMPATIBLE_BASE_URL",
        prices=None,
        rows=_open_models(),
    ),
)
HOSTS = (*_SERVERS, *_HOSTED)
