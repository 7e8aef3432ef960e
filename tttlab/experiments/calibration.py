"""Whether scores mean what they say, and whether they rank right above wrong: of verifiers, or of confidences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tttlab.errors import OptionError

if TYPE_CHECKING:
    from tttlab.experiments.intervals import Interval

BINS = 10

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The judged with a score from `low` up to `high`, the last bin's end included."""

    low: float
    high: float
    count: int
    score: float
    """Their mean score; NaN in an empty bin, as are accuracy and interval."""
    accuracy: Interval
    """The share of them that is right; each counts alone, so give one of a problem, or read it as too narrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAuc:
    """The AUC among the judged of one group, such as a depth."""

    group: Hashable
    count: int
    right: int
    auc: float
    """NaN where all are right, or none is."""


def auc(scores: ArrayLike, right: ArrayLike) -> float:
    """The chance that something right has a higher score than something wrong, a tie counting half.

    The rank statistic of Mann and Whitney (1947), as Hanley and McNeil (1982) read it. NaN with one class only.
    """
    from scipy.stats import rankdata

    known, verdicts = _judged(scores, right)
    good = int(verdicts.sum())
    if not 0 < good < len(known):
        return math.nan
    above = float(rankdata(known)[verdicts].sum()) - good * (good + 1) / 2
    return above / (good * (len(known) - good))


def auc_by_group(scores: ArrayLike, right: ArrayLike, groups: Sequence[Hashable]) -> tuple[GroupAuc, ...]:
    """The AUC within each group, such as the depth of a tree, in the order in which the groups come."""
    known, verdicts = _judged(scores, right)
    if len(groups) != len(known):
        raise OptionError(f"`groups` says where each score belongs: {len(groups)} for {len(known)} scores")
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    return tuple(
        GroupAuc(group=group, count=len(of), right=int(verdicts[of].sum()), auc=auc(known[of], verdicts[of]))
        for group, of in places.items()
    )


def brier_score(scores: ArrayLike, right: ArrayLike) -> float:
    """The mean squared distance of the scores from 1 for right and 0 for wrong (Brier, 1950). Scores are in [0, 1]."""
    known, verdicts = _chances(scores, right)
    return float(((known - verdicts) ** 2).mean())


def expected_calibration_error(scores: ArrayLike, right: ArrayLike, *, bins: int = BINS) -> float:
    """The mean distance of score from accuracy over bins of equal width, weighed by their counts (Guo et al., 2017).

    With few judged it is too high even for perfect scores, since each bin's accuracy is rough.
    """
    known, verdicts = _chances(scores, right)
    place = _bin(known, bins)
    away = np.abs(np.bincount(place, known, bins) - np.bincount(place, verdicts, bins))
    return float(away.sum() / len(known))


def reliability(
    scores: ArrayLike, right: ArrayLike, *, bins: int = BINS, level: float = 0.95
) -> tuple[ReliabilityBin, ...]:
    """The share that is right among those of like score, in bins of equal width (Murphy and Winkler, 1977)."""
    from tttlab.experiments.intervals import Interval
    from tttlab.experiments.proportions import jeffreys

    known, verdicts = _chances(scores, right)
    place = _bin(known, bins)
    made = []
    for number in range(bins):
        inside = place == number
        count, good = int(inside.sum()), int(verdicts[inside].sum())
        interval = Interval(math.nan, math.nan, math.nan, 0, level, "empty")
        if count:
            low, high = jeffreys(good, count, level)
            interval = Interval(good / count, float(low), float(high), count, level, "Jeffreys over the judged")
        made.append(
            ReliabilityBin(
                low=number / bins,
                high=(number + 1) / bins,
                count=count,
                score=float(known[inside].mean()) if count else math.nan,
                accuracy=interval,
            )
        )
    return tuple(made)


def _judged(scores: ArrayLike, right: ArrayLike) -> tuple[Numbers, Flags]:
    known, verdicts = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if known.ndim != 1 or known.shape != verdicts.shape:
        raise OptionError(f"give one score and one truth for each judged, not {known.shape} and {verdicts.shape}")
    if not known.size:
        raise OptionError("nothing was judged: there are no scores")
    if missing := int(np.isnan(known).sum()):
        raise OptionError(f"{missing} of {len(known)} scores are NaN: leave them out, and say how many there were")
    return known, verdicts


def _chances(scores: ArrayLike, right: ArrayLike) -> tuple[Numbers, Flags]:
    known, verdicts = _judged(scores, right)
    if known.min() < 0 or known.max() > 1:
        raise OptionError(
            f"scores from {known.min():.3g} to {known.max():.3g} are no chances: map them to [0, 1], or ask for `auc`"
        )
    return known, verdicts


def _bin(scores: Numbers, bins: int) -> NDArray[np.intp]:
    if bins < 1:
        raise OptionError(f"{bins} bins hold nothing: ask for at least 1")
    return np.minimum((scores * bins).astype(np.intp), bins - 1)
