"""Compare a candidate with the reference as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tttlab.answers import find_extractor
from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric:
    """Passes a candidate whose last number is the reference's, within a tolerance. An oracle: it needs the reference.

    Within either tolerance is enough, as in `math.isclose`.
    """

    relative: float = 1e-9
    absolute: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, relative=self.relative, absolute=self.absolute)

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        if problem.reference is None:
            return Verdict(score=None, error="the problem has no reference to compare with")
        wanted, found = _number(problem.reference), _number(candidate)
        if wanted is None:
            return Verdict(score=None, error="the reference holds no number")
        if found is None:
            return Verdict(score=0.0, passed=False, explanation="no number in the candidate")
        passed = math.isclose(found, wanted, rel_tol=self.relative, abs_tol=self.absolute)
        return Verdict(score=float(passed), passed=passed, explanation=f"{found:g} is {'' if passed else 'not '}it")


def _number(text: str) -> float | None:
    found = find_extractor("last_number")(text)
    return None if found is None else float(found)
