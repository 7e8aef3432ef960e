"""Strategies: one paper, one file. Each is a frozen dataclass of its parameters with one coroutine.

A new file in this folder that defines such a class is found by its name: `self_consistency.py` holds
`SelfConsistency`, and `-s self_consistency` runs it.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.protocols import Strategy

_NOT_STRATEGIES = {"selection"}


def strategy_names() -> list[str]:
    """The names of all strategies that come with tttlab."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_STRATEGIES)


def strategy_class(name: str) -> type[Strategy]:
    """The class behind a name. Raises `OptionError` with the nearest names."""
    spelled = name.replace("-", "_").lower()
    if spelled not in strategy_names():
        raise OptionError(f"no strategy is named {name!r}{nearest(spelled, strategy_names())}")
    module = import_module(f"{__name__}.{spelled}")
    found: type[Strategy] = getattr(module, "".join(word.capitalize() for word in spelled.split("_")))
    return found


def resolve_strategy(strategy: str | Strategy, parameters: Mapping[str, Any]) -> Strategy:
    """A strategy ready to run: a name with its parameters, or an object or coroutine function as it is.

    Parameters may be texts, as they come from a command line; each takes the type that the strategy declares. Raises
    `OptionError` for an unknown name or parameter, and for a value that cannot be used.
    """
    if not isinstance(strategy, str):
        if parameters:
            unknown = ", ".join(sorted(parameters))
            raise OptionError(f"parameters ({unknown}) go with a strategy's name; this strategy is an object already")
        if inspect.isclass(strategy):
            raise OptionError(f"{strategy.__name__} is a class: make a strategy of it, {strategy.__name__}()")
        if not callable(strategy):
            raise OptionError(f"{strategy!r} is not a strategy: give a name, or an async function of (problem, think)")
        if inspect.isfunction(strategy) and not inspect.iscoroutinefunction(strategy):
            raise OptionError(f"{strategy.__name__} is not a strategy yet: write it as `async def`")
        return strategy
    cls = strategy_class(strategy)
    known: dict[str, Any] = {item.name: item.type for item in fields(cls)} if is_dataclass(cls) else {}
    given = {}
    for name, value in parameters.items():
        if name not in known:
            raise OptionError(f"{strategy} has no parameter {name!r}{nearest(name, known)}")
        given[name] = read_value(f"{strategy} {name}", value, str(known[name]))
    return cls(**given)


def read_value(what: str, value: Any, declared: str) -> Any:
    """`value` in the type that a parameter declares: texts are read, whole floats become ints, nothing else is bent."""
    if "bool" in declared and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise OptionError(f"{what} is true or false, not {value!r}")
        return value.lower() == "true"
    if isinstance(value, str) and "None" in declared and value.lower() == "none":
        return None
    for word, kind in (("int", int), ("float", float)):
        if word in declared and "str" not in declared:
            if isinstance(value, bool) or (kind is int and isinstance(value, float) and not value.is_integer()):
                raise OptionError(f"{what} is a number ({word}), not {value!r}")
            try:
                return kind(value)
            except (TypeError, ValueError, OverflowError):
                raise OptionError(f"{what} is a number ({word}), not {value!r}") from None
    return value


def read_parameters(assignments: Sequence[str]) -> dict[str, str]:
    """`["samples=8"]` as a mapping. Raises `OptionError` for what is not `name=value`."""
    given = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"cannot read the parameter {assignment!r}: write name=value, as in samples=8")
        given[name.strip().replace("-", "_")] = value.strip()
    return given
