"""Sweeps: strategies, models, parameters, seeds and problems, every combination once, paid for once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tttlab.budget import Budget
from tttlab.experiments.sweeps.bar import Bar
from tttlab.experiments.sweeps.consent import Confirm, make_sure
from tttlab.experiments.sweeps.estimate import Estimate
from tttlab.experiments.sweeps.grid import Grid, grid
from tttlab.experiments.sweeps.planning import Problems, plan_sweep
from tttlab.experiments.sweeps.result import SweepResult
from tttlab.experiments.sweeps.sweeper import Executor, Sweeper
from tttlab.experiments.sweeps.swept import SweptRun
from tttlab.portal import Interrupted, wait_for

__all__ = ["Estimate", "Executor", "Grid", "SweepResult", "SweptRun", "grid", "sweep"]


def sweep(  # noqa: PLR0913 - every option by its name, so that help and completion show it
    name: str,
    problems: Problems,
    *,
    cells: Grid | None = None,
    seeds: int | Iterable[int] = 0,
    total: str | Budget | None = None,
    parallel: int | None = None,
    executor: Executor | None = None,
    replay: str | None = None,
    progress: bool | None = None,
    yes: bool = False,
    confirm: Confirm | None = None,
    **options: Any,
) -> SweepResult:
    """Run every combination of options on every problem with every seed, and return the `SweepResult`.

        result = tttlab.sweep(
            "samples or thinking", task, strategy="self_consistency", samples=[1, 4, 16], thinking_budget=[0, 100],
            seeds=range(2), total="200000 tokens",
        )
        result.table()

    - `name`: its runs carry it as the label `sweep`, and each option that they were given as a label of its own.
      Started again under this name, it goes on where it stopped: finished runs are taken from the store, and of
      others what was recorded is reused. So does a sweep that has grown.
    - `problems`: a `Task`, or problems or texts, all with a reference or a check, or none.
    - `seeds`: whole numbers. Each combination is run once with each.
    - any other name is an option of `think` (`strategy`, `model`, `budget` of each run, `effort`, `thinking_budget`,
      `extract`, `allow_code`) or a parameter of the strategy. A list, a tuple or a range is an axis, and any other
      value is fixed.
    - `cells`: a grid, where strategies have different parameters; the other options are combined with it:
      `cells=grid(strategy="self_consistency", samples=[4, 16]) + grid(strategy="direct")`.
    - `total`: the budget of all runs together, earlier ones of this name included. When it is spent, what runs is
      stopped. With an executor, what was sent out by then may still spend as much again each.
    - `parallel`: how many runs at once. By default so many that the model's own number of streams is open; with an
      executor, how many pieces of work are sent out at once.
    - `executor`: anything with the `submit` of `concurrent.futures`, such as a `ProcessPoolExecutor`, or
      `Client.get_executor()` of Dask. Its processes record into the same store.
    - `replay`: `reuse` unless it is configured otherwise; `off` runs everything anew, `only` nothing that is not
      recorded.
    - `progress`: whether to show a bar; by default in notebooks and terminals.
    - `yes`, `confirm`: where the estimate is beyond the total, it asks the user, unless `yes`; or `confirm(question)`.

    Calls that combinations share, such as the first 4 of 16 samples, are made once. An error in a run costs that run.
    Raises `OptionError`, or `ModelError` where a model cannot be had, before anything is spent. An interrupt stops its
    runs, keeps them, and raises `tttlab.portal.Interrupted`, whose `result` is the partial `SweepResult`.
    """
    planned = plan_sweep(
        name,
        problems,
        cells=cells,
        seeds=seeds,
        total=total,
        parallel=parallel,
        replay=replay,
        sent=executor is not None,
        **options,
    )
    sweeper = Sweeper(planned, executor)
    bar = Bar(sweeper, shown=progress)
    try:
        wait_for(sweeper.pilot, stop=sweeper.stop, while_waiting=bar.pump)
        bar.say(str(sweeper.estimate))
        if not yes:
            make_sure(sweeper, confirm)
        return wait_for(sweeper.run, stop=sweeper.stop, while_waiting=bar.pump)
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(sweeper.result()) from None
    finally:
        bar.close()
