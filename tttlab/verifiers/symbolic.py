"""Compare a candidate with the reference as mathematics."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.util import find_spec

from tttlab.answers import normalise
from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.protocols import Think
from tttlab.sandbox import run_program
from tttlab.types import CodeLimits, Problem, Verdict

_COMPARE = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from math_verify import parse, verify

def read(text):
    marked = "$" in text or "\\\\boxed" in text or "\\\\(" in text or "\\\\[" in text
    return parse(text if marked else f"${text}$", parsing_timeout=None)

reference, candidate = (read(text) for text in json.load(sys.stdin))
equal = verify(reference, candidate, timeout_seconds=None) if reference and candidate else False
# What cannot be read is given back as a text.
print(json.dumps([equal, *(any(not isinstance(part, str) for part in parts) for parts in (reference, candidate))]))
"""
_LONGEST = 1000
"""Characters; longer answers are no expressions that a problem has, and cost too much to compare."""
_PLACES = 5e-7
"""Decimals are compared to six places, as math-verify does."""
_DECIDED: dict[tuple[str, str], Verdict] = {}
"""Samples often agree, and a decision costs a process: those made are kept, up to `_KEPT`."""
_KEPT = 10_000
_UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbolic:
    """Passes a candidate whose answer equals the reference as mathematics, in LaTeX or plain: `1/2` and `0.5`.

    An oracle: it needs the reference. math-verify decides (`pip install 'tttlab[math]'`): simplification, sets,
    intervals, equations, decimals to six places. It runs in the sandbox, since an answer such as `9^9^9^9` may never
    end; equal texts and plain numbers need none of it. What is compared is what the problem's extractor finds; what
    cannot be read, or is not decided within `seconds`, fails.
    """

    seconds: float = 20.0

    def __post_init__(self) -> None:
        at_least(0.001, seconds=self.seconds)
        if find_spec("math_verify") is None:
            raise OptionError("the verifier symbolic needs math-verify: pip install 'tttlab[math]'")

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        reference = problem.reference
        if reference is None:
            return Verdict(score=None, error="the problem has no reference to compare with")
        # As the extractor finds it: normalised it would have lost the case of its letters.
        stated = (problem.extractor.find(candidate) or candidate).strip().strip(".")
        if stated == reference.strip():
            return Verdict(score=1.0, passed=True, explanation="equal as texts")
        if (found := _number(stated)) is not None and (wanted := _number(reference)) is not None:
            passed = math.isclose(found, wanted, rel_tol=0.0, abs_tol=_PLACES)
            return Verdict(score=float(passed), passed=passed, explanation=f"{found:g} is {'' if passed else 'not '}it")
        if not stated or len(stated) > _LONGEST:
            return Verdict(score=0.0, passed=False, explanation="the candidate cannot be read as mathematics")
        if (reference, stated) not in _DECIDED:
            verdict = await self._decide(reference, stated)
            if verdict.error is not None or verdict.explanation.startswith(_UNDECIDED):
                return verdict
            if len(_DECIDED) >= _KEPT:
                _DECIDED.clear()
            _DECIDED[reference, stated] = verdict
        return _DECIDED[reference, stated]

    async def _decide(self, reference: str, stated: str) -> Verdict:
        texts = json.dumps([_as_latex(reference), _as_latex(stated)])
        ran = await run_program(_COMPARE, stdin=texts, limits=CodeLimits(seconds=self.seconds))
        if ran.outcome == "error" and "ModuleNotFoundError" in ran.stderr:
            return Verdict(score=None, error=f"math-verify cannot be imported in the sandbox ({ran.isolation})")
        if ran.outcome != "ok":
            return Verdict(score=0.0, passed=False, explanation=f"{_UNDECIDED}: {ran.outcome}")
        equal, read, found = json.loads(ran.stdout)
        if not read and not equal:
            return Verdict(score=None, error="the reference cannot be read as mathematics")
        explanation = "equal" if equal else "not equal" if found else "the candidate cannot be read as mathematics"
        return Verdict(score=float(equal), passed=equal, explanation=explanation)


def _number(text: str) -> float | None:
    spelled = normalise(text) or ""
    try:
        return float(spelled) if spelled.isascii() else None
    except ValueError:
        return None


def _as_latex(text: str) -> str:
    return text.replace("**", "^")
