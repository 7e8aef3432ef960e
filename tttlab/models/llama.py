"""The local engine's library, xllamacpp (llama.cpp in process), imported here alone and when it is needed."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from tttlab.errors import CallError, EngineError
from tttlab.types import Message

Chunk = Mapping[str, Any]

FORKED = (
    "a local model cannot be used in a process that was forked after one was loaded: start it anew, as in "
    "multiprocessing.get_context('spawn'), and load the model there"
)
_processes: set[int] = set()
"""The processes, this one or those that it was forked from, in which the library has started threads."""


class LlamaServer:
    """A loaded model with `slots` sequences of up to `context` tokens each.

    Generation goes through the library's own call; what it offers over HTTP alone (templates, tokens) goes over
    loopback, with a key drawn here, so that nobody else on the machine can use the port.
    """

    def __init__(self, model: Path, *, slots: int, context: int, threads: int) -> None:
        """Load the model. Raises `EngineError`."""
        key = secrets.token_urlsafe(32)
        self._server = _start(model, slots, context, threads, key)
        self._http = httpx.Client(
            base_url=str(self._server.listening_address),
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=60,
        )

    def render(self, messages: Sequence[Message]) -> list[int]:
        """A conversation as the tokens that the model is given; a last turn of the assistant's is left open."""
        turns = [{"role": message.role, "content": message.text} for message in messages]
        prompt = self._asked("/apply-template", {"messages": turns})["prompt"]
        tokens: list[int] = self._asked("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})[
            "tokens"
        ]
        return tokens

    def parameters(self) -> int | None:
        """How many weights the model has."""
        answer = self._http.get("/v1/models")
        found = answer.json()["data"][0].get("meta", {}).get("n_params") if answer.is_success else None
        return int(found) if found else None

    def text_of(self, token_id: int) -> str:
        """A token's own text; bytes that are no whole character are U+FFFD."""
        return str(self._asked("/detokenize", {"tokens": [token_id]})["content"])

    def complete(self, body: Mapping[str, Any], take: Callable[[Chunk], bool]) -> None:
        """Run one completion request and give each chunk to `take`, which returns True to cancel. Blocks."""
        self._server.handle_completions(dict(body), take)

    def close(self) -> None:
        """Unload the model. Nothing may be running. Harmless when done already."""
        self._http.close()
        self._server = None

    def abandon(self) -> None:
        """Keep the library's object for good: its end would wait for threads that a forked child does not have."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))

    def _asked(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self._http.post(path, json=body)
        if answer.is_error:
            said = answer.json().get("error", {}).get("message", answer.text)
            raise CallError(f"the local engine refused the prompt: {said}")
        return answer.json()


def set_wait_policy(environment: Mapping[str, str]) -> None:
    """Set OpenMP's variables, which the engine reads when it is imported."""
    for name, value in environment.items():
        os.environ.setdefault(name, value)


def _start(model: Path, slots: int, context: int, threads: int, key: str) -> Any:
    """Start the library's server.

    The value cache is bfloat16, with flash attention: then the same seed gives the same tokens and log-probabilities to
    the bit, alone or batched, cold or from a cached prefix (half precision, the default, differs within a few tokens:
    measured with SmolLM2 to 512 tokens, xllamacpp 2026.10.11549, 2026-11-24).
    """
    if _processes - {os.getpid()}:
        # It would load and answer, and abort when it ends: the library waits for threads that were not forked along.
        raise EngineError(FORKED)
    library = _library()
    _processes.add(os.getpid())
    parameters = library.CommonParams()
    parameters.model.path = str(model)
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.kv_unified = False
    parameters.cache_type_v = library.ggml_type.GGML_TYPE_BF16
    parameters.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    parameters.cache_idle_slots = False
    parameters.cache_ram_mib = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.verbosity = -1
    parameters.api_keys = [key]
    try:
        return library.Server(parameters)
    except Exception as error:
        raise EngineError(
            f"the engine could not load {model} ({slots} x {context:,} tokens): expected a whole GGUF file of a "
            f"language model that xllamacpp {version('xllamacpp')} knows and that fits into memory; compare its size "
            f"with that at its source, fetch it again or take another one ({' '.join(str(error).split())})"
        ) from error


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        if "libgomp" in str(error):
            raise EngineError(
                "the local engine needs the system library libgomp, which is missing: install it with "
                "`apt-get install libgomp1` (Debian, Ubuntu) or `dnf install libgomp` (Fedora), then restart the kernel"
            ) from error
        raise EngineError(
            f"the local engine cannot be loaded ({error}): install it with `pip install xllamacpp`"
        ) from error
    return xllamacpp
