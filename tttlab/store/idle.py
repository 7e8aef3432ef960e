"""Compaction by itself: when a journal is quiet, or has written very much; in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from tttlab.store.stopping import Stop, Stopped

QUIET_SECONDS = 20.0
"""How long nothing was recorded when a moment counts as idle."""
SEGMENTS_WHEN_QUIET = 20
"""So many segments of its own are worth compacting then."""
SEGMENTS_AT_ANY_TIME = 200
"""So many are compacted even while runs go on."""


class SelfCompaction:
    """Compacts the store of a journal, whose thread tells it what happens and never waits for it.

    `clock` gives seconds. One that began in an idle moment is given up when that ends, and begun again in the next.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._written = 0
        self._undone = 0
        self._quiet_since = clock()
        self._thread: Thread | None = None
        self._stop = Stop()
        self._when_idle = False
        self.trouble: str | None = None
        """Why the last one failed."""

    def turn(self, written: int, *, busy: bool) -> None:
        """So many segments were written since the last turn, and calls are going on if `busy`."""
        now, busy = self._clock(), busy or written > 0
        self._written += written
        if busy:
            self._quiet_since = now
        if self._thread is not None and self._thread.is_alive():
            if busy and self._when_idle:
                self._stop.ask()
            return
        self._written, self._undone = self._written + self._undone, 0
        idle = now - self._quiet_since >= QUIET_SECONDS and self._written >= SEGMENTS_WHEN_QUIET
        if idle or self._written >= SEGMENTS_AT_ANY_TIME:
            self._start(when_idle=idle)

    def wait(self) -> None:
        """Wait until it is not at work."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Stop: a thread that is inside DuckDB when the interpreter ends would abort it."""
        while self._thread is not None and self._thread.is_alive():
            self._stop.ask()
            self._thread.join(timeout=0.02)

    def _start(self, *, when_idle: bool) -> None:
        taken, self._written = self._written, 0
        self._quiet_since = self._clock()  # One that another process keeps from the store tries again as long after.
        self._when_idle, self._stop = when_idle, Stop()
        self._thread = Thread(target=self._compact, args=(taken, self._stop), name="tttlab-compaction", daemon=True)
        self._thread.start()

    def _compact(self, taken: int, stop: Stop) -> None:
        from tttlab.store.compaction import compact

        try:
            if not compact(self._folder, stop=stop):
                self._undone = taken
            self.trouble = None
        except Stopped:
            self._undone = taken
        except Exception as error:  # noqa: BLE001 - nothing is lost by it, and nobody waits for this thread
            self.trouble = str(error)
