"""Following a run while it goes on: its news is gathered in its own thread and shown from the thread that waits.

The observer runs once a token, so it only puts the event into a queue. Showing happens about ten times a second, in the
thread that waits for the run: the kernel's main thread, the only one from which every front end takes messages.
"""

from __future__ import annotations

import sys
import warnings
from collections import deque
from typing import Any, Protocol

from tttlab.notebook.legible import counted, dollars_said, seconds_said
from tttlab.notebook.transcript import Transcript
from tttlab.progress import RunEvent
from tttlab.run import Run


class Screen(Protocol):
    """Where a run is watched."""

    def update(self, transcript: Transcript) -> None:
        """Show the news."""
        ...

    def close(self, run: Run | None) -> bool:
        """Leave the run's result in place, or nothing; returns whether the result is now seen."""
        ...


class Follower:
    """Gives a run's news to a screen: `observe` and `pump` are an `observer` and a `while_waiting` for `think`.

    A screen that fails is given up with a warning, and the run goes on.
    """

    def __init__(self, screen: Screen | None) -> None:
        self.transcript = Transcript()
        self._screen = screen
        self._news: deque[RunEvent] = deque()
        self.observe = self._news.append

    def pump(self) -> None:
        """Show what came since the last time."""
        self.take_in()
        if self._screen is None or self.transcript.started is None:
            return
        try:
            self._screen.update(self.transcript)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is worth more
            self._given_up(error)

    def close(self, run: Run | None) -> bool:
        """End the watching: the screen leaves the run's result in its place, or nothing. Returns whether it is seen."""
        screen, self._screen = self._screen, None
        try:
            return screen is not None and screen.close(run)
        except Exception as error:  # noqa: BLE001 - as above
            self._given_up(error)
            return False

    def take_in(self) -> None:
        """Bring the transcript up to date."""
        while self._news:
            self.transcript.take(self._news.popleft())

    def _given_up(self, error: Exception) -> None:
        self._screen = None
        warnings.warn(f"the live view failed ({type(error).__name__}: {error}); the run goes on", stacklevel=3)


def facts(transcript: Transcript) -> list[str]:
    """How far a run is, in a few words each: what it spent, what is left, how many calls run."""
    if transcript.started is None:
        return []
    meter = transcript.started.meter
    spent, left, limits = meter.spent, meter.remaining(), meter.budget
    said = [counted(spent.tokens, "token"), seconds_said(meter.seconds)]
    if spent.dollars:
        said.insert(1, dollars_said(spent.dollars))
    if limits.tokens is not None:
        said.append(f"{counted(left.tokens or 0, 'token')} left")
    if limits.dollars is not None:
        said.append(f"{dollars_said(left.dollars or 0)} left")
    if limits.seconds is not None:
        said.append(f"{seconds_said(left.seconds or 0)} left")
    running, all_calls = transcript.running, len(transcript.calls)
    asked = counted(all_calls, "call")
    said.append(f"{asked}, {running} running" if running else f"{asked}, all ended")
    if limits.calls is not None:
        said.append(f"{counted(left.calls or 0, 'call')} left")
    return said


def screen_for(shell: Any) -> Screen | None:
    """The screen that suits a shell: a live view in a notebook, a line in a terminal, none where output is captured."""
    from IPython.core.displaypub import CapturingDisplayPublisher

    if isinstance(shell.display_pub, CapturingDisplayPublisher):
        return None
    if (kernel := getattr(shell, "kernel", None)) is not None:
        from tttlab.notebook.live import LiveView

        return LiveView(kernel)
    if sys.stderr.isatty():
        from tttlab.notebook.terminal import StatusLine

        return StatusLine(sys.stderr)
    return None
