"""Arithmetic expressions: what one comes to, exactly, and the one form of those that differ in order alone."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fractions import Fraction

_LONGEST = 200
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})  # noqa: RUF001
"""As people write them."""


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
