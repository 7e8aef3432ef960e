"""What a sweep was given, resolved and checked before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from tttlab.abilities import require_price, require_readable
from tttlab.budget import Budget
from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.sweeps.cells import Cell, cells_of
from tttlab.experiments.sweeps.grid import Grid, grid
from tttlab.experiments.sweeps.item import Asked, Item
from tttlab.experiments.sweeps.record import Record
from tttlab.experiments.sweeps.swept import SweptRun
from tttlab.experiments.task import Task
from tttlab.options import resolve_mode, store_folder
from tttlab.types import Problem, Usage

Problems = Task | Iterable[str | Problem] | str | Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """Everything that a sweep is to be, and what is there of it already."""

    name: str
    cells: tuple[Cell, ...]
    problems: tuple[Problem, ...]
    seeds: tuple[int, ...]
    total: Budget
    before: Usage
    """What earlier sweeps of this name spent, where there is a total to count it to."""
    parallel: int
    replay: str
    store: Path
    there: Mapping[tuple[int, str, int], SweptRun]
    """Runs that are finished, by cell, problem and seed."""
    known: frozenset[tuple[str, int]]
    """Prompts and seeds of which something is recorded."""

    def __len__(self) -> int:
        return len(self.cells) * len(self.problems) * len(self.seeds)

    def left(self) -> dict[int, int]:
        """How many runs of each cell are left."""
        counts = dict.fromkeys(range(len(self.cells)), len(self.problems) * len(self.seeds))
        for cell, _, _ in self.there:
            counts[cell] -= 1
        return counts

    def items(self, *, always_ask: bool) -> Iterator[Item]:
        """The work that is left: all cells of a problem before the next, so that a part of a sweep compares them all.

        With `always_ask` the record is asked before each run, as for a worker that may do an item twice.
        """
        groups = self.groups
        for seed in self.seeds:
            for problem in self.problems:
                for cells in groups:
                    left = [cell for cell in cells if (cell.index, problem.id, seed) not in self.there]
                    known = always_ask or (problem.prompt, seed) in self.known
                    asked = tuple(
                        Asked(
                            cell=cell.index,
                            options=cell.options,
                            labels=cell.labels,
                            replay=self._mode(cell, may_serve=known or place > 0),
                            free=not known and self.replay == "reuse" and not cell.remote,
                        )
                        for place, cell in enumerate(left)
                    )
                    if asked:
                        yield Item(problem=problem, seed=seed, runs=asked)

    @property
    def groups(self) -> list[list[Cell]]:
        """The cells, parted where they can share no calls."""
        parted: dict[tuple[Any, ...], list[Cell]] = {}
        for cell in self.cells:
            parted.setdefault(cell.draws, []).append(cell)
        return list(parted.values())

    def _mode(self, cell: Cell, *, may_serve: bool) -> str:
        """To ask the record takes a while: only where it may hold something."""
        if self.replay == "reuse" and not (cell.reuses and may_serve):
            return "off"
        return self.replay


def plan_sweep(
    name: str,
    problems: Problems,
    *,
    cells: Grid | None = None,
    seeds: int | Iterable[int] = 0,
    total: str | Budget | None = None,
    parallel: int | None = None,
    replay: str | None = None,
    sent: bool = False,
    **options: Any,
) -> SweepPlan:
    """Resolve and check what `sweep` was given; `sent` says that an executor runs it.

    Raises `OptionError`, or `ModelError` where a model cannot be had, and `StoreError`.
    """
    if not isinstance(name, str) or not name.strip():
        raise OptionError(f"a sweep has a name, by which its runs are found again, not {name!r:.40}")
    listed, numbers, limits = _listed(name, problems), _numbers(seeds), Budget.of(total)
    if cells is not None and not isinstance(cells, Grid):
        raise OptionError(f"cells={cells!r:.60} are none: give a grid, as in grid(samples=[1, 4])")
    mode = _mode(replay)
    combined = grid(**options) if cells is None else cells * grid(**options)
    resolved = cells_of(name, combined, listed[0], seed=numbers[0], replay=mode)
    for cell in resolved:
        require_price(limits, cell.planned.model)
    _require_readable(resolved, listed)
    if parallel is not None:
        at_least(1, parallel=parallel)
    store = store_folder()
    record = Record(store)
    reuses = mode != "off"
    return SweepPlan(
        name=name,
        cells=resolved,
        problems=listed,
        seeds=numbers,
        total=limits,
        before=record.spent(name) if reuses and limits != Budget() else Usage(),
        parallel=parallel or (4 * (os.cpu_count() or 1) if sent else _parallel(resolved)),
        replay=mode,
        store=store,
        there=record.finished(name, resolved, listed, numbers) if reuses else {},
        known=frozenset(record.known((problem.prompt for problem in listed), numbers) if reuses else ()),
    )


def _mode(replay: str | None) -> str:
    """To go on where it stopped is what a sweep promises; so it reuses, unless it is told otherwise."""
    option = resolve_mode(replay)
    return "reuse" if option.source == "default" else option.value


def _listed(name: str, problems: Problems) -> tuple[Problem, ...]:
    if isinstance(problems, str | Problem):
        problems = [problems]
    try:
        given = list(problems)
    except TypeError:
        raise OptionError(f"{problems!r:.60} are no problems: give a Task, or a list of problems") from None
    for each in given:
        if not isinstance(each, str | Problem):
            raise OptionError(f"{each!r:.60} is not a problem: give texts, or tttlab.Problem objects")
    task = Task(name, tuple(Problem(prompt=each) if isinstance(each, str) else each for each in given))
    told = [problem.reference is not None or problem.check is not None for problem in task]
    if any(told) and not all(told):
        missing = [problem.id for problem, is_told in zip(task, told, strict=True) if not is_told]
        raise OptionError(
            f"{len(missing):,} of {len(task):,} problems have no reference and no check, {missing[0]!r:.60} first: "
            "accuracy would be over the others alone; give them one, or leave them out"
        )
    return task.problems


def _numbers(seeds: int | Iterable[int]) -> tuple[int, ...]:
    try:
        numbers = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    except TypeError:
        raise OptionError(f"seeds={seeds!r:.40} are none: give whole numbers, such as range(2)") from None
    if not numbers or not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in numbers):
        raise OptionError(f"seeds={seeds!r:.40} are none: give whole numbers, such as range(2)")
    if len(set(numbers)) < len(numbers):
        raise OptionError(f"seeds={seeds!r:.60} has one twice: the same seed gives the same run")
    return numbers


def _require_readable(cells: tuple[Cell, ...], problems: tuple[Problem, ...]) -> None:
    for model in {cell.planned.model.name: cell.planned.model for cell in cells}.values():
        for problem in problems:
            try:
                require_readable(problem.prompt, model)
            except OptionError as error:
                raise OptionError(f"the problem {problem.id!r:.60}: {error}") from None


def _parallel(cells: tuple[Cell, ...]) -> int:
    """So many that their calls are about as many as the model takes at once, and one begins before another ends."""
    streams = min(cell.planned.model.can.parallel for cell in cells)
    return max(2, ceil(streams / fmean(cell.width for cell in cells)))
