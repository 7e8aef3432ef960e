"""What k samples would give, estimated from n of them: averages over all subsets of k, never one draw.

All are exact and unbiased (each averages over the C(n, k) subsets in closed form), and NaN where k is greater than n,
which the samples cannot tell. Ties are parted evenly. An abstention (an answer of None, or of code -1) is never right,
never wins, and stays in the denominator.

The functions whose names end in `_k` take one problem; those that end in `_ks` take arrays of P problems by N samples,
as a `Pool` has them, and give P x K for K sizes. `weighted_vote` has the vote by scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE
from tttlab.experiments.vote_counting import MOST_SAMPLES, winning_shares

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int32]

AXES = 2
"""Problems x samples."""


def pass_at_k(correct: Sequence[bool], k: int) -> float:
    """The chance that at least one of k samples is right: coverage, not accuracy (Chen et al., 2021)."""
    if not 1 <= k <= len(correct):
        return math.nan
    return float(pass_at_ks(np.asarray(correct, dtype=np.bool_)[None], [k])[0, 0])


def majority_at_k(answers: Sequence[str | None], correct: Sequence[bool], k: int) -> float:
    """The chance that the most frequent answer of k samples is right: maj@k (Wang et al., 2022).

    `correct` says it of each sample; samples with one answer must agree on it.
    """
    if not 1 <= k <= len(answers):
        return math.nan
    coded: dict[str | None, int] = {None: ABSTAINED}
    for answer in answers:
        coded.setdefault(answer, len(coded) - 1)
    codes = np.array([[coded[answer] for answer in answers]], dtype=np.int32)
    right = np.asarray(correct, dtype=np.bool_)[None] & (codes != ABSTAINED)
    return float(majority_at_ks(codes, right, [k])[0, 0])


def best_of_k(scores: Sequence[float | None], correct: Sequence[bool], k: int) -> float:
    """The chance that the best-scored of k samples is right: best-of-N by a score that sees no reference.

    A sample without a score is chosen only where none has one.
    """
    if not 1 <= k <= len(scores):
        return math.nan
    known = np.array([[math.nan if score is None else score for score in scores]], dtype=np.float64)
    right = np.asarray(correct, dtype=np.bool_)[None]
    return float(best_of_ks(known, np.zeros(known.shape, dtype=np.int32), right, [k])[0, 0])


def pass_at_ks(correct: ArrayLike, ks: Sequence[int], *, counts: ArrayLike | None = None) -> Numbers:
    """pass@k of each problem: 1 - C(n - c, k) / C(n, k) with c right of n (Chen et al., 2021). P x K.

    `counts` says how many samples each problem has, where that is not all of the N.
    """
    right = np.asarray(correct, dtype=np.bool_)
    if right.ndim != AXES:
        raise OptionError(f"`correct` is of shape {right.shape}: give problems x samples")
    sizes = np.full(len(right), right.shape[1]) if counts is None else np.asarray(counts, dtype=np.int64)
    if sizes.shape != (len(right),) or (sizes > right.shape[1]).any():
        raise OptionError(f"`counts` do not fit {len(right)} problems of at most {right.shape[1]} samples")
    found = right.sum(axis=1)
    if (found > sizes).any():
        raise OptionError("a problem has more right answers than samples: `counts` and `correct` contradict each other")
    estimates = np.empty((len(right), len(ks)))
    for rows, total in _by_count(sizes):
        estimates[rows] = 1 - _missing(total, checked_sizes(ks))[found[rows]]
    return estimates


def single_sample(correct: ArrayLike, *, counts: ArrayLike | None = None) -> Numbers:
    """The share of each problem's samples that are right, abstentions in the denominator: the accuracy of one. P."""
    return pass_at_ks(correct, [1], counts=counts)[:, 0]


def majority_at_ks(answers: ArrayLike, correct: ArrayLike, ks: Sequence[int]) -> Numbers:
    """maj@k of each problem, exact over all subsets with ties parted evenly (Wang et al., 2022). P x K.

    The sizes of the vote are counted, not the subsets: 500 problems of 100 samples take about a second, all k at once.
    Raises `OptionError` where samples of one answer differ in whether it is right, or for more than 1,000 samples.
    """
    codes, right, sizes = checked_samples(answers, correct, ks)
    if codes.shape[1] > MOST_SAMPLES:
        raise OptionError(f"maj@k of {codes.shape[1]:,} samples cannot be counted: take at most {MOST_SAMPLES:,}")
    estimates = np.full((len(codes), len(ks)), np.nan)
    for row, (said, verdicts) in enumerate(zip(codes, right, strict=True)):
        total = int((said != NO_SAMPLE).sum())
        told = [place for place, k in enumerate(sizes) if k <= total]
        if not told:
            continue
        most = max(sizes[place] for place in told)
        counts = np.bincount(said[said >= 0])
        winners = _right_codes(said, verdicts, row)
        abstained = int((said == ABSTAINED).sum())
        chance = np.zeros(most + 1)
        for code in winners:
            others = tuple(sorted((int(each) for each in np.delete(counts, code) if each), reverse=True))
            chance += winning_shares(int(counts[code]), others, abstained, most)
        estimates[row, told] = chance[[sizes[place] for place in told]]
    return estimates


