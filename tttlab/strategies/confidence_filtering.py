"""Let the samples vote that the model was most confident in while it wrote them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import ClassVar, Literal, NamedTuple

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError
from tttlab.events import Delta, TokenDelta
from tttlab.protocols import BranchHandle, Think, Watch
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Completion, Problem

Measure = Literal["mean", "lowest", "bottom", "tail"]
MEASURES = ("mean", "lowest", "bottom", "tail")
MODES = ("offline", "online")
WINDOW = 2048
"""The paper's, for completions of tens of thousands of tokens."""
_BOTTOM = 0.1
"""The share of groups, the least confident ones, that `bottom` looks at."""
_SHORTEST = 8
"""Online, the longest completion has room for at least so many windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceFiltering:
    """Filtered, confidence-weighted voting (DeepConf; Fu et al., 2025).

    A token's confidence is minus the mean log-probability (natural log) of its `alternatives` likeliest tokens: larger
    is surer. A group is `window` tokens in a row, every such run of them, or the whole of a shorter completion. Of the
    completions with an answer those above the percentile 1 - `keep` vote, each with its confidence as its weight; 0.9
    and 0.1 are the paper's choices, and 0.1 wants hundreds of samples. Those without an answer never vote, and count
    in the confidence of the answer, which is its share of the weight kept times the share of samples with an answer.
    Needs log-probabilities; if a host gives none after all, the majority decides.

    `mode="offline"` samples all, then filters. Its `measure` of a completion is the `mean` of all its tokens, its
    `lowest` group, the mean of the `bottom` tenth of its groups, or the mean of its `tail`, the last `window` tokens.
    `"online"` measures the lowest group. Its first `warmup` samples (the paper: 16) run whole, and their percentile is
    the threshold from then on: a sample is stopped where a group falls below it, and counts nowhere. It ends once the
    answer's confidence reaches `consensus` (the paper's tau), and asks `batch` samples at once, up to `batch - 1` of
    them for nothing. A `window` of None is the paper's 2048, and online at most an eighth of `max_tokens`: a text
    shorter than a window cannot be stopped.

    Costs `samples` calls; online at most so many, the later ones partly cut. Not a measure of whether an answer is
    right.
    """

    needs: ClassVar[tuple[str, ...]] = ("logprobs",)

    samples: int = 16
    mode: Literal["offline", "online"] = "offline"
    keep: float = 0.9
    measure: Measure = "tail"
    window: int | None = None
    warmup: int = 8
    consensus: float = 0.95
    batch: int = 1
    alternatives: int = 20
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, window=self.window, max_tokens=self.max_tokens)
        at_least(1, alternatives=self.alternatives, warmup=self.warmup, batch=self.batch)
        at_least(0, temperature=self.temperature, consensus=self.consensus)
        if not 0 < self.keep <= 1:
            raise OptionError(f"keep={self.keep:g} cannot be kept: give a share above 0 and at most 1")
        if self.measure not in MEASURES:
            raise OptionError(f"the measure {self.measure!r} is not known: there are {', '.join(MEASURES)}")
        if self.mode not in MODES:
            raise OptionError(f"the mode {self.mode!r} is not known: it is {' or '.join(MODES)}")
        if self.mode == "online" and self.warmup >= self.samples:
            raise OptionError(f"warmup={self.warmup} leaves none of {self.samples} samples to stop: give more samples")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        vote = Vote(problem, think, self.keep)
        try:
            if self.mode == "offline":
                await self._take(vote, self.samples, partial(measured, measure=self.measure, window=self._window))
            else:
                await self._online(vote)
        finally:
            vote.mark()
        return vote.answer

    @property
    def _window(self) -> int:
        if self.window is not None:
            return self.window
        return WINDOW if self.mode == "offline" else min(WINDOW, max(1, self.max_tokens // _SHORTEST))

    async def _online(self, vote: Vote) -> None:
        lowest = partial(measured, measure="lowest", window=self._window)
        await self._take(vote, self.warmup, lowest)
        threshold, vote.calibrating = vote.threshold, False
        watch = None if threshold is None else partial(falling_below, threshold, self._window)
        for asked in range(self.warmup, self.samples, self.batch):
            if self._decided(vote):
                return
            try:
                await self._take(vote, min(self.batch, self.samples - asked), lowest, watch)
            except CallError:  # The warm-up has answers: what all of a batch fail at is so many samples less.
                continue

    async def _take(
        self,
        vote: Vote,
        n: int,
        measure: Callable[[Sequence[float]], float | None],
        watch: Callable[[], Watch] | None = None,
    ) -> None:
        """Take samples into the vote, in index order; those after the warm-up until it is decided."""
        async with vote.think.sample(
            vote.problem.prompt,
            n=n,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=self.alternatives,
            stop_when=watch,
        ) as samples:
            async for completion in samples:
                vote.take(completion, measure(token_confidences(completion)))
                if not vote.calibrating and self._decided(vote):
                    return

    def _decided(self, vote: Vote) -> bool:
        return (vote.answer.confidence or 0.0) >= self.consensus


class Trace(NamedTuple):
    """A sample: its answer, its confidence, whether it was stopped, and the branch that records all three."""

    value: str | None
    confidence: float | None
    stopped: bool
    branch: BranchHandle


class Vote:
    """The traces so far, and what they say. While it is `calibrating` each new one moves the threshold."""

    def __init__(self, problem: Problem, think: Think, keep: float) -> None:
        self.problem = problem
        self.think = think
        self.answer = Answer(value=None)
        self.threshold: float | None = None
        self.calibrating = True
        self._keep = keep
        self._traces: list[Trace] = []

    def take(self, completion: Completion, confidence: float | None) -> None:
        """Count a sample; one that was stopped changes nothing."""
        stopped = completion.finish_reason == "cancelled"
        with self.think.branch(sample=len(self._traces)) as branch:
            value = None if stopped else self.problem.extract(completion.text)
            self._traces.append(Trace(value, confidence, stopped, branch))
        if self.calibrating:
            self.threshold = threshold_of(self._traces, self._keep)
        if not stopped:
            self._propose()

    def mark(self) -> None:
        """Record which traces were kept, which were stopped, and how confident each was."""
        for trace, weight in zip(self._traces, weights(self._traces, self.threshold), strict=True):
            trace.branch.mark(state="selected" if weight > 0 else "pruned", stopped=trace.stopped)
            if trace.confidence is not None:
                trace.branch.mark(score=trace.confidence)

    def _propose(self) -> None:
        votes: dict[str, float] = {}
        for trace, weight in zip(self._traces, weights(self._traces, self.threshold), strict=True):
            if trace.value is not None and weight > 0:
                votes[trace.value] = votes.get(trace.value, 0.0) + weight
        winner = leader(votes)
        whole = [trace for trace in self._traces if not trace.stopped]
        answered = sum(trace.value is not None for trace in whole)
        share = votes[winner] / sum(votes.values()) * answered / len(whole) if winner else 0.0
        self.answer = self.think.propose(winner, confidence=share, votes=votes)


def token_confidence(token: TokenDelta) -> float | None:
    """Minus the mean log-probability of the token's alternatives; None where it has none."""
    top = token.top.logprobs
    return -math.fsum(top) / len(top) if top else None


