"""Running a program that nobody has read: in a process of its own, jailed as well as the system can, within limits.

Whether a program may be run at all is decided above, in the session: nothing here asks for leave.
"""

from __future__ import annotations

import json
import math
import signal
import tempfile
import time
from contextlib import suppress
from functools import partial
from subprocess import PIPE
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process
from anyio.lowlevel import RunVar

from tttlab.errors import SandboxError
from tttlab.sandbox.isolation import INSIDE, Isolation, candidates, readable, surroundings
from tttlab.types import CodeLimits, CodeOutcome, Ran

_MIB = 1 << 20
_OPEN_FILES = 64
_SIGNALLED = 128
"""An exit code above it is a signal's number and this."""
_SPENT = {9, 24}
"""The signals that end a program which has used up its CPU time: SIGXCPU, and SIGKILL for one that ignores it."""
_PROBE = CodeLimits(seconds=20.0)
_found: Isolation | None = None
_turns: RunVar[anyio.CapacityLimiter] = RunVar("tttlab_sandbox_turns")


async def run_program(
    code: str, *, stdin: str = "", limits: CodeLimits | None = None, isolation: Isolation | None = None
) -> Ran:
    """Run a Python program and wait for its end, whatever that is; the event loop goes on meanwhile.

    As many run at once as there are processors: the others wait, and their time has not begun. The best isolation of
    this system is taken unless another is given. When the call is cancelled, the program is killed. Raises
    `SandboxError` where this system can run none.
    """
    chosen = isolation or await best_isolation()
    async with _turn():
        return await _run(code, stdin, limits or CodeLimits(), chosen)


async def best_isolation() -> Isolation:
    """The first that works here, found by trying, once in a process. Raises `SandboxError` where none does."""
    global _found  # noqa: PLW0603 - what the system can do is a fact of the process
    if _found is None:
        said = ""
        for candidate in candidates():
            ran = await _run("print(6 * 7)", "", _PROBE, candidate)
            if ran.outcome == "ok" and ran.stdout == "42\n":
                _found = candidate
                return candidate
            said = ran.stderr.strip().split("\n")[-1]
        raise SandboxError(f"no program can be run here, not even within limits alone: {said or 'it gave no reason'}")
    return _found


def _turn() -> anyio.CapacityLimiter:
    try:
        return _turns.get()
    except LookupError:
        import os

        limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        _turns.set(limiter)
        return limiter


async def _run(code: str, stdin: str, limits: CodeLimits, isolation: Isolation) -> Ran:
    folder = tempfile.TemporaryDirectory(prefix="tttlab-", ignore_cleanup_errors=True)
    try:
        return await _Program(limits, isolation, folder.name).run(code, stdin)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(folder.cleanup)


class _Program:
    """One program, from its start to its end."""

    def __init__(self, limits: CodeLimits, isolation: Isolation, folder: str) -> None:
        self._limits = limits
        self._isolation = isolation
        self._folder = folder
        self._room = limits.output * 1024
        self._overflowed = False
        self._printed: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    async def run(self, code: str, stdin: str) -> Ran:
        started = time.perf_counter()
        inside = INSIDE if self._isolation.jailed else self._folder
        process = await anyio.open_process(
            self._isolation.command(self._limits.files * _MIB),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=surroundings(inside),
            cwd=self._folder,
            start_new_session=True,
        )
        try:
            with anyio.move_on_after(self._limits.seconds) as clock:
                await self._attend(process, self._job(code, stdin, inside))
        finally:
            await _end(process)
        outcome, exit_code = self._judge(process.returncode, timed_out=clock.cancelled_caught)
        return Ran(
            outcome=outcome,
            exit_code=exit_code,
            stdout=self._text("stdout"),
            stderr=self._text("stderr"),
            seconds=time.perf_counter() - started,
            isolation=str(self._isolation),
        )

    def _job(self, code: str, stdin: str, inside: str) -> bytes:
        paths, links = readable() if self._isolation.kind == "namespaces" else ([], {})
        files = self._limits.files * _MIB
        job: dict[str, Any] = {
            "code": code,
            "stdin": stdin,
            "folder": inside,
            "namespaces": self._isolation.kind == "namespaces",
            "seccomp": self._isolation.seccomp,
            "root": self._folder,
            "readable": paths,
            "links": links,
            "space": files,
            "limits": {
                "CPU": math.ceil(self._limits.seconds),
                "AS": self._limits.memory * _MIB,
                "FSIZE": files,
                "NOFILE": _OPEN_FILES,
                "CORE": 0,
                # Where the filter refuses new processes, threads, which the same limit counts, need not be refused.
                **({} if self._isolation.seccomp else {"NPROC": 1}),
            },
        }
        return json.dumps(job).encode()

    async def _attend(self, process: Process, job: bytes) -> None:
        async with anyio.create_task_group() as tasks:
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
                tasks.start_soon(self._read, name, stream, partial(tasks.cancel_scope.cancel))
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                # It may end before it has read everything.
                if process.stdin:
                    await process.stdin.send(job)
                    await process.stdin.aclose()
            await process.wait()

    async def _read(self, name: str, stream: ByteReceiveStream | None, stop: Any) -> None:
        if stream is None:
            return
        async for piece in stream:
            self._printed[name] += piece[: self._room]
            self._room -= len(piece)
            if self._room < 0:
                self._overflowed = True
                stop()
                return

    def _judge(self, code: int | None, *, timed_out: bool) -> tuple[CodeOutcome, int | None]:
        if self._overflowed:
            return "output", None
        if timed_out:
            return "timeout", None
        exit_code = 1 if code is None else code if code >= 0 else _SIGNALLED - code
        if exit_code == 0:
            return "ok", 0
        if exit_code - _SIGNALLED in _SPENT:
            return "timeout", exit_code
        if exit_code > _SIGNALLED:
            return "killed", exit_code
        last = self._text("stderr").strip().rsplit("\n", 1)[-1]
        return ("memory" if last.startswith("MemoryError") else "error"), exit_code

    def _text(self, name: str) -> str:
        return bytes(self._printed[name]).decode("utf-8", "replace")


async def _end(process: Process) -> None:
    """Kill whatever is left of it, and wait until it is gone."""
    import os

    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    with anyio.CancelScope(shield=True):
        await process.aclose()
