"""One budget spread over many problems: easy ones stay cheap, and hard ones get more.

Each problem is a run of its own, which draws a sample whenever it is granted one. The allocator decides in rounds, by
one of three pure rules (`tttlab.allocation.rules`), and each decision is a span with the numbers behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tttlab.allocation.allocator import Allocator
from tttlab.allocation.planning import plan_allocation
from tttlab.allocation.result import Allocation, Decision
from tttlab.budget import Budget
from tttlab.portal import wait_for
from tttlab.progress import Observer
from tttlab.types import Problem

__all__ = ["Allocation", "Allocator", "Decision", "aallocate", "allocate", "plan_allocation"]


async def aallocate(
    problems: Iterable[str | Problem], *, budget: str | Budget, observer: Observer | None = None, **options: Any
) -> Allocation:
    """Spread a total budget over problems, sample by sample, and return the `Allocation`: its runs and its decisions.

    `rule` says whose sample comes next, after `minimum` samples of each problem:

    - `posterior`: where a sample may add most to the probability that the vote's leader is the model's most frequent
      answer, for its predicted cost. A problem is left when that probability reaches `threshold`; one whose answers
      stay even may take up to `maximum`.
    - `difficulty`: in shares proportional to `difficulty`, in [0, 1]: a mapping from problem ids, or a function of the
      problem without its reference. Where none is given, the disagreement of the first `minimum` samples is taken:
      1 - (leader's votes + 1) / (samples + 2). What that costs is charged like all else. A difficulty of 0 gets the
      minimum, unless all are 0.
    - `uniform`: in equal shares.

    No problem gets more than `maximum` samples. `batch` samples are drawn at once before the next are decided: a
    larger one is quicker, and decides on less. Costs are predicted as the mean of the problem's own samples so far, in
    the budget's unit (tokens, calls, dollars or seconds; the first of these where it limits several). The budget is
    exceeded by at most one delivery for each running stream. Whatever it ends has status `budget` and its best answer
    so far; a problem that was left as satisfied has status `ok`; an error in one costs that one.

    Other options: `temperature`, `max_tokens`; and `model`, `seed`, `extract`, `replay`, `pace` as in `think`. Raises
    `OptionError` before anything is spent. Not a promise about correctness: a vote can be stable and wrong.
    """
    return await Allocator(plan_allocation(problems, budget=budget, **options), observer).run()


def allocate(
    problems: Iterable[str | Problem],
    *,
    budget: str | Budget,
    observer: Observer | None = None,
    while_waiting: Callable[[], None] = lambda: None,
    **options: Any,
) -> Allocation:
    """Like `aallocate`, but waits. An interrupt stops its runs, keeps them, and raises `KeyboardInterrupt`.

    As with `think`, the interrupt's `result` is the partial `Allocation`.
    """
    allocator = Allocator(plan_allocation(problems, budget=budget, **options), observer)
    return wait_for(allocator.run, stop=allocator.stop, while_waiting=while_waiting)
