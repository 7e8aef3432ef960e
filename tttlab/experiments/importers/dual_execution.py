"""Many programs of one problem against many tests, in the sandbox: which passes which."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tttlab.checks import at_least
from tttlab.errors import SandboxError
from tttlab.sandbox import run_program
from tttlab.types import CodeLimits, Ran

BATCH = Path(__file__).with_name("program_batch.py")
PASSED, OUT_OF_TIME = "1", "t"
_LAST_LINE = "\nend\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLimits:
    """What each test of each program may use. Seconds are of CPU time, so that a busy machine changes little."""

    __test__ = False  # pytest is not meant

    seconds: float = 0.1
    """Of each generated test, and of the program's own definition; CodeT's own limit."""
    final_seconds: float = 0.5
    """Of the test that tells which programs are right."""
    patience: int = 5
    """A program that was out of time so often fails the rest of the generated tests."""
    memory: int = 512
    """MiB of address space, of all programs of a problem together."""
    batch_seconds: float = 600.0
    """After so many a new interpreter takes over where the last one was; nothing is lost."""

    def __post_init__(self) -> None:
        at_least(0.001, seconds=self.seconds, final_seconds=self.final_seconds, batch_seconds=self.batch_seconds)
        at_least(1, patience=self.patience, memory=self.memory)


async def what_happens(
    programs: Sequence[str], tests: Sequence[str], final: str, limits: TestLimits
) -> NDArray[np.str_]:
    """What becomes of each program (rows) in each test (columns; the last is `final`): a letter.

    `PASSED`, `OUT_OF_TIME` (of a test that ended its interpreter, and of those left out for lack of patience, too), or
    another one where it fails.

    Tests are Python code that raises where the program is wrong. All programs share an interpreter, and what ends it
    fails one test of one program: the others go on in a new one. Raises `SandboxError` where nothing can be run.
    """
    if not hasattr(signal, "setitimer"):
        raise SandboxError("programs in batches need timers of processes, which this system has not")
    told = np.full((len(programs), len(tests) + 1), "0", dtype="U1")
    # The final test goes first, so that no generated one can keep a program from it.
    timed = [(final, limits.final_seconds), *((test, limits.seconds) for test in tests)]
    bounds = CodeLimits(seconds=limits.batch_seconds, memory=limits.memory, output=2 * told.size // 1024 + 64)
    code, row, column = BATCH.read_text(encoding="utf-8"), 0, 0
    while row < len(programs):
        job = {
            "programs": [[each, programs[each], column if each == row else 0] for each in range(row, len(programs))],
            "tests": timed,
            "seconds": limits.seconds,
            "patience": limits.patience,
        }
        ran = await run_program(code, stdin=json.dumps(job), limits=bounds)
        lines = _told(ran)
        for each, said in lines.items():
            begin = column if each == row else 0
            told[each, begin : begin + len(said)] = list(said)
        if ran.stdout.endswith(_LAST_LINE):
            break
        last = max(lines)
        place = (column if last == row else 0) + len(lines[last])
        row, column = _next(told, last, place, limits.patience)
    return np.roll(told, -1, axis=1)


def _next(told: NDArray[np.str_], row: int, place: int, patience: int) -> tuple[int, int]:
    """Where a new interpreter begins: behind the test at which the last one ended, which has failed."""
    if place < told.shape[1]:
        told[row, place] = OUT_OF_TIME
    lost_patience = np.count_nonzero(told[row] == OUT_OF_TIME) > patience
    return (row + 1, 0) if lost_patience or place + 1 >= told.shape[1] else (row, place + 1)


def _told(ran: Ran) -> dict[int, str]:
    """The letters of each program that an interpreter came to."""
    lines = [line.partition(":") for line in ran.stdout.split("\n")]
    told = {int(number): said for number, colon, said in lines if colon}
    if not told:
        last = ran.stderr.strip().rsplit("\n", 1)[-1]
        raise SandboxError(f"programs could not be run: {last or ran.outcome}")
    return told
