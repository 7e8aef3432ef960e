"""What more samples buy: coverage, majority vote and best-of-N against the number of samples, over problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tttlab.experiments.estimators import best_of_k, majority_at_k, pass_at_k
from tttlab.experiments.intervals import Interval, bootstrap
from tttlab.experiments.samples import Samples

Estimate = Callable[[Samples, int], float]

RULES: Mapping[str, Estimate] = MappingProxyType(
    {
        "pass@k (any is right)": lambda samples, k: pass_at_k(samples.correct, k),
        "maj@k (majority vote)": lambda samples, k: majority_at_k(samples.answers, samples.correct, k),
        "best-of-k by mean log-probability": lambda samples, k: best_of_k(scores(samples), samples.correct, k),
    }
)
"""Ways of making one figure of k samples. The first needs a reference to choose by: it is coverage, not accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One figure of a curve: a rule at `samples` samples, with its interval over problems."""

    rule: str
    samples: int
    interval: Interval


def scaling(problems: Sequence[Samples], samples: Sequence[int], *, level: float = 0.95) -> list[Point]:
    """Every rule at each number of samples. A number above what each problem has is left out: it cannot be told."""
    fewest = min((len(problem.answers) for problem in problems), default=0)
    return [
        Point(rule=rule, samples=k, interval=bootstrap([estimate(each, k) for each in problems], level=level))
        for rule, estimate in RULES.items()
        for k in samples
        if k <= fewest
    ]


def scores(samples: Samples) -> list[float | None]:
    """Each sample's mean log-probability; an abstention has no score, so that it is not chosen for being sure."""
    return [
        None if answer is None else mean for answer, mean in zip(samples.answers, samples.mean_logprobs, strict=True)
    ]
