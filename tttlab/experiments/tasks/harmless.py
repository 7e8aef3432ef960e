"""Which answers may be given to a scorer that evaluates them, by `eval` or SymPy, as some of reasoning-gym's do."""

from __future__ import annotations

import ast
import re

_CIRCULAR = {name + tail for name in ("sin", "cos", "tan") for tail in ("", "h")}
_FUNCTIONS = _CIRCULAR | {f"a{name}" for name in _CIRCULAR} | {"cot", "sec", "csc", "exp", "log", "ln", "sqrt", "Abs"}
_MOST_CHARACTERS = 4_000
_LARGEST_POWER = 10_000
"""Of all exponents of an answer multiplied: 9**9**9 would be computed for ever."""
_FACTORIAL = re.compile(r"[\d)\]]\s*!")
_CALL = re.compile(r"\w\s*\(")
_VALUES = (ast.List, ast.Tuple, ast.Dict, ast.Set)


def is_harmless(answer: str) -> bool:
    """Whether to evaluate it could only compute, and soon ends: numbers, names, known functions, plain lists.

    A text that is no expression is harmless where nothing in it looks like a call, since nothing evaluates it.
    """
    if len(answer) > _MOST_CHARACTERS or "__" in answer or _FACTORIAL.search(answer):
        return False
    try:
        tree = ast.parse(answer.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return not _CALL.search(answer)
    power = 1.0
    for node in ast.walk(tree):
        if not _is_plain(node):
            return False
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            exponent = _number(node.right)
            if exponent is None:
                return False
            power *= max(1.0, abs(exponent))
    return power <= _LARGEST_POWER


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords
    if isinstance(node, ast.BinOp):
        # `[0] * 10**10` and its like take all memory; shifts make as large numbers as powers.
        repeats = any(isinstance(side, _VALUES) or _is_text(side) for side in (node.left, node.right))
        return not repeats and not isinstance(node.op, ast.LShift | ast.RShift | ast.MatMult)
    return not isinstance(
        node,
        ast.Attribute
        | ast.Lambda
        | ast.ListComp
        | ast.SetComp
        | ast.DictComp
        | ast.GeneratorExp
        | ast.NamedExpr
        | ast.JoinedStr
        | ast.Await
        | ast.Yield
        | ast.YieldFrom
        | ast.Starred
        | ast.Subscript,
    )


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _number(node: ast.AST) -> float | None:
    """The value of an exponent that is a number, or a fraction of two; None for one that would have to be computed."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _number(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = _number(node.left), _number(node.right)
        return None if above is None or not below else above / below
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return 1.0
    return None
