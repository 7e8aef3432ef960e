"""Parameters as they are given, by name and perhaps as texts, read in the types that are declared for them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.naming import function_parameters


def declared_types(thing: object) -> dict[str, str]:
    """The parameters of a dataclass, or those that a function takes by keyword, with their types as texts.

    A function that says no type means that of its default.
    """
    if is_dataclass(thing):
        return {item.name: str(item.type) for item in fields(thing)}
    return {name: _declared(each) for name, each in function_parameters(thing).items()}


def read_values(what: str, declared: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `what`, each in its declared type. Raises `OptionError` for one that there is not."""
    for name in parameters:
        if name not in declared:
            raise OptionError(f"{what} has no parameter {name!r}{nearest(name, declared)}")
    return {name: read_value(f"{what} {name}", value, declared[name]) for name, value in parameters.items()}


def read_value(what: str, value: Any, declared: str) -> Any:
    """`value` in the type that a parameter declares: texts are read, whole floats become ints, nothing else is bent."""
    if "bool" in declared and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise OptionError(f"{what} is true or false, not {value!r}")
        return value.lower() == "true"
    if isinstance(value, str) and "None" in declared and value.lower() == "none":
        return None
    if isinstance(value, str) and "Verifier" in declared:
        from tttlab.verifiers import resolve_verifier

        return resolve_verifier(value)
    for word, kind in (("int", int), ("float", float)):
        if word in declared and "str" not in declared:
            if isinstance(value, bool) or (kind is int and isinstance(value, float) and not value.is_integer()):
                raise OptionError(f"{what} is a number ({word}), not {value!r}")
            try:
                return kind(value)
            except (TypeError, ValueError, OverflowError):
                raise OptionError(f"{what} is a number ({word}), not {value!r}") from None
    return value


def _declared(parameter: inspect.Parameter) -> str:
    if parameter.annotation is not parameter.empty:
        return inspect.formatannotation(parameter.annotation)
    known = None if parameter.default is parameter.empty else parameter.default
    return "" if known is None else type(known).__name__
