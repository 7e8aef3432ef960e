"""The local engine's schedule: which samples run together, and in which slots.

Samples of one request whose seeds count up are asked of the engine as one: it evaluates their prompt once and seeds the
i-th with base + i. A group gets the lowest free slots, side by side, since the engine computes neighbouring slots in
one batch and others apart (8 samples side by side ran 1.7 times as fast as 8 scattered: 2026-11-24, 2 cores).
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from tttlab.errors import CallError, ModelError
from tttlab.models.group import Group
from tttlab.models.llama import LlamaServer
from tttlab.models.sample import Sample
from tttlab.types import Message

JOIN_SECONDS = 5.0
"""How long the end of a process waits for generations to be cancelled."""


class Engine:
    """A loaded model, shared by everything in this process that streams from it."""

    def __init__(self, model: Path, *, slots: int, context: int, threads: int) -> None:
        """Load the model. Raises `EngineError`."""
        self.slots = slots
        self.context = context
        self._server = LlamaServer(model, slots=slots, context=context, threads=threads)
        self.parameters = self._server.parameters()
        self._waiting: list[Sample] = []
        self._free = set(range(slots))
        self._running: dict[Group, threading.Thread] = {}
        self._lock = threading.RLock()
        self._render = lru_cache(maxsize=256)(self._server.render)
        self._text_of = lru_cache(maxsize=None)(self._server.text_of)
        atexit.register(self.close)

    def enter(self, sample: Sample) -> None:
        """Queue a sample. Those queued in the same turn of the event loop are looked at together."""
        with self._lock:
            self._waiting.append(sample)
        asyncio.get_running_loop().call_soon(self._dispatch)

    def close(self) -> None:
        """Cancel what runs, wait for it, and unload: a thread left in native code would abort the interpreter's end."""
        with self._lock:
            threads = list(self._running.values())
            for sample in [*self._waiting, *(sample for group in self._running for sample in group.samples)]:
                sample.closed = True
            self._waiting.clear()
        for thread in threads:
            thread.join(JOIN_SECONDS)
        if not self._running:
            self._server.close()
        atexit.unregister(self.close)

    def _dispatch(self) -> None:
        """Start as many of the waiting samples as there are slots for, in the order in which they came."""
        with self._lock:
            self._waiting = [sample for sample in self._waiting if not sample.closed]
            for samples in groups(self._waiting):
                if not self._has_room(len(samples)):
                    break
                self._start(samples[: len(self._free)])

    def _has_room(self, wanted: int) -> bool:
        # A start of its own evaluates the prompt again, which a few slots are not worth.
        return len(self._free) >= min(wanted, max(1, self.slots // 4))

    def _start(self, samples: Sequence[Sample]) -> None:
        started = set(map(id, samples))
        self._waiting = [sample for sample in self._waiting if id(sample) not in started]
        taken = sorted(self._free)[: len(samples)]
        self._free.difference_update(taken)
        group = Group(samples, taken, self._text_of, self._release)
        thread = threading.Thread(target=self._run, args=(group,), name="tttlab-engine", daemon=True)
        self._running[group] = thread
        thread.start()

    def _run(self, group: Group) -> None:
        try:
            prompt = self._render(group.request.messages)
            self._check_length(prompt)
            group.start(len(prompt))
            self._server.complete(group.body(prompt), group.take)
        except ModelError as error:
            group.fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, a stream waits for its end
            group.fail(CallError(f"the local engine failed: {type(error).__name__}: {error}"))
        finally:
            group.end(self.context)
            with self._lock:
                del self._running[group]

    def _check_length(self, prompt: Sequence[int]) -> None:
        if len(prompt) >= self.context:
            raise CallError(
                f"the prompt has {len(prompt):,} tokens and the model was loaded with a context of {self.context:,}: "
                f"shorten it, or load the model as LocalModel.from_file(path, context={2 * len(prompt)})"
            )

    def _release(self, slots: Sequence[int]) -> None:
        with self._lock:
            self._free.update(slots)
            waiting = bool(self._waiting)
        if waiting:
            self._dispatch()


def groups(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Samples parted into those that the engine can be asked for as one, in the order of their first members."""
    alike: dict[tuple[tuple[Message, ...], object], list[Sample]] = {}
    for sample in samples:
        alike.setdefault((sample.request.messages, sample.request.sampling), []).append(sample)
    found: list[list[Sample]] = []
    for members in alike.values():
        last = None
        for sample in sorted(members, key=lambda member: -1 if member.request.seed is None else member.request.seed):
            seed = sample.request.seed
            if last is None or seed != last + 1:
                found.append([])
            found[-1].append(sample)
            last = seed
    return found
