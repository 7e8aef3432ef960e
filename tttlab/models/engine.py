"""The local engine's schedule: which samples run together, and in which slots.

Samples of one request whose seeds count up are asked of the engine as one: it evaluates their prompt once and seeds the
i-th with base + i. A group gets the lowest free slots, side by side, since the engine computes neighbouring slots in
one batch and others apart (8 samples side by side ran 1.7 times as fast as 8 scattered: 2026-11-24, 2 cores).

Nothing is heard from the engine while it evaluates a prompt, so nothing can be cancelled there. One group at a time is
therefore at its prompt: what was given up meanwhile is never evaluated, and an end waits for one prompt at most.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from tttlab.errors import CallError, ModelError
from tttlab.models.group import Group, in_one_line
from tttlab.models.llama import FORKED, Chunk, LlamaServer
from tttlab.models.sample import Sample
from tttlab.types import Message

TURNS = 50
"""How many turns of its loop a run has at a process's end to take in that its calls have ended."""
TURNS_SECONDS = 1.0


class Engine:
    """A loaded model, shared by everything in this process that streams from it."""

    def __init__(self, model: Path, *, slots: int, context: int, threads: int) -> None:
        """Load the model. Raises `EngineError`."""
        self.slots = slots
        self.context = context
        self._name = model.name
        self._refusal: str | None = None
        self._waiting: list[Sample] = []
        self._free = set(range(slots))
        self._running: dict[Group, threading.Thread] = {}
        self._prompting: Group | None = None
        self._lock = threading.RLock()
        self._server = LlamaServer(model, slots=slots, context=context, threads=threads)
        self.parameters = self._server.parameters()
        self._render = lru_cache(maxsize=256)(self._server.render)
        self._text_of = lru_cache(maxsize=None)(self._server.text_of)
        atexit.register(self.close)

    def enter(self, sample: Sample) -> None:
        """Queue a sample; those queued in one turn of the event loop are looked at together. Raises `CallError`."""
        with self._lock:
            if self._refusal:
                raise CallError(self._refusal)
            self._waiting.append(sample)
            # Last registered is first called: before the journal of the run that asks, which can be younger than this.
            atexit.unregister(self._exit)
            atexit.register(self._exit)
        asyncio.get_running_loop().call_soon(self._dispatch)

    def close(self) -> None:
        """Cancel what runs, wait for it, and unload. Harmless when done already."""
        with self._lock:
            self._refusal = self._refusal or (
                f"the model of {self._name} was closed: load it again, as in tttlab.model('local:smollm2')"
            )
            closed = CallError(self._refusal)
            running, waiting, self._waiting = dict(self._running), self._waiting, []
        for sample in waiting:
            sample.put(closed)
        for group in running:
            group.cancel(closed)
        for thread in running.values():
            # Without a limit, since a thread that is left in native code aborts the interpreter's end. It is not long:
            # the group at its prompt finishes that, and all others stop at their next token.
            thread.join()
        self._server.close()
        atexit.unregister(self._exit)
        atexit.unregister(self.close)

    def abandon(self) -> None:
        """In a forked child, which has the memory of the engine and none of its threads: refuse, and touch nothing."""
        self._lock = threading.RLock()  # The old one may be held by a thread that is not here.
        self._refusal = FORKED
        self._server.abandon()
        atexit.unregister(self._exit)
        atexit.unregister(self.close)

    def _exit(self) -> None:
        """Close, and let the runs see it: what they then record is still written, by the journal's own exit."""
        with self._lock:
            samples = [*self._waiting, *(sample for group in self._running for sample in group.samples)]
        self.close()
        for loop in {sample.loop for sample in samples if sample.loop.is_running()}:
            with suppress(TimeoutError, RuntimeError):  # It is busy, or it was closed since.
                asyncio.run_coroutine_threadsafe(_turn(), loop).result(TURNS_SECONDS)

    def _dispatch(self) -> None:
        """Start the first of the waiting groups, once none is at its prompt and there are slots for it."""
        with self._lock:
            self._waiting = [sample for sample in self._waiting if not sample.closed]
            if self._prompting is not None or not self._waiting:
                return
            first = groups(self._waiting)[0]
            if self._has_room(len(first)):
                self._start(first[: len(self._free)])

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
        self._prompting = group
        thread.start()

    def _run(self, group: Group) -> None:
        def take(chunk: Chunk) -> bool:
            stop = group.take(chunk)
            if self._prompting is group:
                self._prompt_done(group)
            return stop

        try:
            prompt = self._render(group.request.messages)
            self._check_length(prompt)
            if group.unwanted:
                return
            group.start(len(prompt))
            self._server.complete(group.body(prompt), take)
        except ModelError as error:
            group.fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, a stream waits for its end
            group.fail(CallError(f"the local engine failed: {type(error).__name__}: {in_one_line(error)}"))
        finally:
            group.end(self.context)
            with self._lock:
                del self._running[group]
            self._prompt_done(group)

    def _prompt_done(self, group: Group) -> None:
        with self._lock:
            if self._prompting is not group:
                return
            self._prompting = None
        self._dispatch()

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


async def _turn() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


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
