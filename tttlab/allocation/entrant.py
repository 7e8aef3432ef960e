"""One problem of an allocation while it runs: its run, its vote, its cost, and the samples granted to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from tttlab.allocation.allotted import Allotted
from tttlab.allocation.planning import Terms
from tttlab.allocation.result import Unit
from tttlab.allocation.rules import Ballot
from tttlab.concurrency import has_result
from tttlab.errors import RunFailed
from tttlab.meter import Meter
from tttlab.plan import Plan
from tttlab.progress import Observer, RunEvent, RunStarted
from tttlab.run import Run
from tttlab.runner import Runner


class Entrant:
    """A problem that waits for grants. Its run starts with the first, and ends with a grant of 0.

    Its strategy calls it: with the vote so far, for the number of samples to draw next.
    """

    def __init__(
        self,
        planned: Plan,
        terms: Terms,
        total: Meter,
        started: Callable[[Meter], None],
        observer: Observer | None,
    ) -> None:
        self.name = f"allocate {terms.rule}"
        """Stands among the parameters of the run."""
        self.problem = planned.problem
        self.ballot = Ballot(votes={})
        self.pending = 0
        self.left: str | None = None
        """Why it gets no more; None while it may."""
        self.task: asyncio.Task[Run] | None = None
        self._started = started
        self._observer = observer
        self._meter: Meter | None = None
        self._granted: asyncio.Queue[int] = asyncio.Queue()
        self._taken: list[int] = []
        """Grants that its strategy was given."""
        self._idle = asyncio.Event()
        self._since = 0.0
        self._busy = 0.0
        strategy = Allotted(grants=self, temperature=terms.temperature, max_tokens=terms.max_tokens)
        self.runner = Runner(replace(planned, strategy=strategy), self._watch, within=total)

    @property
    def samples(self) -> int:
        """Drawn and granted ones."""
        return self.ballot.drawn + self.pending

    @property
    def ended(self) -> bool:
        """Whether its run is over."""
        return self.task is not None and self.task.done()

    @property
    def run(self) -> Run | None:
        """Its run, once it is over. One that only repeats a recorded run has that one's id."""
        if self.task is None or not has_result(self.task):
            return None
        return self.task.result()

    @property
    def is_repeated(self) -> bool:
        """Whether its run was nothing but a recorded one again, and is in the store as that one only."""
        return self.run is not None and self.run.id != self.runner.run_id

    def spent(self, unit: Unit) -> float:
        """What it cost so far, failed calls included; in seconds, those in which its samples were drawn."""
        if unit == "seconds":
            return self._busy
        return 0.0 if self._meter is None else float(getattr(self._meter.spent, unit) or 0)

    def calls(self) -> int:
        """How many calls were made for it."""
        return 0 if self._meter is None else self._meter.spent.calls

    async def __call__(self, ballot: Ballot) -> int:
        """Take note of the vote, and wait for the next grant."""
        self.ballot = ballot
        if self._granted.empty():
            self._rest()
        self._taken.append(await self._granted.get())
        return self._taken[-1]

    def grant(self, samples: int) -> None:
        """Let it draw, or end with 0. Starts the run with the first grant."""
        self._idle.clear()
        self._since = time.monotonic()
        self._granted.put_nowait(samples)
        if self.task is None:
            self.task = asyncio.create_task(self._run(), name="tttlab-allotted")
            self.task.add_done_callback(lambda _: self._rest())

    async def idle(self) -> None:
        """Wait until all that was granted is drawn, or the run is over."""
        await self._idle.wait()
        self.pending = 0

    def _give_again(self) -> None:
        """A run that begins once more, since it goes another way than its record, is granted what it was."""
        left = [self._granted.get_nowait() for _ in range(self._granted.qsize())]
        for samples in (*self._taken, *left):
            self._granted.put_nowait(samples)
        self._taken.clear()

    def _rest(self) -> None:
        if not self._idle.is_set():
            self._busy += time.monotonic() - self._since
            self._idle.set()

    async def _run(self) -> Run:
        try:
            return await self.runner.run()
        except RunFailed as failed:  # It costs this problem only, and its run says why.
            return failed.run

    def _watch(self, event: RunEvent) -> None:
        if isinstance(event, RunStarted):
            self._meter = event.meter
            self._give_again()
            self._started(event.meter)
        if self._observer is not None:
            self._observer(event)
