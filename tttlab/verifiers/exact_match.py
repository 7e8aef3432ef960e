"""Compare a candidate with the reference."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.answers import normalise, same_answer
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch:
    """Passes a candidate that equals the reference once both are normalised. An oracle: it needs the reference."""

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        passed = same_answer(normalise(candidate), problem.reference)
        if passed is None:
            return Verdict(score=None, error="the problem has no reference to compare with")
        return Verdict(score=float(passed), passed=passed)
