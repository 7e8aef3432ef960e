"""The curve of a run that is replayed is the one that was recorded, however its branches interleave."""

import random

import pytest

import tttlab
from tests.speaker import answers
from tests.test_replay import Known

WORDS = "and so the answer is"


def ragged(request, position):
    """Many streams that deliver in few steps, in another order each time."""
    return random.choice((0, 0, 0.001))


async def tree(problem, think):
    async def leaf(name):
        for step in range(2):
            async with think.sample(f"{problem.prompt} {name} {step}", n=2, order="finished") as samples:
                async for completion in samples:
                    think.propose(problem.extract(completion.text), confidence=0.5)
        return name

    async def node(number):
        think.propose(str(number))
        await think.map(leaf, [f"{number}.{each}" for each in range(3)])
        think.propose(f"{number} done")

    await think.map(node, range(4))
    return think.propose("56")


@pytest.mark.parametrize("seed", range(6))
def test_each_proposal_of_a_branching_run_stands_where_it_stood(seed):
    run = tttlab.think("7 * 8?", strategy=tree, seed=seed, model=Known(answers("56", "54"), pause=ragged), replay="off")
    again = tttlab.think("7 * 8?", strategy=tree, seed=seed, model=Known(), replay="only")
    assert again.id == run.id

    def points(curve):
        return [(each.value, each.confidence, each.sequence, each.spent, each.basis) for each in curve]

    assert points(again.curve) == points(run.curve)
