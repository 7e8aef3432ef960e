"""Check that a candidate has a form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tttlab.errors import OptionError
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularExpression:
    """Passes a candidate in which `pattern` (Python's syntax) is found, or which it matches as a `whole`.

    Without a pattern the reference is the pattern, and then it is an oracle. A pattern that backtracks without end,
    such as `(a+)+b`, holds up everything: no limit is kept here.
    """

    pattern: str | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise OptionError(f"the pattern {self.pattern!r} cannot be read: {error}") from error

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        pattern = problem.reference if self.pattern is None else self.pattern
        if pattern is None:
            return Verdict(score=None, error="there is no pattern, and the problem has no reference to take as one")
        try:
            compiled = re.compile(pattern)
        except re.error:
            return Verdict(score=None, error="the reference cannot be read as a pattern")
        found = compiled.fullmatch(candidate) if self.whole else compiled.search(candidate)
        explanation = f"{found[0][:80]!r} matches" if found else "no match"
        return Verdict(score=float(found is not None), passed=found is not None, explanation=explanation)
