"""Pools that a test writes by hand."""

import itertools

import numpy as np
from hypothesis import strategies as st

from tttlab.experiments.policies import Order
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE, Pool

RIGHT = "1"
SAID = st.sampled_from(["1", "2", "3", None])


def pool_saying(*said, scores=None, costs=None, ids=None):
    """A pool of these answers, one list a problem: None abstains, "1" is right. A sample costs 10 tokens and its place.

    `scores` and `costs` are lists of the same shape, by name.
    """
    width = max(map(len, said))
    answers = np.full((len(said), width), NO_SAMPLE, dtype=np.int32)
    values = []
    for row, samples in zip(answers, said, strict=True):
        codes = {}
        row[: len(samples)] = [ABSTAINED if value is None else codes.setdefault(value, len(codes)) for value in samples]
        values.append(tuple(codes))
    tokens = [[10 + place for place in range(len(samples))] for samples in said]
    seconds = [[0.5 + place % 3 for place in range(len(samples))] for samples in said]
    given = {"tokens": tokens, "seconds": seconds, "calls": [[1] * len(samples) for samples in said], **(costs or {})}
    return Pool(
        problems=tuple(ids or (f"problem {place}" for place in range(len(said)))),
        counts=np.array([len(samples) for samples in said]),
        answers=answers,
        values=tuple(values),
        correct=np.array([[place < len(row) and row[place] == RIGHT for place in range(width)] for row in said]),
        scores={name: padded(rows, width) for name, rows in (scores or {}).items()},
        costs={name: padded(rows, width) for name, rows in given.items()},
        models=("scripted",),
    )


def padded(rows, width):
    return np.array(
        [[*(np.nan if each is None else each for each in row), *[np.nan] * (width - len(row))] for row in rows]
    )


def every_order(pool):
    """All permutations of the samples of every problem: a mean over them is no estimate."""
    [count] = {int(count) for count in pool.counts}
    places = np.array(list(itertools.permutations(range(count))))
    indices = np.broadcast_to(places, (len(pool.problems), *places.shape))
    return Order(problems=pool.problems, indices=indices, seed=0)


def first_answer(policy, pool):
    """What a policy says of the first problem in the recorded order: its answer, and the samples that it used."""
    outcome = policy.replay(pool, Order.recorded(pool))
    return outcome.said(0, 0), outcome.samples[0, 0]
