"""Models that run in this process: the embedded SmolLM2, and any GGUF file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from tttlab.errors import EngineError, WeightsError
from tttlab.events import Finish, StreamEvent
from tttlab.models.engine import Engine
from tttlab.models.llama import set_wait_policy
from tttlab.models.sample import Sample
from tttlab.models.threads import Threads, choose_threads
from tttlab.models.weights import digest_of, fetch, fingerprint, remember_facts, remembered_facts
from tttlab.types import Capabilities, Request

CONTEXT = 2048
"""Tokens of prompt and output that one sample may have."""
PROBE_SECONDS = 300
_TRIED = "tried.json"

_engines: dict[tuple[Path, int, int], Engine] = {}
_lock = threading.Lock()


class LocalModel:
    """A model loaded into this process, with llama.cpp as its engine.

    It streams every token with its id, its log-probability and the likeliest alternatives; goes on from a partial
    answer; and gives the same tokens for the same seed, bit for bit, alone or among others. Samples of one prompt share
    its evaluation. Two models of one file share what is loaded. Not for files that you do not trust: the engine is
    native code.
    """

    provider = "llama_cpp"

    def __init__(self, path: Path, *, name: str, parallel: int = 16, context: int = CONTEXT) -> None:
        """Load the file at `path`, for `parallel` samples at once. Raises `ModelError`."""
        self.name = name
        self.path = path
        self.can = Capabilities(seed=True, logprobs=True, prefix=True, parallel=parallel)
        self.threads: Threads = choose_threads(path)
        self._engine = _engine(path, parallel, context, self.threads)
        self.parameters = self._engine.parameters

    @classmethod
    def smollm2(cls) -> LocalModel:
        """SmolLM2-135M-Instruct (Apache-2.0, 98 MB), fetched when it is missing. Raises `ModelError`."""
        return cls(fetch(), name="local:smollm2")

    @classmethod
    def from_file(cls, path: str | Path, *, parallel: int = 4, context: int = CONTEXT) -> LocalModel:
        """A GGUF file of yours.

        It is loaded in a child process first, once, since a native abort would take the kernel along. Raises
        `WeightsError` for a file that is missing or no GGUF, and `EngineError` for one that fails.
        """
        file = Path(path).expanduser().absolute()
        _check_file(file)
        _try_in_child(file)
        return cls(file, name=f"local:{file.name}", parallel=parallel, context=context)

    def close(self) -> None:
        """Give the memory back; one that is asked again says to load it again. Harmless when done already.

        Models of one file with the same `parallel` and `context` are one in memory, and are closed together.
        """
        with _lock:
            for key in [key for key, engine in _engines.items() if engine is self._engine]:
                del _engines[key]
        self._engine.close()

    def __repr__(self) -> str:
        return f"<local model {self.name!r}: {self.threads.count} threads, wait policy {self.threads.policy}>"

    def describe(self) -> dict[str, str | int]:
        """What identifies the weights and what ran them."""
        return dict(self._described)

    @cached_property
    def _described(self) -> dict[str, str | int]:
        # Asked several times a run, and the same as long as the model is loaded.
        return {
            "file": self.path.name,
            "digest": digest_of(self.path),
            "engine": f"xllamacpp {version('xllamacpp')}",
            "context": self._engine.context,
            "threads": self.threads.count,
            "wait_policy": f"{self.threads.policy} ({self.threads.source})",
        }

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Generate one completion. Raises `CallError`."""
        sample = Sample(request, asyncio.get_running_loop())
        self._engine.enter(sample)
        try:
            while True:
                event = await sample.take()
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            sample.closed = True


def _engine(path: Path, slots: int, context: int, threads: Threads) -> Engine:
    key = (path, slots, context)
    with _lock:
        if key not in _engines:
            set_wait_policy(threads.environment)
            _engines[key] = Engine(path, slots=slots, context=context, threads=threads.count)
        return _engines[key]


def _leave_to_parent() -> None:
    """A forked child has none of the engines' threads."""
    for engine in _engines.values():
        engine.abandon()
    _engines.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    # The lock is held meanwhile, so that none is half loaded in the child.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_leave_to_parent)


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise WeightsError(f"there is no file {file}: give the path of a GGUF file, as in local:/path/to/model.gguf")
    try:
        with file.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise WeightsError(f"{file} is no GGUF file: it begins with {magic!r}, where b'GGUF' was expected")


def _try_in_child(file: Path) -> None:
    key = fingerprint(file)
    tried = remembered_facts(_TRIED)
    if key in tried:
        return
    words = [sys.executable, "-m", "tttlab.models.probe", str(file), "1"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"{file} generated nothing within {PROBE_SECONDS} s in a child process") from None
    if done.returncode < 0:
        raise EngineError(
            f"{file} made the engine abort (signal {-done.returncode}) in a child process, so it is not loaded here: "
            "the file may be damaged, or too large for this machine's memory"
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise EngineError(said[-1] if said else f"{file} could not be loaded (exit {done.returncode})")
    remember_facts(_TRIED, {**tried, key: True})
