"""Strategies: one paper, one file. Each is a frozen dataclass of its parameters with one coroutine.

A new file in this folder that defines such a class is found by its name: `self_consistency.py` holds
`SelfConsistency`, and `-s self_consistency` runs it.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.naming import function_parameters, name_of
from tttlab.parameters import declared_types, read_values
from tttlab.protocols import Strategy

AUTO = "auto"
"""In place of a strategy's name: the one, with its size, that what is recorded speaks for (`tttlab.auto`)."""
_NOT_STRATEGIES = {"selection", "steps"}


def strategy_names() -> list[str]:
    """The names of all strategies that come with tttlab."""
    return list(_names(tuple(__path__)))


@cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    # The folder is listed once a process, not once a run.
    return tuple(sorted(each.name for each in pkgutil.iter_modules(folders) if each.name not in _NOT_STRATEGIES))


def strategy_class(name: str) -> type[Strategy]:
    """The class behind a name. Raises `OptionError` with the nearest names."""
    spelled = name.replace("-", "_").lower()
    if spelled not in strategy_names():
        raise OptionError(f"no strategy is named {name!r}{nearest(spelled, strategy_names())}")
    module = import_module(f"{__name__}.{spelled}")
    found: type[Strategy] = getattr(module, "".join(word.capitalize() for word in spelled.split("_")))
    return found


def resolve_strategy(strategy: str | Strategy, parameters: Mapping[str, Any]) -> Strategy:
    """A strategy ready to run: a name with its parameters, a coroutine function with its own, or an object as it is.

    What a function takes by keyword are its parameters: `async def mine(problem, think, rounds=3)`. Parameters may be
    texts, as they come from a command line; each takes the type that is declared for it, or that of its default. Raises
    `OptionError` for an unknown name or parameter, and for a value that cannot be used.
    """
    if isinstance(strategy, str):
        cls = strategy_class(strategy)
        return cls(**read_values(strategy, declared_types(cls), parameters))
    if inspect.isclass(strategy):
        raise OptionError(f"{strategy.__name__} is a class: make a strategy of it, {strategy.__name__}()")
    if not callable(strategy):
        raise OptionError(f"{strategy!r} is not a strategy: give a name, or an async function of (problem, think)")
    if inspect.isroutine(strategy) or isinstance(strategy, partial):
        if not inspect.iscoroutinefunction(strategy):
            raise OptionError(f"{name_of(strategy)} is not a strategy yet: write it as `async def`")
        return _bound(strategy, parameters)
    if parameters:
        raise _no_parameters(parameters)
    return strategy


def _bound(function: Strategy, parameters: Mapping[str, Any]) -> Strategy:
    """A coroutine function with its parameters given."""
    declared = declared_types(function)
    if parameters and not declared:
        raise _no_parameters(parameters)
    given = read_values(name_of(function), declared, parameters)
    defaults = {name: each.default for name, each in function_parameters(function).items()}
    missing = [name for name, default in {**defaults, **given}.items() if default is inspect.Parameter.empty]
    if missing:
        raise OptionError(f"{name_of(function)} needs a value for {missing[0]}: give it as a parameter, or a default")
    return partial(function, **given) if given else function


def _no_parameters(parameters: Mapping[str, Any]) -> OptionError:
    unknown = ", ".join(sorted(parameters))
    return OptionError(f"parameters ({unknown}) go with a strategy's name; this strategy is an object already")


def read_parameters(assignments: Sequence[str]) -> dict[str, str]:
    """`["samples=8"]` as a mapping. Raises `OptionError` for what is not `name=value`."""
    given = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"cannot read the parameter {assignment!r}: write name=value, as in samples=8")
        given[name.strip().replace("-", "_")] = value.strip()
    return given
