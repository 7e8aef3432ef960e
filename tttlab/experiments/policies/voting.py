"""Votes over many problems and orders at once. Abstentions never win; ties are parted evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tttlab.experiments.pool import ABSTAINED, Flags, Numbers

_ROUNDING = 1e-9
"""Sums of weights that differ by less than this share of themselves are tied: they were added up in another order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunningVote:
    """The vote after each sample, P x S x N."""

    leader: NDArray[np.int32]
    """The answer with most votes, of equals the one that was seen first; `ABSTAINED` where nobody voted."""
    first: NDArray[np.int16]
    """The leader's votes."""
    second: NDArray[np.int16]
    """The most votes that another answer has."""
    correct: Numbers
    """How right the most frequent answers are: their mean where several are tied, 0 where there is none."""


def running_vote(codes: NDArray[np.int32], right: Numbers) -> RunningVote:
    """Count the samples of every order, one after another. `right` is P x A: how right each answer is."""
    problems, subsets, samples = codes.shape
    rows, answers = problems * subsets, right.shape[1]
    at, of_problem = np.arange(rows) * answers, np.repeat(np.arange(problems) * answers, subsets)
    counts = np.zeros(rows * answers, dtype=np.int16)
    seen_at = np.full(rows * answers, samples, dtype=np.int16)
    shares = right.ravel()
    leader = np.full(rows, ABSTAINED, dtype=np.int32)
    first, second = np.zeros(rows, dtype=np.int16), np.zeros(rows, dtype=np.int16)
    tied, won = np.zeros(rows), np.zeros(rows)
    vote = RunningVote(
        leader=np.empty((samples, rows), dtype=np.int32),
        first=np.empty((samples, rows), dtype=np.int16),
        second=np.empty((samples, rows), dtype=np.int16),
        correct=np.empty((samples, rows)),
    )
    for step, code in enumerate(np.ascontiguousarray(codes.reshape(rows, samples).T)):
        voted = code >= 0
        given = np.where(voted, code, 0)
        place = at + given
        votes = counts[place] + voted
        counts[place] = votes
        seen_at[place] = np.where(voted & (votes == 1), step, seen_at[place])
        share = shares[of_problem + given]
        leads, draws_level, is_other = voted & (votes > first), voted & (votes == first), given != leader
        second = np.where(
            leads & is_other, first, np.where(voted & is_other & ~leads, np.maximum(second, votes), second)
        )
        won = np.where(leads, share, won + draws_level * share)
        tied = np.where(leads, 1.0, tied + draws_level)
        is_earlier = draws_level & (seen_at[place] < seen_at[at + np.maximum(leader, 0)])
        leader = np.where(leads | is_earlier, given, leader)
        first = np.where(leads, votes, first)
        vote.leader[step], vote.first[step], vote.second[step] = leader, first, second
        vote.correct[step] = won / np.maximum(tied, 1.0)
    return RunningVote(
        leader=vote.leader.T.reshape(codes.shape),
        first=vote.first.T.reshape(codes.shape),
        second=vote.second.T.reshape(codes.shape),
        correct=vote.correct.T.reshape(codes.shape),
    )


def weighted_vote(codes: NDArray[np.int32], weights: Numbers, right: Numbers) -> tuple[NDArray[np.int32], Numbers]:
    """The heaviest answer of all samples, P x S, and how right it is; those that are tied are so in equal parts.

    Codes below 0 do not vote. Weights are none below 0; where nobody's vote weighs anything, each counts as 1.
    """
    problems, subsets = codes.shape[:2]
    rows, answers = problems * subsets, right.shape[1]
    voting: Flags = codes >= 0
    heavy = np.where(voting, np.maximum(weights, 0.0), 0.0)
    heavy = np.where(voting & (heavy.max(axis=2, keepdims=True) <= 0), 1.0, heavy)
    place = (np.arange(rows) * answers).reshape(problems, subsets, 1) + np.maximum(codes, 0)
    # Added up in the order of the samples, as a strategy adds them up: the sums are the same to the bit.
    sums = np.bincount(place.ravel(), weights=heavy.ravel(), minlength=rows * answers).reshape(
        problems, subsets, answers
    )
    most = sums.max(axis=2)
    is_best = voting & (np.take_along_axis(sums, np.maximum(codes, 0), axis=2) == most[:, :, None])
    chosen = np.take_along_axis(codes, is_best.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    tied = (sums >= (most * (1 - _ROUNDING))[:, :, None]) & (most > 0)[:, :, None]
    correct = (tied * right[:, None, :]).sum(axis=2) / np.maximum(tied.sum(axis=2), 1)
    return np.where(is_best.any(axis=2), chosen, ABSTAINED).astype(np.int32), correct
