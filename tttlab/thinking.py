"""`think`: the synchronous way in, for scripts and notebook cells alike."""

from __future__ import annotations

from typing import Any

from tttlab.portal import wait_for
from tttlab.progress import Observer
from tttlab.run import Run
from tttlab.runner import Runner, plan
from tttlab.types import Problem


def think(prompt: str | Problem, *, observer: Observer | None = None, **options: Any) -> Run:
    """Like `athink`, but waits. An interrupt stops the run, keeps it, and raises `KeyboardInterrupt`.

    The interrupt raised is a `tttlab.portal.Interrupted`; its `result` is the partial run.
    """
    runner = Runner(plan(prompt, **options), observer)
    return wait_for(runner.run, stop=runner.stop)
