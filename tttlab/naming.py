"""How strategies and verifiers, classes or plain functions, are named and described in a trace."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def name_of(thing: object) -> str:
    """Its `name`, if it has one; else its class's or function's name: `SelfConsistency` is `self_consistency`."""
    named = getattr(thing, "name", None)
    if isinstance(named, str):
        return named
    raw = thing.__name__ if inspect.isroutine(thing) else type(thing).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", raw).lower()


def parameters_of(thing: object) -> dict[str, Any]:
    """Its parameters, if it is a dataclass; none for a plain function.

    A strategy or verifier among them is its name and its own parameters; a model or a function is its name.
    """
    if not is_dataclass(thing) or isinstance(thing, type):
        return {}
    return {item.name: _described(getattr(thing, item.name)) for item in fields(thing)}


def _described(value: object) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _described(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_described(inner) for inner in value)
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": name_of(value), **parameters_of(value)}
    return name_of(value)
