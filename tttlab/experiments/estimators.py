"""What k samples would give, estimated from n of them: averages over all subsets of k, never one draw.

All are exact and unbiased (each averages over the C(n, k) subsets in closed form), and NaN where k is greater than n,
which the samples cannot tell. Ties are parted evenly. An abstention (an answer of None) is never right, never wins, and
stays in the denominator.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache


def pass_at_k(correct: Sequence[bool], k: int) -> float:
    """The chance that at least one of k samples is right: coverage, not accuracy (Chen et al., 2021)."""
    total, right = len(correct), sum(correct)
    if not 1 <= k <= total:
        return math.nan
    return 1 - math.comb(total - right, k) / math.comb(total, k)


def majority_at_k(answers: Sequence[str | None], correct: Sequence[bool], k: int) -> float:
    """The chance that the most frequent answer of k samples is right: maj@k (Wang et al., 2022).

    `correct` says it of each sample; samples with one answer must agree on it.
    """
    if not 1 <= k <= len(answers):
        return math.nan
    verdicts = dict(zip(answers, correct, strict=True))
    counts = Counter(answers)
    abstained = counts.pop(None, 0)
    favourable = 0.0
    for answer, count in counts.items():
        if verdicts[answer]:
            others = tuple(sorted(other for value, other in counts.items() if value != answer))
            favourable += _wins(count, others, abstained, k)
    return favourable / math.comb(len(answers), k)


def best_of_k(scores: Sequence[float | None], correct: Sequence[bool], k: int) -> float:
    """The chance that the best-scored of k samples is right: best-of-N by a score that sees no reference.

    A sample without a score is chosen only where none has one.
    """
    total = len(scores)
    if not 1 <= k <= total:
        return math.nan
    tied: dict[float, list[bool]] = {}
    for score, right in zip(scores, correct, strict=True):
        tied.setdefault(-math.inf if score is None else score, []).append(right)
    left, favourable = total, 0.0
    for score in sorted(tied, reverse=True):
        verdicts = tied[score]
        # Subsets whose best sample is in this group: all of what is left, less those that miss the group.
        leading = math.comb(left, k) - math.comb(left - len(verdicts), k)
        favourable += leading * sum(verdicts) / len(verdicts)
        left -= len(verdicts)
    return favourable / math.comb(total, k)


def _wins(count: int, others: tuple[int, ...], abstained: int, k: int) -> float:
    """How many subsets of k an answer that was given `count` times wins, a tie among t + 1 counting 1 / (t + 1)."""
    won = 0.0
    for votes in range(1, min(count, k) + 1):
        ways = _ways_below(votes, others, abstained)
        shared = sum(number / (ties + 1) for ties, number in enumerate(ways.get(k - votes, ())))
        won += math.comb(count, votes) * shared
    return won


@lru_cache(maxsize=65_536)
def _ways_below(votes: int, others: tuple[int, ...], abstained: int) -> dict[int, list[int]]:
    """Ways to draw from the other answers and the abstentions with no answer above `votes`.

    For each number drawn, a list whose t-th entry counts the ways in which t answers have exactly `votes`.
    """
    ways = {drawn: [math.comb(abstained, drawn)] for drawn in range(abstained + 1)}
    for count in others:
        longer: dict[int, list[int]] = {}
        for drawn, by_ties in ways.items():
            for more in range(min(count, votes) + 1):
                tied = int(more == votes)
                into = longer.setdefault(drawn + more, [])
                into.extend([0] * (len(by_ties) + tied - len(into)))
                for ties, number in enumerate(by_ties):
                    into[ties + tied] += number * math.comb(count, more)
        ways = longer
    return ways
