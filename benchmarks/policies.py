"""How long it takes to replay policies on a recorded pool: `python -m benchmarks.policies`.

500 problems x 40 samples x 6 policies x 200 subsets, then a frontier of 24 sizes with its intervals, and allocation.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tttlab.experiments.allocation_policies import allocate_recorded
from tttlab.experiments.frontier import frontier
from tttlab.experiments.policies import (
    AdaptiveConsistency,
    BestOfN,
    ConfidenceFiltering,
    EarlyStoppingConsistency,
    Order,
    Policy,
    SelfConsistency,
    SingleSample,
    WeightedVote,
)
from tttlab.experiments.pool import ABSTAINED, Pool

Result = TypeVar("Result")
PROBLEMS, SAMPLES, SUBSETS, ANSWERS = 500, 40, 200, 12


def main() -> None:
    """Print the seconds of each part."""
    pool = made_up()
    six: list[Policy] = [
        SelfConsistency(samples=16),
        BestOfN(samples=16),
        WeightedVote(samples=16),
        EarlyStoppingConsistency(),
        AdaptiveConsistency(),
        ConfidenceFiltering(samples=16),
    ]
    order = timed("random orders", lambda: Order.random(pool, subsets=SUBSETS))
    for policy in six:
        timed(policy.label, lambda policy=policy: policy.replay(pool, order))  # type: ignore[misc]
    timed("the six in a frontier with intervals", lambda: frontier(pool, six, subsets=SUBSETS))
    sizes: list[Policy] = [SingleSample(), *(SelfConsistency(samples=k) for k in (2, 4, 8, 16, 32, 40))]
    others: list[Policy] = [
        kind(samples=k) for kind in (BestOfN, WeightedVote, ConfidenceFiltering) for k in (2, 4, 8, 16, 32)
    ]
    many = [*sizes, *others, EarlyStoppingConsistency(), AdaptiveConsistency()]
    timed(f"a frontier of {len(many)} points", lambda: frontier(pool, many, subsets=SUBSETS))
    timed("allocation, 4 rules, 5 budgets", lambda: allocate_recorded(pool, [2.5, 4, 8, 16, 32]))
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def made_up() -> Pool:
    """A pool with a right answer that each problem's samples give with a chance of their own."""
    rng = np.random.default_rng(0)
    shape = (PROBLEMS, SAMPLES)
    chance = rng.beta(1.5, 1.5, PROBLEMS)[:, None]
    wrong = 1 + np.minimum(rng.geometric(0.4, shape), ANSWERS - 1)
    answers = np.where(rng.random(shape) < chance, 0, wrong).astype(np.int32)
    answers[rng.random(shape) < 0.05] = ABSTAINED
    tokens = rng.integers(50, 500, shape).astype(np.float64)
    costs = {unit: tokens * each for unit, each in {"tokens": 1, "output_tokens": 0.8, "prompt_tokens": 0.2}.items()}
    costs |= {"seconds": tokens / 100, "dollars": tokens / 1e6, "flops": tokens * 1e9, "calls": np.ones(shape)}
    return Pool(
        problems=tuple(f"problem {place}" for place in range(PROBLEMS)),
        counts=np.full(PROBLEMS, SAMPLES),
        answers=answers,
        values=(tuple(str(code) for code in range(ANSWERS + 1)),) * PROBLEMS,
        correct=answers == 0,
        scores={"mean_logprob": rng.normal(-0.5, 0.2, shape)},
        costs=costs,
        models=("made up",),
    )


def timed(what: str, do: Callable[[], Result]) -> Result:
    """What it gives; its seconds are printed, and those of the processor: on a machine that does other things too."""
    started, worked = time.perf_counter(), time.process_time()
    result = do()
    print(f"{what:55} {time.perf_counter() - started:8.2f} s, {time.process_time() - worked:8.2f} s of processor")
    return result


if __name__ == "__main__":
    main()
