"""Let the samples vote that the model was most confident in while it wrote them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Literal, NamedTuple

from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.protocols import BranchHandle, Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Completion, Problem

Measure = Literal["mean", "lowest", "bottom", "tail"]
MEASURES = ("mean", "lowest", "bottom", "tail")
_BOTTOM = 0.1
"""The share of groups, the least confident ones, that `bottom` looks at."""


class Trace(NamedTuple):
    """A sample: its answer, its confidence, and the branch that records both."""

    value: str | None
    confidence: float | None
    branch: BranchHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceFiltering:
    """Filtered, confidence-weighted voting (DeepConf, offline; Fu et al., 2025).

    A token's confidence is minus the mean log-probability (natural log) of its `alternatives` likeliest tokens: larger
    is surer. A group is `window` tokens in a row, every such run of them, or the whole of a shorter completion. The
    `measure` of a completion is the `mean` of all its tokens, its `lowest` group, the mean of the `bottom` tenth of
    its groups, or the mean of its `tail`, the last `window` tokens. Of the completions with an answer those above the
    percentile 1 - `keep` vote, each with its confidence as its weight; 0.9 and 0.1 are the paper's choices, and 0.1
    wants hundreds of samples. Those without an answer never vote, and count in the confidence of the answer, which is
    its share of the weight kept times the share of samples with an answer. Needs log-probabilities; if a host gives
    none after all, the majority decides. Costs `samples` calls. Not the online form: streams are not cut while they
    run, so it saves no compute, and it does not measure whether an answer is right.
    """

    needs: ClassVar[tuple[str, ...]] = ("logprobs",)

    samples: int = 16
    keep: float = 0.9
    measure: Measure = "tail"
    window: int = 2048
    alternatives: int = 20
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, window=self.window, max_tokens=self.max_tokens)
        at_least(1, alternatives=self.alternatives)
        at_least(0, temperature=self.temperature)
        if not 0 < self.keep <= 1:
            raise OptionError(f"keep={self.keep:g} cannot be kept: give a share above 0 and at most 1")
        if self.measure not in MEASURES:
            raise OptionError(f"the measure {self.measure!r} is not known: there are {', '.join(MEASURES)}")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        traces: list[Trace] = []
        answer = Answer(value=None)
        async with think.sample(
            problem.prompt,
            n=self.samples,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=self.alternatives,
        ) as samples:
            try:
                async for completion in samples:
                    with think.branch(sample=len(traces)) as branch:
                        confidence = measured(token_confidences(completion), self.measure, self.window)
                        traces.append(Trace(problem.extract(completion.text), confidence, branch))
                    votes, answered = (
                        filtered_votes(traces, self.keep),
                        sum(trace.value is not None for trace in traces),
                    )
                    winner = leader(votes)
                    share = votes[winner] / sum(votes.values()) * answered / len(traces) if winner else 0.0
                    answer = think.propose(winner, confidence=share, votes=votes)
            finally:
                mark(traces, self.keep)
        return answer


def token_confidences(completion: Completion) -> list[float]:
    """Minus the mean log-probability of each token's alternatives; tokens without any are left out."""
    tops = (token.top.logprobs for token in completion.tokens)
    return [-math.fsum(top) / len(top) for top in tops if top]


def measured(confidences: Sequence[float], measure: Measure, window: int) -> float | None:
    """A completion's confidence; None where no token has one."""
    count = len(confidences)
    if not count:
        return None
    if measure == "mean":
        return math.fsum(confidences) / count
    size = min(window, count)
    if measure == "tail":
        return math.fsum(confidences[-size:]) / size
    sums = [0.0, *accumulate(confidences)]
    groups = sorted((sums[end] - sums[end - size]) / size for end in range(size, count + 1))
    lowest = groups[: max(1, int(_BOTTOM * len(groups)))] if measure == "bottom" else groups[:1]
    return math.fsum(lowest) / len(lowest)


def weights(traces: Sequence[Trace], keep: float) -> list[float]:
    """Each trace's weight in the vote: its confidence if it is kept, 0 if not; 1 where no confidence is above 0."""
    known = sorted(trace.confidence for trace in traces if trace.value is not None and trace.confidence is not None)
    if not known or known[-1] <= 0:
        return [float(trace.value is not None) for trace in traces]
    # Confidences that differ by rounding alone are equal: whoever ties with the threshold is kept.
    least = percentile(known, 1 - keep) * (1 - 1e-9)
    return [
        trace.confidence
        if trace.value is not None and trace.confidence is not None and trace.confidence >= least
        else 0.0
        for trace in traces
    ]


def filtered_votes(traces: Sequence[Trace], keep: float) -> dict[str, float]:
    """The weight of each answer among the traces that are kept."""
    votes: dict[str, float] = {}
    for trace, weight in zip(traces, weights(traces, keep), strict=True):
        if trace.value is not None and weight > 0:
            votes[trace.value] = votes.get(trace.value, 0.0) + weight
    return votes


def mark(traces: Sequence[Trace], keep: float) -> None:
    """Record which traces were kept, and how confident each was."""
    for trace, weight in zip(traces, weights(traces, keep), strict=True):
        trace.branch.mark(state="selected" if weight > 0 else "pruned")
        if trace.confidence is not None:
            trace.branch.mark(score=trace.confidence)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, between two of them in proportion."""
    place = round(share * (len(ordered) - 1), 9)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    if ordered[below] == ordered[above]:
        return ordered[below]
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
