"""Choosing a program by tests that a model wrote: the rules of CodeT (Chen et al., 2022) over who passes what.

Each rule gives every sampled program the chance that it is the one chosen: where several are equally good, each is as
likely as another, so that the accuracy of a rule is an average over its ties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tttlab.errors import OptionError
from tttlab.experiments.intervals import Interval, bootstrap
from tttlab.experiments.pool import Flags, Numbers

_ROUNDING = 1e-9
"""Relative: scores as near as this are the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassMatrix:
    """One problem's S sampled programs and T generated tests. Raises `OptionError` where their shapes do not fit."""

    problem: str
    passes: Flags
    """S x T: whether the program passes the test. Programs that were sampled twice are there twice."""
    generated: NDArray[np.int64]
    """T: how often each test was generated."""
    correct: Flags
    """S: whether the program is right, by the problem's own tests, which no rule but the oracle sees."""
    out_of_time: NDArray[np.int64]
    """S: in how many of the tests the program did not come to an end."""

    def __post_init__(self) -> None:
        shape = (len(self.correct), len(self.generated))
        if not len(self.correct) or self.passes.shape != shape or len(self.out_of_time) != len(self.correct):
            raise OptionError(f"{self.problem} has passes of shape {self.passes.shape}, programs and tests of {shape}")

    @property
    def passed(self) -> Numbers:
        """S: how many generated tests each program passes, each as often as it was generated."""
        return np.asarray(self.passes @ self.generated, dtype=np.float64)

    @property
    def clusters(self) -> NDArray[np.intp]:
        """S: the number of each program's cluster: those that pass the same tests behave alike."""
        return np.unique(self.passes, axis=0, return_inverse=True)[1].reshape(-1)

    def in_one_process(self, most: int = 2) -> PassMatrix:
        """As where one process with one limit runs all of a program's tests, and the problem's own behind them.

        A program that did not end in `most` of the generated tests then fails everything, though it may be right, and
        figures that come about so are lower. The default was chosen to come near to figures of the published logs that
        were had in an unknown way: it is no measurement of that way.
        """
        alive = self.out_of_time < most
        return replace(self, passes=self.passes & alive[:, None], correct=self.correct & alive)


Rule = Callable[[PassMatrix], Numbers]
"""The chance of each program to be chosen; they sum to 1."""


def at_random(matrix: PassMatrix) -> Numbers:
    """Any program: pass@1."""
    return _chances(np.ones(len(matrix.correct)))


def by_tests_passed(matrix: PassMatrix) -> Numbers:
    """A program that passes the most generated tests."""
    return _chances(matrix.passed)


def by_largest_cluster(matrix: PassMatrix) -> Numbers:
    """A program of the largest cluster: the vote of a majority, with behaviour for an answer.

    Programs that pass no test behave alike too, and are often the most.
    """
    return _of_clusters(matrix, _sizes(matrix))


def by_dual_agreement(matrix: PassMatrix) -> Numbers:
    """A program of the cluster with the greatest number of programs times number of tests that they pass (CodeT).

    A program that passes no test is in no cluster; where there is none, any program is chosen.
    """
    return _of_clusters(matrix, _sizes(matrix) * matrix.passed)


def by_dual_agreement_root(matrix: PassMatrix) -> Numbers:
    """As the published code has it, with the square root of the number of programs."""
    return _of_clusters(matrix, np.sqrt(_sizes(matrix)) * matrix.passed)


def by_oracle(matrix: PassMatrix) -> Numbers:
    """A right program where there is one: what no rule can surpass, and no rule that may be used."""
    return _chances(matrix.correct.astype(np.float64))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "any program": at_random,
        "generated tests passed": by_tests_passed,
        "largest cluster": by_largest_cluster,
        "dual agreement": by_dual_agreement,
        "dual agreement, root": by_dual_agreement_root,
        "oracle": by_oracle,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """pass@1 of the program that a rule chooses, with its interval over problems."""

    rule: str
    interval: Interval


def chosen_right(matrix: PassMatrix, rule: Rule) -> float:
    """The chance that the program that the rule chooses is right."""
    return float(rule(matrix) @ matrix.correct)


def ladder(matrices: Sequence[PassMatrix], rules: Mapping[str, Rule] = RULES) -> list[Rung]:
    """Every rule on the same programs and tests. Raises `OptionError` where there are no problems."""
    return [
        Rung(rule=name, interval=bootstrap([chosen_right(matrix, rule) for matrix in matrices]))
        for name, rule in rules.items()
    ]


def _sizes(matrix: PassMatrix) -> Numbers:
    clusters = matrix.clusters
    return np.asarray(np.bincount(clusters)[clusters], dtype=np.float64)


def _of_clusters(matrix: PassMatrix, scores: Numbers) -> Numbers:
    """The clusters of the greatest score are equally likely, and so are the programs of each."""
    if not scores.max():
        return at_random(matrix)
    best = _chances(scores) > 0
    return np.asarray(best / _sizes(matrix) / len(np.unique(matrix.clusters[best])), dtype=np.float64)


def _chances(scores: Numbers) -> Numbers:
    best = scores >= scores.max() * (1 - _ROUNDING)
    return np.asarray(best / best.sum(), dtype=np.float64)
