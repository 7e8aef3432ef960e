"""The clock of a run: real time, or the time of its record while it only serves what was recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio


@dataclass(slots=True)
class Deadline:
    """A scope that ends when the clock comes to `due`, in seconds since the run's start."""

    scope: anyio.CancelScope
    due: float
    passed: bool = False

    def has_passed(self) -> bool:
        """Whether it is why the scope was cancelled."""
        return self.passed or (self.scope.cancel_called and anyio.current_time() >= self.scope.deadline)


class RunClock:
    """Seconds since the run's start. A held clock stands still but for what `advance` tells it, until `go`."""

    def __init__(self, *, held: bool = False) -> None:
        self.held = held
        self._started = time.monotonic()
        self._offset = 0.0
        self._deadlines: list[Deadline] = []

    def now(self) -> float:
        """Seconds since the run's start."""
        return self._offset if self.held else self._offset + time.monotonic() - self._started

    def advance(self, seconds: float) -> None:
        """While held: it is this late by now, or later. It never goes back."""
        if self.held:
            self._offset = max(self._offset, seconds)

    def pass_deadlines(self, seconds: float) -> None:
        """While held: it is this late by now, and the scopes that are due are cancelled."""
        self.advance(seconds)
        for deadline in self._deadlines:
            if deadline.due <= seconds and not deadline.passed:
                deadline.passed = True
                deadline.scope.cancel()

    def next_due(self) -> float | None:
        """When the next scope is due that has not been cancelled."""
        return min((each.due for each in self._deadlines if not each.passed and each.due < math.inf), default=None)

    def go(self) -> None:
        """From now on time passes by itself. Harmless when it does already."""
        if not self.held:
            return
        self.held = False
        self._started = time.monotonic()
        for deadline in self._deadlines:
            deadline.scope.deadline = anyio.current_time() + deadline.due - self._offset

    @contextmanager
    def limit(self, scope: anyio.CancelScope, seconds: float | None) -> Iterator[Deadline]:
        """Cancel the scope once this many seconds have passed, if it is still open; None never does."""
        due = math.inf if seconds is None else self.now() + seconds
        deadline = Deadline(scope, due)
        self._deadlines.append(deadline)
        if not self.held and seconds is not None:
            scope.deadline = anyio.current_time() + seconds
        try:
            yield deadline
        finally:
            self._deadlines.remove(deadline)
