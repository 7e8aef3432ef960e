"""One piece of a sweep's work: the runs of one problem and seed that may share calls, one after the other."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tttlab.budget import Budget
from tttlab.errors import RunFailed
from tttlab.experiments.sweeps.swept import SweptRun, swept
from tttlab.experiments.sweeps.total import Total
from tttlab.labels import Label
from tttlab.masking import masked
from tttlab.options import DEFAULTS, configure, resolve, store_folder
from tttlab.plan import plan
from tttlab.portal import wait_for
from tttlab.recording import flush
from tttlab.runner import Runner
from tttlab.types import Problem

Done = Callable[[SweptRun], None]
ASKING = 0.2
"""Seconds that it takes at most to ask the record for what a run may be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One run: the options as `think` takes them."""

    cell: int
    options: Mapping[str, Any]
    labels: Mapping[str, Label]
    replay: str
    free: bool = False
    """Whether nothing can serve it but what the item's earlier runs recorded, and calls cost time alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Runs of one problem with one seed. The later ones find what the earlier ones recorded."""

    problem: Problem
    seed: int
    runs: tuple[Asked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The process that a sweep was started in, for one that works for it: what is configured there holds here too."""

    process: tuple[str, int]
    configured: Mapping[str, str]

    @classmethod
    def here(cls) -> Home:
        """This process."""
        held = {name: resolve(name) for name in DEFAULTS}
        given = {name: option.value for name, option in held.items() if option.source == "configured"}
        return cls(process=_process(), configured={**given, "traces": str(store_folder().parent)})

    def move_in(self) -> None:
        """Configure this process likewise, unless it is that one."""
        if self.process != _process():
            configure(**self.configured)


async def run_item(item: Item, total: Total, done: Done) -> None:
    """Run it, and tell of each run when it has ended. An error in one costs that one."""
    began = time.monotonic()
    for asked in item.runs:
        if total.stopping or total.spent_unit:
            return
        # Of a model that answers at once, to call it again takes less than to ask the record.
        quick = asked.free and time.monotonic() - began < ASKING
        done(await _run(item, replace(asked, replay="off") if quick else asked, total))


def work(item: Item, home: Home, left: Budget) -> list[SweptRun]:
    """Run it in a process of an executor, within what is left of the sweep's budget. All is recorded on return."""
    home.move_in()
    total, runs = Total(left), list[SweptRun]()
    wait_for(partial(run_item, item, total, runs.append), stop=total.cancel)
    flush()
    return runs


async def _run(item: Item, asked: Asked, total: Total) -> SweptRun:
    began = time.monotonic()
    try:
        ready = partial(plan, item.problem, seed=item.seed, replay=asked.replay, labels=asked.labels, **asked.options)
        # To ask the record takes longer than the other runs' tokens should wait.
        planned = ready() if asked.replay == "off" else await asyncio.to_thread(ready)
        runner = Runner(planned, within=total)
        total.runs.add(runner)
        try:
            run = await runner.run()
        except RunFailed as failed:
            run = failed.run
        finally:
            total.runs.remove(runner)
    except Exception as error:  # noqa: BLE001 - it costs this run only, which says why
        return failed_run(item, asked, error)
    return swept(run, asked.cell, time.monotonic() - began)


def failed_run(item: Item, asked: Asked, error: BaseException) -> SweptRun:
    """A run that failed before it began."""
    said = masked(f"{type(error).__name__}: {error}")
    return SweptRun(
        cell=asked.cell, problem=item.problem.id, seed=item.seed, id=None, status="failed", elapsed=0.0, error=said
    )


def _process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()
