"""`think`: the synchronous way in, for scripts and notebook cells alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tttlab.portal import wait_for
from tttlab.progress import Observer
from tttlab.run import Run
from tttlab.runner import Runner, plan
from tttlab.types import Problem


def think(
    prompt: str | Problem,
    *,
    observer: Observer | None = None,
    while_waiting: Callable[[], None] = lambda: None,
    **options: Any,
) -> Run:
    """Like `athink`, but waits. An interrupt stops the run, keeps it, and raises `KeyboardInterrupt`.

    The interrupt raised is a `tttlab.portal.Interrupted`; its `result` is the partial run. `while_waiting` is called
    about ten times a second in the calling thread: there is time to show what the `observer` was told.
    """
    runner = Runner(plan(prompt, **options), observer)
    return wait_for(runner.run, stop=runner.stop, while_waiting=while_waiting)
