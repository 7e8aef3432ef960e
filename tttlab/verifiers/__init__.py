"""Verifiers: one check, one file. Each is a frozen dataclass of its parameters with one coroutine.

A verifier sees the problem's reference; a strategy does not, and a verdict's explanation never tells it. A new file in
this folder is found by its name: `exact_match.py` holds `ExactMatch`, and `-p verifier=exact_match` gives it to a
strategy. A plain function of `(problem, candidate, think)` that returns a `Verdict` is a verifier too, with or without
`async`.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.parameters import declared_types, read_values
from tttlab.protocols import Verifier


def verifier_names() -> list[str]:
    """The names of all verifiers that come with tttlab."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def verifier_class(name: str) -> type[Verifier]:
    """The class behind a name. Raises `OptionError` with the nearest names."""
    spelled = name.replace("-", "_").lower()
    if spelled not in verifier_names():
        raise OptionError(f"no verifier is named {name!r}{nearest(spelled, verifier_names())}")
    module = import_module(f"{__name__}.{spelled}")
    found: type[Verifier] = getattr(module, "".join(word.capitalize() for word in spelled.split("_")))
    return found


def resolve_verifier(verifier: str | Verifier, parameters: Mapping[str, Any] | None = None) -> Verifier:
    """A verifier ready to be asked: a name, such as `numeric` or `numeric(relative=0.01)`, or an object as it is.

    In the brackets are Python's literals, words for texts, and other verifiers. Raises `OptionError` for an unknown
    name or parameter, and for a value that cannot be used.
    """
    if not isinstance(verifier, str):
        if not callable(verifier):
            raise OptionError(f"{verifier!r} is not a verifier: give a name, or a function that returns a Verdict")
        return verifier
    name, spelled = _parted(verifier)
    cls = verifier_class(name)
    return cls(**read_values(name, declared_types(cls), {**spelled, **(parameters or {})}))


def _parted(text: str) -> tuple[str, dict[str, Any]]:
    """The name, and the parameters in brackets behind it."""
    if re.fullmatch(r"[\w-]+", text.strip()):
        return text.strip(), {}
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise OptionError(f"cannot read the verifier {text!r}: write a name, or name(parameter=value)")
    return call.func.id, {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
