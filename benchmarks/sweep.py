"""What a sweep costs beside its runs: 10,000 calls to a model that answers at once, recorded in a real store.

The same runs are made by a plain loop of `await tttlab.athink(...)`; what the sweep takes more, over its calls, is its
bookkeeping. Ways take turns, each in a store of its own; seconds are those of the processor, all threads of the process
together, and of the clock. Of a model that is an object no call is shared; of one with a name, combinations share them
where that is quicker, and none of this one's are. Then memory, in one sweep of 10,000 calls: what
Python holds, as `tracemalloc` counts it, and what the process holds, when 2,000 and when 10,000 calls have ended.
"""

from __future__ import annotations

import gc
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tttlab
from tttlab import Problem, ScriptedModel
from tttlab.experiments.sweeps import sweep
from tttlab.portal import portal
from tttlab.types import Request

CALLS = 10_000
TURNS = 2
SAMPLES = 16
FEW = 2_000

Way = Callable[[], int]
"""Makes its calls, and says how many."""


def main() -> None:
    """Print both tables."""
    _bookkeeping()
    _memory()


def _bookkeeping() -> None:
    model = ScriptedModel("The answer is 56.")
    ways: dict[str, tuple[Way, Way]] = {
        f"{CALLS // SAMPLES} runs of {SAMPLES} samples": (
            lambda: _swept(model, CALLS // SAMPLES, "self_consistency", samples=SAMPLES),
            lambda: _looped(model, CALLS // SAMPLES, "self_consistency", [SAMPLES]),
        ),
        f"{CALLS} runs of one call": (
            lambda: _swept(model, CALLS, "direct"),
            lambda: _looped(model, CALLS, "direct", [None]),
        ),
        "1, 4 and 16 samples, an object": (
            lambda: _swept(model, CALLS // 21, "self_consistency", samples=[1, 4, 16]),
            lambda: _looped(model, CALLS // 21, "self_consistency", [1, 4, 16]),
        ),
        "1, 4 and 16 samples, by name": (
            lambda: _swept("scripted", CALLS // 21, "self_consistency", samples=[1, 4, 16]),
            lambda: _looped("scripted", CALLS // 21, "self_consistency", [1, 4, 16]),
        ),
    }
    print("                                     sweep, s       plain loop, s    ratio     more, ms a call")
    print("                                    cpu    clock     cpu    clock      cpu       cpu    clock")
    for title, pair in ways.items():
        calls, best = 0, [(float("inf"), float("inf"))] * 2
        for _ in range(TURNS):
            for index, way in enumerate(pair):
                calls, *taken = _timed(way)
                best[index] = (min(best[index][0], taken[0]), min(best[index][1], taken[1]))
        (cpu, clock), (plain_cpu, plain_clock) = best
        more = [(cpu - plain_cpu) / calls * 1e3, (clock - plain_clock) / calls * 1e3]
        print(f"  {title:32s}{cpu:8.2f}{clock:9.2f}{plain_cpu:8.2f}{plain_clock:9.2f}", end="")
        print(f"{cpu / plain_cpu:9.2f}{more[0]:10.3f}{more[1]:9.3f}", flush=True)


def _timed(way: Way) -> tuple[int, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        tttlab.configure(traces=folder)
        try:
            cpu, clock = time.process_time(), time.perf_counter()
            calls = way()
            tttlab.flush()
            return calls, time.process_time() - cpu, time.perf_counter() - clock
        finally:
            tttlab.configure(traces=None)


def _swept(model: ScriptedModel | str, problems: int, strategy: str, **options: Any) -> int:
    result = sweep("benchmark", _problems(problems), model=model, strategy=strategy, progress=False, **options)
    if not result.complete:
        raise RuntimeError(f"the sweep did not end: {result.errors}")
    return result.usage.calls


def _looped(model: ScriptedModel | str, problems: int, strategy: str, samples: list[int | None]) -> int:
    async def loop() -> int:
        calls = 0
        for problem in _problems(problems):
            for count in samples:
                given: dict[str, Any] = {} if count is None else {"samples": count}
                run = await tttlab.athink(problem, model=model, strategy=strategy, **given)
                calls += run.usage.calls
        return calls

    return portal().call(loop)


def _problems(count: int) -> list[Problem]:
    return [Problem(prompt=f"What is 7 times {number}?", reference="56") for number in range(count)]


class _Counting:
    """A scripted model that notes what is held when it has been asked so many times."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[float, float]] = {}
        self.model = ScriptedModel(self._reply, name="counting")

    def _reply(self, _: Request) -> str:
        if self.model.started in (FEW - 1, CALLS - 1):  # It counts itself next.
            gc.collect()
            self.held[self.model.started] = tracemalloc.get_traced_memory()[0] / 2**20, _resident()
        return "The answer is 56."


def _memory() -> None:
    print("memory within one sweep, MiB           at 2,000 calls   at 10,000    a call, KiB")
    kinds: dict[str, tuple[int, dict[str, Any]]] = {
        f"runs of {SAMPLES} samples": (CALLS // SAMPLES, {"strategy": "self_consistency", "samples": SAMPLES}),
        "runs of one call": (CALLS, {"strategy": "direct"}),
    }
    for title, (problems, options) in kinds.items():
        counting, given = _Counting(), _problems(problems)
        with tempfile.TemporaryDirectory() as folder:
            tttlab.configure(traces=folder)
            tracemalloc.start()
            sweep("memory", given, model=counting.model, progress=False, **options)
            tracemalloc.stop()
            tttlab.flush()
            tttlab.configure(traces=None)
        for place, what in enumerate(("Python's own", "the process")):
            few, all_of_them = counting.held[FEW - 1][place], counting.held[CALLS - 1][place]
            grown = (all_of_them - few) / (CALLS - FEW) * 1024
            print(f"  {title + ', ' + what:36s}{few:14.1f}{all_of_them:12.1f}{grown:14.2f}")


def _resident() -> float:
    """MiB that the process holds now; where the system does not say, the most that it held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
