"""The loop of a sweep: so many pieces of work at once, here or in an executor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from tttlab.concurrency import cancel_all
from tttlab.experiments.sweeps.estimate import Estimate, estimate
from tttlab.experiments.sweeps.item import Home, Item, failed_run, run_item, work
from tttlab.experiments.sweeps.planning import SweepPlan
from tttlab.experiments.sweeps.record import Record
from tttlab.experiments.sweeps.result import SweepResult
from tttlab.experiments.sweeps.swept import SweptRun
from tttlab.experiments.sweeps.total import Total
from tttlab.types import Usage

PILOT = 2
"""Problems whose runs go first where nothing tells what the sweep will cost."""


class Executor(Protocol):
    """What is shaped as `concurrent.futures` is: `submit` gives a future with `result` and `add_done_callback`."""

    def submit(self, function: Any, /, *arguments: Any) -> Any:
        """Have it called, somewhere."""
        ...


class Sweeper:
    """One sweep, from its first run to its last. `pilot` and then `run` it; `stop` it from any thread."""

    def __init__(self, planned: SweepPlan, executor: Executor | None = None) -> None:
        self.plan = planned
        self.total = Total(planned.total, planned.before)
        self.done: list[SweptRun] = list(planned.there.values())
        self.failed = 0
        self.estimate: Estimate | None = None
        self._executor = executor
        self._home = Home.here()
        self._items: Iterator[Item] = planned.items(always_ask=executor is not None)
        self._left = planned.left()
        self._stopped = False
        self._halt: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._new = Usage()
        self._seconds = 0.0

    @property
    def spent(self) -> Usage:
        """What was spent now; what runs in this process spend is in it token by token."""
        if self._executor is not None:
            return self._new
        now, before = self.total.spent, self.total.before
        return Usage(
            prompt_tokens=now.prompt_tokens - before.prompt_tokens,
            cached_tokens=now.cached_tokens - before.cached_tokens,
            output_tokens=now.output_tokens - before.output_tokens,
            thinking_tokens=now.thinking_tokens - before.thinking_tokens,
            calls=now.calls - before.calls,
            dollars=None if now.dollars is None or before.dollars is None else now.dollars - before.dollars,
        )

    def stop(self) -> None:
        """End it: what runs in this process is stopped and kept, and nothing else begins. From any thread."""
        self._stopped = True
        self.total.cancel()
        if self._halt is not None:
            loop, halt = self._halt
            loop.call_soon_threadsafe(halt.set)

    async def pilot(self) -> SweepResult:
        """Run the first problems where no record tells what some cell costs, and make the estimate."""
        costs = Record(self.plan.store).costs(self.plan.cells) if self.plan.replay != "only" else {}
        before = len(self.done)
        if any(runs and cell not in costs for cell, runs in self._left.items()):
            await self._work(islice(self._items, PILOT * len(self.plan.groups)))
        first = self.done[before:]
        self.estimate = estimate(self._left, costs, first, self._at_once(first))
        return self.result()

    def _at_once(self, first: Sequence[SweptRun]) -> float:
        """How many runs take no longer than one: of a model in this process, as many as it was seen to manage."""
        local = self._executor is None and not all(cell.remote for cell in self.plan.cells)
        if not local or not first or not self._seconds:
            return self.plan.parallel
        return max(1.0, sum(run.elapsed or 0.0 for run in first) / self._seconds)

    async def run(self) -> SweepResult:
        """Run what is left."""
        await self._work(self._items)
        return self.result()

    def result(self) -> SweepResult:
        """What there is by now."""
        planned = self.plan
        problems = {problem.id: place for place, problem in enumerate(planned.problems)}
        missing = sum(run.finished for run in self.done) < len(planned)
        return SweepResult(
            name=planned.name,
            cells=tuple(
                {name: each for name, each in cell.labels.items() if name != "sweep"} for cell in planned.cells
            ),
            runs=tuple(sorted(self.done, key=lambda run: (run.cell, problems[run.problem], run.seed))),
            asked=len(planned),
            problems=len(planned.problems),
            exhausted=self.total.spent_unit if missing else None,
            new=self.spent,
            seconds=self._seconds,
            estimate=self.estimate,
            store=planned.store,
        )

    async def _work(self, items: Iterable[Item]) -> None:
        waiting, began, loop = iter(items), time.monotonic(), asyncio.get_running_loop()
        self._halt = loop, asyncio.Event()
        limit = self.total.left.seconds
        deadline = None if limit is None else loop.call_later(limit, self.total.exhaust, "seconds")
        workers = [asyncio.create_task(self._take(waiting), name="tttlab-sweep") for _ in range(self.plan.parallel)]
        try:
            await asyncio.gather(*workers)
        finally:
            await cancel_all(workers)
            self._seconds += time.monotonic() - began
            if deadline is not None:
                deadline.cancel()

    async def _take(self, items: Iterator[Item]) -> None:
        while not self._stopped and self.total.spent_unit is None:
            item = next(items, None)
            if item is None:
                return
            if self._executor is None:
                await run_item(item, self.total, self._done)
            else:
                await self._send(item, self._executor)

    async def _send(self, item: Item, executor: Executor) -> None:
        """Have an item run by the executor. What cannot be stopped there is recorded, but not waited for."""
        assert self._halt is not None  # noqa: S101 - for the type checker
        loop, halt = self._halt
        ended = asyncio.Event()
        try:
            future = executor.submit(work, item, self._home, self.total.left)
            future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
            waiters = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(halt.wait())]
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel_all(waiters)
            if not ended.is_set():
                future.cancel()
                return
            error = future.exception()  # Not raised: an interrupt of a worker would end the loop.
        except Exception as refused:  # noqa: BLE001 - it costs this item only, whose runs say why
            error = refused
        for run in future.result() if error is None else [failed_run(item, asked, error) for asked in item.runs]:
            self._done(run)
            self.total.take(run.new)

    def _done(self, run: SweptRun) -> None:
        self.done.append(run)
        self.failed += run.status == "failed"
        self._left[run.cell] -= 1
        self._new += run.new
