"""The one seam between synchronous callers and the asynchronous inside: an event loop in a thread of its own.

A notebook's kernel runs a loop already, so a cell that is to stay synchronous waits here for a coroutine that runs
there. An interrupt stops the run, waits for it to be kept, and then goes on as `KeyboardInterrupt`.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

Result = TypeVar("Result")

POLL_SECONDS = 0.1
"""How often a waiting main thread wakes: an interrupt is seen no later than this, on Windows too."""
GRACE_SECONDS = 5.0
"""How long an interrupted run may take to unwind before it is abandoned."""

_running: list[BlockingPortal] = []
_lock = threading.Lock()


def portal() -> BlockingPortal:
    """This process's loop thread, started when first needed.

    It is a daemon thread, so that a process can exit while models keep their engines and connections in the loop.
    """
    with _lock:
        if not _running:
            started = threading.Event()
            threading.Thread(target=_keep_loop, args=(started,), name="tttlab-loop", daemon=True).start()
            started.wait()
        return _running[0]


def _keep_loop(started: threading.Event) -> None:
    try:
        anyio.run(_serve, started)
    finally:
        _running.clear()  # Whatever ended the loop, the next run gets a new one.


async def _serve(started: threading.Event) -> None:
    async with BlockingPortal() as opened:
        _running.append(opened)
        started.set()
        await opened.sleep_until_stopped()


def _after_fork() -> None:
    """A child process has its parent's memory and none of its threads."""
    global _lock  # noqa: PLW0603 - a lock that a thread of the parent holds is never released in the child
    _lock = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def wait_for(
    coroutine: Callable[[], Coroutine[Any, Any, Result]],
    *,
    stop: Callable[[], None],
    while_waiting: Callable[[], None] = lambda: None,
) -> Result:
    """Run a coroutine in the loop thread and wait for its result.

    On `KeyboardInterrupt` it calls `stop`, waits for the coroutine to end by itself, and raises `Interrupted` with the
    result. `while_waiting` is called about ten times a second in the waiting thread; where it raises, the coroutine is
    stopped and the error passes through.
    """
    future: concurrent.futures.Future[Result] | None = None
    try:
        future = portal().start_task_soon(coroutine)
        return _poll(future, while_waiting)
    except KeyboardInterrupt:
        stop()
        if future is None:  # It came while the coroutine was being handed over.
            raise
        try:
            result = future.result(timeout=GRACE_SECONDS)
        except (Exception, concurrent.futures.CancelledError):  # noqa: BLE001 - the interrupt itself goes on
            future.cancel()
            raise KeyboardInterrupt from None
        raise Interrupted(result) from None
    except BaseException:
        if future is not None and not future.done():
            stop()
        raise


class Interrupted(KeyboardInterrupt):
    """An interrupt that came while a run was waited for; `result` is the partial run."""

    def __init__(self, result: Any) -> None:
        super().__init__(
            "the run was stopped and is kept: `error.result` has what it had until then, and after a cell or at a"
            " prompt `sys.last_value.result` does"
        )
        self.result = result


def _poll(future: concurrent.futures.Future[Result], while_waiting: Callable[[], None]) -> Result:
    while True:
        try:
            return future.result(timeout=POLL_SECONDS)
        except TimeoutError:
            if future.done():  # Since the wait ended; or the coroutine itself raised this error.
                return future.result()
            while_waiting()
