"""Shares of a budget learned by groups of problems: on one half of the problems, for the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tttlab.experiments.pool import Flags, Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """P problems x S orders x (N + 1): how right the vote of the first k samples is, and what they cost, at k."""

    correct: Numbers
    spent: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """What one budget bought, P x S: the expected correctness, the samples and their cost."""

    correct: Numbers
    samples: Numbers
    spent: Numbers


@dataclass(frozen=True, slots=True)
class Raise:
    """From so many samples to so many, for the problems of a group; `gain` is in correctness for its cost."""

    gain: float
    group: int
    start: int
    end: int


def spread_by_groups(
    curves: Curves, groups: NDArray[np.int64], folds: NDArray[np.int64], budgets: Sequence[float], *, least: int
) -> list[Spread]:
    """Spend each budget (the mean a problem) by groups (P x S), from `least` samples of each problem upwards.

    In what order groups are raised, and how far, is learned from the other folds' problems (`folds`, P): the steepest
    part of a group's curve of accuracy against cost first, over its upper concave hull. The raise that the budget ends
    in goes to a part of its group's problems, picked blindly: their expectation is taken. What raises nothing is not
    spent.
    """
    shape = curves.correct.shape[:2]
    blank = [Spread(correct=np.zeros(shape), samples=np.zeros(shape), spent=np.zeros(shape)) for _ in budgets]
    for fold in np.unique(folds):
        inside = folds == fold
        raises = learned(curves, groups, ~inside, least)
        own = Curves(correct=curves.correct[inside], spent=curves.spent[inside])
        for spread, budget in zip(blank, budgets, strict=True):
            _spend(spread, own, groups[inside], inside, raises, budget, least)
    return blank


def learned(curves: Curves, groups: NDArray[np.int64], among: Flags, least: int) -> list[Raise]:
    """Every group's raises, the steepest first. A group that nobody there belongs to goes by all of them."""
    found: list[Raise] = []
    correct, spent, known = curves.correct[among], curves.spent[among], groups[among]
    for group in np.unique(groups):
        members = known == group
        members = members if members.any() else np.ones_like(members)
        found += _hull(int(group), correct[members].mean(axis=0), spent[members].mean(axis=0), least)
    return sorted(found, key=lambda each: (-each.gain, each.group, each.start))


def _hull(group: int, correct: Numbers, spent: Numbers, least: int) -> list[Raise]:
    """The rising part of the upper concave hull of a curve, as raises."""
    found, start = list[Raise](), least
    while start < len(correct) - 1:
        cost = np.maximum(spent[start + 1 :] - spent[start], 1e-12)
        gains = (correct[start + 1 :] - correct[start]) / cost
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        found.append(Raise(float(gains[best]), group, start, start + 1 + best))
        start += 1 + best
    return found


def _spend(
    into: Spread,
    curves: Curves,
    groups: NDArray[np.int64],
    inside: Flags,
    raises: Sequence[Raise],
    budget: float,
    least: int,
) -> None:
    correct, spent = curves.correct[:, :, least].copy(), curves.spent[:, :, least].copy()
    samples = np.full(spent.shape, float(least))
    left = budget * len(spent) - spent.sum(axis=0)
    for each in raises:
        members = groups == each.group
        cost = np.where(members, curves.spent[:, :, each.end] - curves.spent[:, :, each.start], 0.0)
        whole = cost.sum(axis=0)
        part = np.clip(np.where(whole > left, left / np.maximum(whole, 1e-12), 1.0), 0.0, 1.0)
        correct += members * part * (curves.correct[:, :, each.end] - curves.correct[:, :, each.start])
        samples += members * part * (each.end - each.start)
        spent += part * cost
        # The raise that the budget ends in is the last: a cheaper one behind it buys less for its cost.
        left = np.where(part < 1, 0.0, left - whole)
    into.correct[inside], into.samples[inside], into.spent[inside] = correct, samples, spent


def spread_evenly(curves: Curves, budgets: Sequence[float]) -> list[Spread]:
    """The same number of samples for every problem; where the budget ends between two, some get one more, blindly."""
    means, found = curves.spent.mean(axis=0), list[Spread]()
    for budget in budgets:
        below = np.clip((means <= budget * (1 + 1e-12)).sum(axis=1) - 1, 0, means.shape[1] - 1)
        above = np.minimum(below + 1, means.shape[1] - 1)
        orders = np.arange(means.shape[0])
        room = means[orders, above] - means[orders, below]
        part = np.clip(np.where(room > 0, (budget - means[orders, below]) / np.maximum(room, 1e-12), 0.0), 0.0, 1.0)
        mixed = [
            array[:, orders, below] * (1 - part) + array[:, orders, above] * part
            for array in (curves.correct, curves.spent)
        ]
        samples = np.broadcast_to(below + part * (above - below), mixed[0].shape)
        found.append(Spread(correct=mixed[0], samples=samples, spent=mixed[1]))
    return found
