"""weighted@k: the answer with the greatest sum of scores among k samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError
from tttlab.experiments.estimators import Numbers, checked_samples, majority_at_ks
from tttlab.experiments.pool import NO_SAMPLE

MOST_ENUMERATED = 1000
"""Subsets; where there are no more of them, all are looked at. Never fewer than would be drawn."""
FEWEST_DRAWN = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedVote:
    """weighted@k of each problem, P x K."""

    value: Numbers
    """The chance that the chosen answer is right; NaN where k is greater than the number of samples."""
    error: Numbers
    """The standard error of `value` from drawing subsets; 0 where all were looked at."""
    exact: NDArray[np.bool_]
    """Where no subset was drawn: few subsets, or equal scores, whose vote can be counted."""

    @property
    def mean(self) -> Numbers:
        """Over problems. K."""
        over: Numbers = self.value.mean(axis=0)
        return over

    @property
    def mean_error(self) -> Numbers:
        """The standard error of `mean` from drawing subsets; of the choice of problems an interval tells. K."""
        over: Numbers = np.sqrt((self.error**2).sum(axis=0)) / len(self.error)
        return over


def weighted_at_ks(
    scores: ArrayLike, answers: ArrayLike, correct: ArrayLike, ks: Sequence[int], *, subsets: int = 200, seed: int = 0
) -> WeightedVote:
    """The chance that the answer with the greatest sum of scores is right (Li et al., 2022; Cobbe et al., 2021).

    Exact where there are at most as many subsets as would be drawn (or 1,000), and where a problem's scores are all
    equal, or none of its answers is right; else over `subsets` random ones of each problem, the same in every call with
    that seed. A sample without a score (NaN) weighs nothing; equal sums are parted evenly. Raises `OptionError` for
    scores below 0, of which more votes would make less: give weights, such as exp of a mean log-probability.
    """
    codes, right, sizes = checked_samples(answers, correct, ks)
    weights = np.asarray(scores, dtype=np.float64)
    if weights.shape != codes.shape:
        raise OptionError(f"`scores` are of shape {weights.shape}, and `answers` of {codes.shape}")
    if np.isinf(weights).any() or (weights[codes >= 0] < 0).any():
        raise OptionError("a vote needs finite scores of 0 or more: give weights, such as exp of a log-probability")
    if subsets < FEWEST_DRAWN:
        raise OptionError(f"{subsets} subsets have no standard error: draw at least {FEWEST_DRAWN}")
    value, error = np.full((2, len(codes), len(sizes)), np.nan)
    for row, (said, verdicts, weight) in enumerate(zip(codes, right, weights, strict=True)):
        there = said != NO_SAMPLE
        if _even(weight[said >= 0]) or not verdicts.any():
            value[row] = majority_at_ks(said[None], verdicts[None], sizes)[0]
            error[row] = np.where(np.isnan(value[row]), np.nan, 0.0)
            continue
        vote = _Vote(said[there], verdicts[there], np.nan_to_num(weight[there]))
        rng = np.random.default_rng([seed, row])
        for place, k in enumerate(sizes):
            if k <= there.sum():
                value[row, place], error[row, place] = vote.of(k, subsets, rng)
    return WeightedVote(value=value, error=error, exact=error == 0)


def _even(weights: Numbers) -> bool:
    """Whether a sum of the scores is a count of votes; of zeros every sum is a tie."""
    return weights.size == 0 or bool(weights[0] > 0 and (weights == weights[0]).all())


class _Vote:
    """One problem's samples, ready to be voted with."""

    def __init__(self, said: NDArray[np.int32], correct: NDArray[np.bool_], weights: Numbers) -> None:
        # Abstentions are counted in a last column, which nothing wins.
        codes, self._column = np.unique(np.where(said >= 0, said, np.iinfo(np.int32).max), return_inverse=True)
        self._columns = len(codes)
        self._votes = (codes < np.iinfo(np.int32).max).astype(np.float64)
        self._right = np.bincount(self._column, correct, self._columns) > 0
        self._weights = weights
        self._total = len(said)

    def of(self, k: int, subsets: int, rng: np.random.Generator) -> tuple[float, float]:
        """The chance at k samples, and its standard error."""
        if math.comb(self._total, k) <= max(subsets, MOST_ENUMERATED):
            chosen = np.array(list(combinations(range(self._total), k)))
            return float(self._shares(chosen).mean()), 0.0
        chosen = np.argpartition(rng.random((subsets, self._total)), k - 1, axis=1)[:, :k]
        shares = self._shares(chosen)
        # Where every draw agrees the error is not 0, only unseen: as if one more draw had differed.
        spread = max(float(shares.std(ddof=1)), math.sqrt(subsets) / (subsets + 1))
        return float(shares.mean()), spread / math.sqrt(subsets)

    def _shares(self, chosen: NDArray[np.intp]) -> Numbers:
        """For each subset, the share of its winners that are right."""
        column = self._column[chosen] + np.arange(len(chosen))[:, None] * self._columns
        size = len(chosen) * self._columns
        given = np.bincount(column.ravel(), minlength=size).reshape(-1, self._columns) * self._votes
        sums = np.bincount(column.ravel(), self._weights[chosen].ravel(), minlength=size).reshape(-1, self._columns)
        sums = np.where(given > 0, sums, -1.0)
        best = sums.max(axis=1, keepdims=True)
        # Sums of the same scores in another order may differ in their last bits.
        leads = (sums >= best - 1e-9 * np.maximum(best, 1e-300)) & (sums >= 0)
        shares: Numbers = (leads & self._right).sum(axis=1) / np.maximum(leads.sum(axis=1), 1)
        return shares
