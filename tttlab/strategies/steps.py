"""Going on from a partial solution step by step: what the searches over steps share. No strategy by itself."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tttlab.errors import CallError, OptionError, nearest
from tttlab.protocols import BranchHandle, Think, Verifier
from tttlab.types import Message, Problem

STEP = """{problem}

Solve it step by step, with a blank line after each step. The last step says "The answer is" and the answer."""
SCORE = """{problem}

A partial solution:

{steps}

How likely is it that its last step is correct and leads to the right answer? \
The last line says "Score: N", where N is a whole number from 0 (wrong) to 10 (certainly right)."""
NEXT = "Write only the next step."
CONCLUDE = "The answer is"

_FINAL = re.compile(r"answer\s*(?:is|:|=)|####|\\boxed", re.IGNORECASE)
_TOP = 10
_SCORE = re.compile(r"score[^\w-]*(\d{1,3}(?:\.\d+)?)", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+")
_MARKER = re.compile(r"^\W*(?:\d+\s*[.):]\s*)?(?:Q(?:uestion)?\s*\d*\s*[.:)]\s*)?[*_\s]*", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Node:
    """A partial solution: the steps that lead to it, its branch (the root of a tree has none), and its score."""

    branch: BranchHandle | None = None
    steps: tuple[str, ...] = ()
    score: float = 0.0

    @property
    def final(self) -> bool:
        """Whether its last step states an answer."""
        return bool(self.steps) and states_answer(self.steps[-1])

    def mark(self, **attributes: str | float | bool) -> None:
        """Record facts about its branch, where it has one."""
        if self.branch is not None:
            self.branch.mark(**attributes)


AnyNode = TypeVar("AnyNode", bound=Node)
Result = TypeVar("Result")


class _Parameters(Protocol):
    @property
    def separator(self) -> str: ...

    @property
    def temperature(self) -> float: ...

    @property
    def max_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Stepper:
    """Asks the model to go on from the steps of a partial solution, and what it thinks of them."""

    how: _Parameters
    problem: Problem
    think: Think
    question: Callable[[Sequence[str]], str]
    """What the model is asked to solve step by step, given the steps so far."""

    async def next_steps(self, steps: Sequence[str], *, n: int, **options: Any) -> list[str]:
        """The next step, drawn `n` times, in index order. `options` go to the calls. Raises `CallError` if all fail."""
        separator = self.how.separator
        options = {"temperature": self.how.temperature, "max_tokens": self.how.max_tokens, **options}
        asked = self.going_on(steps, separator, NEXT)
        replies = await self.think.complete(asked, n=n, stop=(separator,), **options)
        return [reply.text.strip().split(separator)[0].strip() for reply in replies]

    async def concluded(self, steps: Sequence[str], start: str, temperature: float) -> str:
        """What comes after the steps when the model is asked for the answer alone. Raises `CallError`."""
        asked = self.going_on(steps, start, f"{CONCLUDE} (answer only)")
        [reply] = await self.think.complete(asked, temperature=temperature, max_tokens=self.how.max_tokens)
        return f"\n{CONCLUDE} {reply.text.strip()}" if reply.text.strip() else ""

    def going_on(self, steps: Sequence[str], start: str, request: str) -> list[Message]:
        """A conversation in which the model goes on from the steps.

        `start` opens what it writes where it can go on from a prefix; else it is asked by the `request`. Without steps,
        and with nothing to start with, there is the question alone.
        """
        question, text = Message("user", self.question(steps)), self.how.separator.join(steps)
        if not text and not start.strip():
            return [question]
        if self.think.can.prefix:
            return [question, Message("assistant", text + start if text else start.lstrip())]
        return [question, *([Message("assistant", text)] if text else []), Message("user", request)]

    async def opinions(self, prompt: str, *, n: int, temperature: float) -> list[str]:
        """What the evaluator says, `n` times; nothing where all calls fail. Their spans keep the errors."""
        try:
            replies = await self.think.complete(
                prompt, n=n, role="evaluator", temperature=temperature, max_tokens=self.how.max_tokens
            )
        except CallError:
            return []
        return [reply.text for reply in replies]

    async def score(self, steps: Sequence[str], verifier: Verifier | None, prompt: str) -> float:
        """The verifier's score of the steps, or else the model's own, from 0 to 1; 0 where it cannot be read."""
        text = self.how.separator.join(steps)
        if verifier is not None:
            verdict = await self.think.verify(verifier, self.problem, text)
            return verdict.score if verdict.score is not None and math.isfinite(verdict.score) else 0.0
        asked = fill(prompt, problem=self.problem.prompt, steps=text)
        said = await self.opinions(asked, n=1, temperature=0.0)
        found = [float(score) for reply in said for score in _SCORE.findall(reply)]
        return found[-1] / _TOP if found and found[-1] <= _TOP else 0.0


async def expanded(node: Node, steps: Awaitable[list[str]]) -> list[str]:
    """The steps that go on from a node, which is marked `expanded`, or `failed` where no call gave one.

    Raises `CallError` where it failed before the first step: then there is nothing to go on with.
    """
    try:
        drawn = await steps
    except CallError as error:
        if not node.steps:
            raise
        node.mark(state="failed", reason=str(error))
        return []
    node.mark(state="expanded")
    return drawn


async def in_branches(
    think: Think, function: Callable[[AnyNode], Awaitable[Result]], nodes: Sequence[AnyNode]
) -> list[Result]:
    """Run a function over nodes at once, each in its own branch. A root, which has none, is always alone."""
    branches = [node.branch for node in nodes if node.branch is not None]
    if nodes and not branches:
        return [await function(nodes[0])]
    return await think.map(function, nodes, branches=branches)


def best_first(nodes: Iterable[AnyNode]) -> list[AnyNode]:
    """By score, the highest first; among equals the first seen."""
    return sorted(nodes, key=lambda node: -node.score)


def states_answer(step: str) -> bool:
    """Whether a step states an answer, so that no step comes after it."""
    return _FINAL.search(step) is not None


def fill(template: str, **given: str) -> str:
    """The template with `{name}` replaced for each name given; other braces stay as they are."""
    return re.sub(rf"\{{({'|'.join(given)})\}}", lambda match: given[match[1]], template)


def lines_in(text: str) -> list[str]:
    """The lines of a list, without bullets and numbers; empty ones are left out."""
    lines = (_BULLET.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def questions_in(text: str) -> list[str]:
    """The lines that end with a question mark, without their numbers and bullets; a repeated one counts once."""
    lines = [_MARKER.sub("", line).strip(' \t*_`"') for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.endswith("?") and line.strip("? ")))


def one_of(valid: Iterable[str], **values: str) -> None:
    """Raise `OptionError` where a parameter is none of the `valid` words."""
    for name, value in values.items():
        if value not in tuple(valid):
            raise OptionError(f"{name}={value!r} is not a choice{nearest(str(value), valid)}")


def ends_a_step(separator: str) -> None:
    """Raise `OptionError` for a separator that can stand nowhere."""
    if not separator:
        raise OptionError("separator='' ends no step: give the text between two steps, such as a blank line")
