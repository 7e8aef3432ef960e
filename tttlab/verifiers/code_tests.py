"""Run tests against a candidate program."""

from __future__ import annotations

import ast
import asyncio
import hashlib
from dataclasses import dataclass
from typing import ClassVar

from tttlab.checks import at_least
from tttlab.programs import find_program
from tttlab.protocols import Think
from tttlab.types import CodeLimits, Problem, Ran, Verdict

_HARNESS = """
import os, sys
candidate, test, word = {parts!r}
names = {{"__name__": "candidate"}}
exec(compile(candidate, "candidate.py", "exec"), names)
exec(compile(test, "test.py", "exec"), names)
sys.stdout.flush()
os.write(1, word.encode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTests:
    """Runs each test behind the candidate program; passes if all tests pass, and the score is the share that do.

    A test is Python code that raises where the candidate is wrong, such as `assert add(1, 2) == 3`. Without `tests`
    the problem's reference is taken: each of its statements where all are assertions, else the whole as one test (as
    in HumanEval, Chen et al., 2021). Every test runs in a process of its own, so that one that never ends costs only
    itself; a program that ends before its test did has not passed it. The candidate's Markdown is taken off. The first
    failure is explained; of a test in the reference only by the kind of error, since its message may hold the answer.
    Not proof against a program written to deceive its tests. `seconds` and `memory` (MiB) hold for each test.
    """

    tests: tuple[str, ...] = ()
    seconds: float = 10.0
    memory: int = 1024
    needs: ClassVar[tuple[str, ...]] = ("code",)

    def __post_init__(self) -> None:
        at_least(0.001, seconds=self.seconds)
        at_least(1, memory=self.memory)

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        tests = self.tests or _tests_in(problem.reference or "")
        if not tests:
            return Verdict(score=None, error="there are no tests: give `tests`, or code as the problem's reference")
        program = find_program(candidate) or candidate
        failures = await asyncio.gather(*(self._failure(think, program, test) for test in tests))
        passes = failures.count(None)
        first = next((f"; test {number}: {said}" for number, said in enumerate(failures, 1) if said), "")
        return Verdict(
            score=passes / len(tests),
            passed=passes == len(tests),
            explanation=f"{passes} of {len(tests)} tests pass{first}",
        )

    async def _failure(self, think: Think, program: str, test: str) -> str | None:
        # A word that a program which does not look for it cannot say, and the same in every run.
        word = hashlib.sha256(f"{len(program)}:{program}{test}".encode("utf-8", "surrogatepass")).hexdigest()
        limits = CodeLimits(seconds=self.seconds, memory=self.memory)
        ran = await think.run_code(_HARNESS.format(parts=(program, test, word)), limits=limits)
        return None if ran.outcome == "ok" and word in ran.stdout else _said(ran, whole=bool(self.tests))


def _tests_in(reference: str) -> tuple[str, ...]:
    try:
        statements = ast.parse(reference).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (reference,) if reference.strip() else ()
    if all(isinstance(statement, ast.Assert) for statement in statements):
        return tuple(ast.unparse(statement) for statement in statements)
    return (reference,)


def _said(ran: Ran, *, whole: bool) -> str:
    if ran.outcome == "ok":
        return "the program ended before its test did"
    last = ran.stderr.strip().rsplit("\n", 1)[-1]
    if ran.outcome != "error" or not last:
        return ran.outcome
    return last[:200] if whole else last.partition(":")[0][:40]
