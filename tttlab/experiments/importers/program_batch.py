"""Runs inside the sandbox: many programs of one problem, each against many tests, in one interpreter.

A script of the standard library alone, with its job as JSON on standard input. To start a Python for each program would
take ten times as long as to run it. What a program does by accident ends itself and no other: an endless loop at its
test's limit, one inside C and one that catches everything by the kernel's timer, and then the caller begins a new
interpreter behind that test. Each program has its own names and builtins; the rest of the standard library is shared.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import random
import re
import signal
import sys
import warnings
from types import CodeType, FrameType
from typing import Any

PASSED, FAILED, OUT_OF_TIME, WAITED = "1", "0", "t", "w"
"""A test's letters. One that waited (it sleeps, say) used no time, and kept all others waiting."""
MOST_CAUGHT = 3
"""A test that catches as many exceptions which should have ended it is ended with its interpreter."""
WALL_SECONDS = 30.0
_IMPORTED = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.MULTILINE)
_RECURSION = 1000
_BUILTINS = dict(vars(builtins))


class OutOfTime(BaseException):
    """A test has used up its time."""


class Clock:
    """The limits of one test at a time: CPU seconds, wall seconds for one that sleeps, and the kernel's own end."""

    def __init__(self) -> None:
        self._armed = False
        self._rung = 0
        self._ended = FAILED
        for name in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(name, self._ring)

    def _ring(self, number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._ended = WAITED if number == signal.SIGALRM else OUT_OF_TIME
            self._rung += 1
            if self._rung >= MOST_CAUGHT:
                os._exit(1)
            raise OutOfTime

    def run(self, code: CodeType, names: dict[str, Any], seconds: float) -> str:
        """The letter of one test, or of a program's own definition."""
        told, self._rung, self._armed = FAILED, 0, True
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
            signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS, WALL_SECONDS)
            # Nothing in Python hears this one: it ends the process, inside whatever it is.
            signal.setitimer(signal.ITIMER_VIRTUAL, 3 * seconds + 0.5)
            exec(code, names)  # noqa: S102 - this is what the sandbox is for
            told = PASSED
        except BaseException:  # noqa: BLE001 - whatever a program raises, SystemExit too, it has not passed
            told = FAILED
        finally:
            self._armed = False
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
                signal.setitimer(timer, 0)
        return self._ended if self._rung else told


def main() -> None:
    """Run the job, and tell of each program by a line: its number, a colon, and a letter for each test."""
    job = json.load(sys.stdin)
    told = os.dup(1)
    _close_off()
    _prepare(job["programs"])
    tests = [(_compiled(text, "test.py"), seconds) for text, seconds in job["tests"]]
    clock = Clock()
    gc.freeze()
    for number, program, begin in job["programs"]:
        os.write(told, f"\n{number}:".encode())
        _run_one(clock, program, tests[begin:], job["seconds"], job["patience"], told)
        gc.collect()
    os.write(told, b"\nend\n")


def _run_one(
    clock: Clock, program: str, tests: list[tuple[CodeType | None, float]], seconds: float, patience: int, told: int
) -> None:
    builtins.__dict__.update(_BUILTINS)  # Whatever the program before this one made of them.
    sys.setrecursionlimit(_RECURSION)
    random.seed(0)
    names: dict[str, Any] = {"__name__": "candidate", "__builtins__": _BUILTINS.copy()}
    code = _compiled(program, "candidate.py")
    if code is None or clock.run(code, names, seconds) != PASSED:
        os.write(told, FAILED.encode() * len(tests))
        return
    for place, (test, limit) in enumerate(tests):
        said = FAILED if test is None else clock.run(test, dict(names), limit)
        os.write(told, said.encode())
        patience -= said == OUT_OF_TIME
        if patience <= 0 or said == WAITED:
            os.write(told, OUT_OF_TIME.encode() * (len(tests) - place - 1))
            return


def _compiled(text: str, name: str) -> CodeType | None:
    try:
        return compile(text, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _close_off() -> None:
    """Programs print into nothing, read nothing, and import the standard library alone, so that all see the same."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.path[:] = [path for path in sys.path if "site-packages" not in path and "dist-packages" not in path]
    warnings.simplefilter("ignore")


def _prepare(programs: list[list[Any]]) -> None:
    """Import beforehand what programs import, so that no test pays for it out of its time."""
    wanted = {name for _, program, _ in programs for name in _IMPORTED.findall(program)}
    for name in sorted(wanted & set(sys.stdlib_module_names)):
        if name not in ("antigravity", "this", "idlelib", "turtle", "tkinter", "turtledemo"):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - then it is missing for the program as well
                continue


if __name__ == "__main__":
    main()
