"""Sample one after another and stop when the vote is unlikely to change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError
from tttlab.protocols import Think
from tttlab.strategies.selection import leader, ranked
from tttlab.types import Answer, Problem

RULES = ("beta", "dirichlet")
_INTERVALS = 200
"""Of the Dirichlet rule's integral, in Simpson's rule: good to more than six digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConsistency:
    """Self-consistency that stops by itself (Adaptive-Consistency; Aggarwal et al., 2023).

    It stops when the posterior probability that the leader is the model's most frequent answer reaches `threshold`;
    that probability is the confidence. `rule="beta"` weighs the two leading counts alone, so 0.95 takes four samples
    that agree; `"dirichlet"` weighs all answers seen, and is the same while there are no more than two. Costs
    `min_samples` to `max_samples` calls. `batch` samples are asked at once and then judged one by one: a larger one
    is quicker, wastes up to `batch - 1` calls, and gives the same answer. Samples without an answer do not vote and
    count as samples. Not a promise about correctness: it predicts the vote of more samples, right or wrong.
    """

    rule: Literal["beta", "dirichlet"] = "beta"
    threshold: float = 0.95
    min_samples: int = 1
    max_samples: int = 40
    batch: int = 1
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, min_samples=self.min_samples, batch=self.batch, max_tokens=self.max_tokens)
        at_least(self.min_samples, max_samples=self.max_samples)
        at_least(0, threshold=self.threshold, temperature=self.temperature)
        if self.rule not in RULES:
            raise OptionError(f"the rule {self.rule!r} is not known: it is beta or dirichlet")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        votes: Counter[str] = Counter()
        answer, seen, failures = Answer(value=None), 0, list[CallError]()
        stability = beta_stability if self.rule == "beta" else dirichlet_stability
        for start in range(0, self.max_samples, self.batch):
            n = min(self.batch, self.max_samples - start)
            try:
                async with think.sample(
                    problem.prompt, n=n, temperature=self.temperature, max_tokens=self.max_tokens
                ) as samples:
                    async for completion in samples:
                        seen += 1
                        if (value := problem.extract(completion.text)) is not None:
                            votes[value] += 1
                        confidence = stability(votes)
                        answer = think.propose(leader(votes), confidence=confidence, votes=votes)
                        if votes and seen >= self.min_samples and confidence >= self.threshold:
                            return answer
            except CallError as failure:
                failures.append(failure)
        if failures and not seen:
            raise failures[0]
        return answer


def beta_stability(votes: Mapping[str, int]) -> float:
    """The probability that the leader is likelier than the runner-up: 1 - I_0.5(v1 + 1, v2 + 1); 0 without votes.

    At 1/2 and for whole numbers the regularised incomplete beta function is the chance of more than v1 heads in
    v1 + v2 + 1 throws of a coin.
    """
    if not votes:
        return 0.0
    first, second = [*(int(weight) for _, weight in ranked(votes)), 0][:2]
    throws = first + second + 1
    return 1.0 - math.fsum(math.comb(throws, heads) / 2**throws for heads in range(first + 1, throws + 1))


def dirichlet_stability(votes: Mapping[str, int]) -> float:
    """The probability that the leader is the likeliest of all answers seen, under Dirichlet(v1 + 1, ..., vm + 1).

    Shares of a Dirichlet are independent gamma variables over their sum, so the leader's has to be the largest: the
    integral of its density times the others' distribution functions.
    """
    if len(votes) < 3:  # noqa: PLR2004 - with two answers this is the beta rule; one is set against an answer not seen
        return beta_stability(votes)
    first, *others = (int(weight) for _, weight in ranked(votes))
    width, leading = _leading(first)
    below = zip(*(_below(other, first) for other in others), strict=True)
    inner = math.fsum(density * math.prod(each) for density, each in zip(leading, below, strict=True))
    return min(1.0, width / 3 * inner)


@lru_cache(maxsize=256)
def _leading(first: int) -> tuple[float, list[float]]:
    """The width of the integral's steps for a leader with so many votes, and its density at each, by Simpson's rule."""
    width = (first + 1 + 12 * math.sqrt(first + 1) + 12) / _INTERVALS
    return width, [(4 if step % 2 else 2) * _poisson(first, step * width) for step in range(1, _INTERVALS)]


@lru_cache(maxsize=2048)
def _below(other: int, first: int) -> list[float]:
    """At each of these steps, the chance that an answer with so many votes is below it."""
    width, _ = _leading(first)
    return [1.0 - math.fsum(_poisson(m, step * width) for m in range(other + 1)) for step in range(1, _INTERVALS)]


def _poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
