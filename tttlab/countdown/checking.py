"""Judging by the rules: whether an expression solves a puzzle, and whether each step of a line of thinking is right."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from tttlab.countdown.puzzle import Puzzle

_LONGEST = 200
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})  # noqa: RUF001 - as people write them
_STEP = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+) (?:: ((?:\d+ ?)+)|\? (\d+) ([x!]) ?);?")


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression comes to, and the numbers in it, in order."""

    value: Fraction
    numbers: tuple[int, ...]


def value_of(expression: str) -> Value | None:
    """The exact value of an arithmetic expression; None for anything else, and for a division by zero."""
    text = expression.translate(_SIGNS).strip().removesuffix(".")
    if len(text) > _LONGEST:
        return None
    try:
        return _value(ast.parse(text.partition("=")[0].strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Value:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Value(Fraction(node.value), (node.value,))
    if not isinstance(node, ast.BinOp):
        raise ValueError("no arithmetic")  # noqa: TRY004 - the text is wrong, no argument's type
    left, right = _value(node.left), _value(node.right)
    a, b = left.value, right.value
    match node.op:
        case ast.Add():
            made = a + b
        case ast.Sub():
            made = a - b
        case ast.Mult():
            made = a * b
        case ast.Div():
            made = a / b
        case _:
            raise ValueError("no arithmetic")
    return Value(made, left.numbers + right.numbers)


def canonical(expression: str) -> str | None:
    """An expression in the one form of all that differ from it in brackets and order alone; None for no expression."""
    try:
        return _canonical(ast.parse(expression.translate(_SIGNS).partition("=")[0].strip(), mode="eval").body)[1]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _canonical(node: ast.expr) -> tuple[str, str]:
    """The sign that holds an expression together, `+` or `*` or none, and the expression with its terms in order."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return "", str(node.value)
    signs: dict[type, tuple[str, str]] = {
        ast.Add: ("+", "+"),
        ast.Sub: ("+", "-"),
        ast.Mult: ("*", "*"),
        ast.Div: ("*", "/"),
    }
    if not isinstance(node, ast.BinOp) or type(node.op) not in signs:
        raise ValueError("no arithmetic")
    kind, _ = signs[type(node.op)]
    terms = sorted(_terms(node, kind, inverse=False), key=lambda term: (term[0], len(term[1]), term[1]))
    keep, undo = ("+", "-") if kind == "+" else ("*", "/")
    text = "".join(f" {undo if inverse else keep} {term}" for inverse, term in terms)
    return kind, text.removeprefix(f" {keep} ")


def _terms(node: ast.expr, kind: str, *, inverse: bool) -> list[tuple[bool, str]]:
    """What is added and taken away, or multiplied and divided by, on one level: whether inversely, and what."""
    pair = (ast.Add, ast.Sub) if kind == "+" else (ast.Mult, ast.Div)
    if isinstance(node, ast.BinOp) and isinstance(node.op, pair):
        turned = inverse != isinstance(node.op, pair[1])
        return [*_terms(node.left, kind, inverse=inverse), *_terms(node.right, kind, inverse=turned)]
    inner, text = _canonical(node)
    return [(inverse, f"({text})" if inner else text)]


def trouble(puzzle: Puzzle, expression: str) -> str | None:
    """Why an expression does not solve a puzzle; None where it does."""
    found = value_of(expression)
    if found is None:
        return "no arithmetic expression"
    if Counter(found.numbers) != Counter(puzzle.numbers):
        return f"uses {' '.join(map(str, found.numbers))}, not {' '.join(map(str, puzzle.numbers))}"
    return None if found.value == puzzle.target else f"makes {found.value}, not {puzzle.target}"


@dataclass(frozen=True, slots=True)
class StepJudged:
    """One step of thinking and what is wrong with it, if anything."""

    text: str
    start: int
    """Where it stands in the thinking, in characters."""
    trouble: str | None
    last: bool
    """Whether it uses the last two numbers, and so is held against the target."""


def judge_steps(puzzle: Puzzle, thinking: str) -> Iterator[StepJudged]:
    """Each whole step of a line of thinking, with what is wrong with it: sums, numbers it has not, or its verdict.

    A step may start from any position that an earlier step of the same thinking led to, or from the puzzle's numbers.
    """
    positions = {_position(puzzle.numbers)}
    for match in _STEP.finditer(thinking):
        first, sign, second, result, rest, target, verdict = match.groups()
        last = rest is None
        after = (int(result),) if last else tuple(map(int, rest.split()))
        judged = _trouble(positions, (int(first), sign, int(second), int(result)), after)
        if judged is None and last:
            judged = _of_verdict(puzzle, int(result), int(target), verdict)
        if judged is None and not last:
            positions.add(_position(after))
        yield StepJudged(match[0].strip(" ;"), match.start(), judged, last)


def _position(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(numbers))


def _trouble(positions: set[tuple[int, ...]], step: tuple[int, str, int, int], after: tuple[int, ...]) -> str | None:
    first, sign, second, result = step
    found = value_of(f"{first} {sign} {second}")
    if found is None or found.value != result:
        return f"{first} {sign} {second} is not {result}"
    rest = Counter(after)
    rest.subtract([result])
    before = rest + Counter([first, second])
    if min(rest.values(), default=0) < 0 or _position(tuple(before.elements())) not in positions:
        return f"there is no {first} and {second} to take, or other numbers are left"
    return None


def _of_verdict(puzzle: Puzzle, result: int, target: int, verdict: str) -> str | None:
    if target != puzzle.target:
        return f"the target is {puzzle.target}, not {target}"
    return (
        None
        if (result == target) == (verdict == "!")
        else f"{result} {'is' if result == target else 'is not'} {target}"
    )