def best_of_ks(scores: ArrayLike, answers: ArrayLike, correct: ArrayLike, ks: Sequence[int]) -> Numbers:
    """The chance that the best-scored of k samples is right: best-of-N (Cobbe et al., 2021), exact. P x K.

    Equal scores are chosen among evenly. An answer without a score (NaN) is chosen only where none has one, an
    abstention only where there is no answer.
    """
    codes, right, sizes = checked_samples(answers, correct, ks)
    known = np.asarray(scores, dtype=np.float64)
    if known.shape != codes.shape:
        raise OptionError(f"`scores` are of shape {known.shape}, and `answers` of {codes.shape}")
    # Falling score; then answers without one, then abstentions, then places without a sample.
    kind = np.select([codes == NO_SAMPLE, codes == ABSTAINED, np.isnan(known)], [3, 2, 1], 0)
    key = np.where(kind == 0, -np.nan_to_num(known, nan=0.0, posinf=np.inf, neginf=-np.inf), 0.0)
    order = np.lexsort((key, kind), axis=1)
    kind, key, right = (np.take_along_axis(each, order, axis=1) for each in (kind, key, right))
    fresh = np.ones(kind.shape, dtype=np.bool_)
    fresh[:, 1:] = (kind[:, 1:] != kind[:, :-1]) | (key[:, 1:] != key[:, :-1])
    place = np.arange(kind.shape[1])
    first = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)
    following = np.concatenate([np.where(fresh, place, kind.shape[1])[:, 1:], np.full((len(kind), 1), len(place))], 1)
    last = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    estimates = np.empty((len(codes), len(ks)))
    for rows, total in _by_count((codes != NO_SAMPLE).sum(axis=1)):
        missing = _missing(total, sizes)
        begin, end = first[rows, :total], np.minimum(last[rows, :total], total)
        # Subsets whose best sample is in this group of equals: those without a better one, less those that miss it.
        leading = (missing[begin] - missing[end]) / (end - begin)[:, :, None]
        estimates[rows] = (leading * right[rows, :total, None]).sum(axis=1)
    return estimates


def selection_gap(oracle: ArrayLike, chosen: ArrayLike) -> Numbers:
    """What a perfect choice among the same samples would add: pass@k less what the rule chose, problem by problem.

    Both are of the same problems and sizes. Never below 0 but for the error of an estimate that drew its subsets.
    """
    best, got = np.asarray(oracle, dtype=np.float64), np.asarray(chosen, dtype=np.float64)
    if best.shape != got.shape:
        raise OptionError(f"a gap needs the same problems and sizes on both sides, not {best.shape} and {got.shape}")
    return best - got


def checked_sizes(ks: Sequence[int]) -> tuple[int, ...]:
    """The sizes as whole numbers. Raises `OptionError` for one below 1, or none."""
    sizes = tuple(int(k) for k in ks)
    if not sizes or any(k < 1 or k != given for k, given in zip(sizes, ks, strict=True)):
        raise OptionError(f"k is a number of samples, at least 1: not {list(ks)}")
    return sizes


def checked_samples(answers: ArrayLike, correct: ArrayLike, ks: Sequence[int]) -> tuple[Codes, Flags, tuple[int, ...]]:
    """Samples as arrays, and sizes. Raises `OptionError` where they do not fit each other."""
    codes, right = np.asarray(answers, dtype=np.int32), np.asarray(correct, dtype=np.bool_)
    if codes.ndim != AXES or codes.shape != right.shape:
        raise OptionError(f"`answers` {codes.shape} and `correct` {right.shape}: give both as problems x samples")
    if (odd := (right & (codes < 0)).any(axis=1)).any():
        raise OptionError(f"in row {int(odd.argmax())} an abstention is said to be right: it never is")
    return codes, right, checked_sizes(ks)


def _right_codes(said: Codes, verdicts: Flags, row: int) -> list[int]:
    right, wrong = set(said[verdicts].tolist()), set(said[~verdicts].tolist())
    if both := right & wrong:
        raise OptionError(f"in row {row} the answer of code {min(both)} is both right and wrong: it can be only one")
    return sorted(right)


def _by_count(counts: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.intp], int]]:
    for total in np.unique(counts):
        yield np.flatnonzero(counts == total), int(total)


@lru_cache(maxsize=64)
def _missing(total: int, sizes: tuple[int, ...]) -> Numbers:
    """C(total - m, k) / C(total, k): the chance that k samples miss all of m. (total + 1) x K; NaN for k > total."""
    k = np.array(sizes)
    left = np.arange(total, 0, -1)[:, None]
    steps = np.concatenate([np.ones((1, len(k))), np.maximum(left - k, 0) / left])
    return np.where(k > total, np.nan, np.cumprod(steps, axis=0))