def token_confidences(completion: Completion) -> list[float]:
    """The confidence of each token that has one."""
    return [known for token in completion.tokens if (known := token_confidence(token)) is not None]


def falling_below(threshold: float, window: int) -> Watch:
    """A watch that ends a sample where the mean confidence of its last `window` tokens is below the threshold."""
    group: deque[float] = deque()
    total = 0.0

    def is_below(delta: Delta) -> bool:
        nonlocal total
        confidence = token_confidence(delta) if isinstance(delta, TokenDelta) else None
        if confidence is None:
            return False
        group.append(confidence)
        total += confidence
        if len(group) > window:
            total -= group.popleft()
        return len(group) == window and total / window < threshold

    return is_below


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


def threshold_of(traces: Sequence[Trace], keep: float) -> float | None:
    """The percentile 1 - `keep` of the confidences of those with an answer; None where no confidence is above 0."""
    answered = [trace for trace in traces if trace.value is not None]
    known = sorted(trace.confidence for trace in answered or traces if trace.confidence is not None)
    if not known or known[-1] <= 0:
        return None
    # Confidences that differ by rounding alone are equal: whoever ties with the threshold is kept.
    return percentile(known, 1 - keep) * (1 - 1e-9)


def weights(traces: Sequence[Trace], threshold: float | None) -> list[float]:
    """Each trace's weight in the vote: its confidence if it is kept, 0 if not; 1 where there is no threshold."""
    if threshold is None:
        return [float(trace.value is not None) for trace in traces]
    return [
        trace.confidence
        if trace.value is not None and trace.confidence is not None and trace.confidence >= threshold
        else 0.0
        for trace in traces
    ]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, between two of them in proportion."""
    place = round(share * (len(ordered) - 1), 9)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    if ordered[below] == ordered[above]:
        return ordered[below]
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
