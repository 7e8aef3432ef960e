"""Small experiments with known numbers, and a hostile name in each, for tests of their charts."""

import numpy as np

from tttlab.experiments.allocation_policies import allocate_recorded
from tttlab.experiments.answer_paths import AnswerPath, Step
from tttlab.experiments.calibration import auc_by_group
from tttlab.experiments.calibration import reliability as reliability_bins
from tttlab.experiments.coverage_law import coverage_law
from tttlab.experiments.equal_compute import at_equal_compute
from tttlab.experiments.equal_compute import curve as compute_curve
from tttlab.experiments.fits import fit_accuracy
from tttlab.experiments.flips import Flips
from tttlab.experiments.frontier import frontier as frontier_of
from tttlab.experiments.intervals import Interval
from tttlab.experiments.policies import BestOfN, SelfConsistency
from tttlab.experiments.pool import Pool
from tttlab.experiments.scaling import Point
from tttlab.experiments.truncation import Truncation
from tttlab.experiments.waterfall import Stage, Waterfall

PROBLEMS = 24
HOSTILE = "</script><script>window.__pwned=1</script>\x1b\u202e"


def pool(seed=0, samples=8):
    rng = np.random.default_rng(seed)
    correct = rng.random((PROBLEMS, samples)) < rng.beta(1, 1, PROBLEMS)[:, None]
    tokens = rng.integers(50, 400, (PROBLEMS, samples)).astype(float)
    return Pool(
        problems=tuple(f"p{number}" for number in range(PROBLEMS)),
        counts=np.full(PROBLEMS, samples),
        answers=np.where(correct, 0, 1).astype(np.int32),
        values=(("right", "wrong"),) * PROBLEMS,
        correct=correct,
        scores={"mean_logprob": -tokens / 400, HOSTILE: tokens},
        costs={"tokens": tokens, "calls": np.ones_like(tokens), "seconds": tokens / 100},
    )


def points():
    return [
        Point(rule=rule, samples=k, interval=Interval(0.2 * k, 0.1, 0.9, PROBLEMS, 0.95, "BCa"))
        for rule in ("pass@k (any is right)", HOSTILE)
        for k in (1, 2, 4)
    ]


def paths():
    states = ["aR", "Ra", "RR", "ab", "-R", "R-"] * 4
    return tuple(
        AnswerPath(
            problem=f"{HOSTILE}{number}",
            of="seed 0",
            steps=tuple(
                Step(at=at, answer=None if each == "-" else each, correct=each == "R")
                for at, each in zip((0, 25), state, strict=True)
            ),
        )
        for number, state in enumerate(states)
    )


def flips():
    return Flips(paths=paths())


def truncated():
    return Truncation(way="forced", amounts=(0, 10, 25), paths=paths(), lengths=(20,) * PROBLEMS)


def waterfall():
    good = np.array([[number < left for left in (20, 15, 9)] for number in range(PROBLEMS)])
    stages = (Stage("proposed", 1, "proposer"), Stage("kept", 1, HOSTILE), Stage("answered", None, "last step"))
    return Waterfall(problems=tuple(map(str, range(PROBLEMS))), stages=stages, good=good)


def frontier():
    policies = [SelfConsistency(samples=k) for k in (1, 2, 4, 8, 16)]
    return frontier_of(pool(), [*policies, BestOfN(samples=4, score=HOSTILE, verdict={"tokens": 9.0})], subsets=5)


def law():
    budgets = [2.0**power for power in range(5, 13)]
    rng = np.random.default_rng(1)
    chances = 1 / (1 + np.exp(2 - 0.5 * np.arange(8)[None] - rng.normal(size=60)[:, None]))
    return fit_accuracy(budgets, (rng.random((60, 8)) < chances).astype(float))


def flat():
    return fit_accuracy([2.0**power for power in range(5, 13)], np.tile([0.0, 1.0], (8, 10)).T)


def coverage():
    rng = np.random.default_rng(2)
    return coverage_law(rng.random((40, 40)) < rng.beta(0.5, 2, 40)[:, None], up_to=10)


def equal():
    curves = [compute_curve(f"p{number}", [(30, None), (90, number % 3 > 0)], total=90) for number in range(PROBLEMS)]
    return at_equal_compute(curves, [20, 60, 120])


def allocated():
    return allocate_recorded(pool(), [2, 4], subsets=3)


def bins():
    scores = np.linspace(0, 1, 60)
    return reliability_bins(scores, scores > 0.45)


def aucs():
    scores = np.linspace(0, 1, 60)
    return auc_by_group(scores, (scores * 7).astype(int) % 2 == 1, [f"{HOSTILE}{number % 2}" for number in range(60)])
