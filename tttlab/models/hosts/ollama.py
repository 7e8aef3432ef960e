"""Ollama, by its own API. Its OpenAI route is in `openai_compatible.py`."""

from __future__ import annotations

from tttlab.models.hosts.host import Host, ModelRow
from tttlab.models.wire.ollama import Ollama
from tttlab.types import Capabilities

_SILENT = ("qwen3*instruct*", "qwen3-coder*", "qwen3-embedding*")
_ALWAYS = ("*qwen3*thinking*", "*qwq*", "*deepseek-r[1-9]*", "*magistral*", "*phi4*reasoning*", "*minimax-m*")
_MAY = ("*qwen3*", "*deepseek-v3.[1-9]*", "*deepseek-v[4-9]*", "*glm-4.[5-9]*", "*glm-[5-9]*")
HOSTS = (
    Host(
        name="ollama",
        title="Ollama",
        provider="ollama",
        address="http://127.0.0.1:11434",
        address_variable="OLLAMA_HOST",
        wire=Ollama(),
        can=Capabilities(
            seed=True, logprobs=True, takes=("temperature", "top_p", "top_k", "min_p", "stop"), parallel=4
        ),
        rows=(
            ModelRow(
                pattern="*gpt-oss*",
                can={"thinking": True, "effort": ("low", "medium", "high")},
                traits={"levels": True},
            ),
            *(ModelRow(pattern=pattern) for pattern in _SILENT),
            *(ModelRow(pattern=pattern, can={"thinking": True}) for pattern in _ALWAYS),
            *(
                ModelRow(
                    pattern=pattern,
                    can={"thinking": True, "effort": ("none",)},
                    traits={"at_effort": {"none": {"thinking": False}}},
                )
                for pattern in _MAY
            ),
        ),
        local=True,
        listing="/api/tags",
    ),
)
