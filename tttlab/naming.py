"""How strategies and verifiers, classes or plain functions, are named and described in a trace."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any


def name_of(thing: object) -> str:
    """Its `name`, if it has one; else its class's or function's name: `SelfConsistency` is `self_consistency`."""
    named = getattr(thing, "name", None)
    if isinstance(named, str):
        return named
    if isinstance(thing, partial):
        return name_of(thing.func)
    raw = thing.__name__ if inspect.isroutine(thing) else type(thing).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", raw).lower()


def parameters_of(thing: object) -> dict[str, Any]:
    """Its parameters: the fields of a dataclass, or what a function takes by keyword, as bound to it or by default.

    A strategy or verifier among them is its name and its own parameters; a model or a function is its name.
    """
    if isinstance(thing, type):
        return {}
    if is_dataclass(thing):
        return {item.name: _described(getattr(thing, item.name)) for item in fields(thing)}
    bound = thing.keywords if isinstance(thing, partial) else {}
    defaults = {name: each.default for name, each in function_parameters(thing).items()}
    given = {name: value for name, value in {**defaults, **bound}.items() if value is not inspect.Parameter.empty}
    return {name: _described(value) for name, value in given.items()}


def function_parameters(thing: object) -> dict[str, inspect.Parameter]:
    """What a function of `(problem, think)`, or a verifier's of three, can be given besides: all that has a default.

    What can be given by keyword alone is among them with or without one.
    """
    function = thing.func if isinstance(thing, partial) else thing
    if not inspect.isroutine(function):
        return {}
    return {
        name: each
        for name, each in inspect.signature(function).parameters.items()
        if each.kind is each.KEYWORD_ONLY
        or (each.kind is each.POSITIONAL_OR_KEYWORD and each.default is not each.empty)
    }


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
