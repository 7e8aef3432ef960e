"""Score a candidate by how likely the model found its own words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tttlab.answers import normalise
from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.types import Completion, Problem, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The score is exp(mean log-probability) of the tokens that said the candidate. Needs no reference and no call.

    The candidate is a completion of this run, or an answer: then the mean is over all completions so far whose answer
    it is. Passes at `threshold`. One that no completion has said cannot be judged. The score is a geometric mean
    probability a token: not the probability that the answer is right, and fluent errors have high ones. Needs a model
    that gives log-probabilities; whether before or after the sampling transforms, the call's span says.
    """

    threshold: float = 0.5
    needs: ClassVar[tuple[str, ...]] = ("logprobs",)

    def __post_init__(self) -> None:
        at_least(0, threshold=self.threshold)

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        means = [mean for each in _said(think.delivered, candidate, problem) if (mean := each.mean_logprob) is not None]
        if not means:
            return Verdict(score=None, error="no completion of this run, with log-probabilities, says the candidate")
        score = min(1.0, math.exp(sum(means) / len(means)))
        return Verdict(score=score, passed=score >= self.threshold, explanation=f"from {len(means)} completions")


def _said(delivered: Sequence[Completion], candidate: str, problem: Problem) -> list[Completion]:
    if exactly := [completion for completion in delivered if completion.text == candidate]:
        return exactly
    value = normalise(candidate)
    return [] if value is None else [each for each in delivered if problem.extract(each.text) == value]
