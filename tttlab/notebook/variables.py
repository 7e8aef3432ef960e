"""What the names on a magic's line mean: strategies and models that come with tttlab, and the notebook's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.models import NAMES
from tttlab.strategies import AUTO, strategy_names


def is_strategy(value: object) -> bool:
    """Whether a variable holds a strategy: an `async def`, or an object whose class has an `async def __call__`."""
    if inspect.isclass(value):
        return False
    called = getattr(type(value), "__call__", None)  # noqa: B004 - what it is, not whether it is there
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(called)


def is_model(value: object) -> bool:
    """Whether a variable holds a model. Looks at its class only, since a look at an object may run its code."""
    return not inspect.isclass(value) and callable(getattr(type(value), "stream", None)) and hasattr(value, "name")


def strategy_called(name: str, namespace: Mapping[str, Any]) -> Any:
    """The strategy in that variable, or else the name, if a strategy has it. Raises `OptionError`."""
    value = namespace.get(name)
    if is_strategy(value):
        return value
    if name == AUTO or name.replace("-", "_").lower() in strategy_names():
        return name
    if inspect.isfunction(value):
        raise OptionError(f"{name} is not a strategy yet: write it as `async def {name}(problem, think)`")
    if inspect.isclass(value):
        raise OptionError(f"{name} is a class: make a strategy of it first, as in `mine = {name}()`, and give -s mine")
    known = [AUTO, *strategy_names(), *variables(namespace, is_strategy)]
    if name in variables(namespace):
        raise OptionError(_holds_none(name, value, "strategy: that is an `async def` of (problem, think)", known))
    raise OptionError(f"no strategy and no variable that holds one is named {name!r}{nearest(name, known)}")


def model_called(name: str, namespace: Mapping[str, Any]) -> Any:
    """The model in that variable, or else the name, if it can be one. Raises `OptionError`."""
    value = namespace.get(name)
    if is_model(value):
        return value
    if name in NAMES or ":" in name:
        return name
    if inspect.isclass(value) and callable(getattr(value, "stream", None)):
        raise OptionError(f"{name} is a class: make a model of it first, as in `mine = {name}()`, and give -m mine")
    known = [*NAMES, *variables(namespace, is_model)]
    if name in variables(namespace):
        raise OptionError(_holds_none(name, value, "model: that has a `name` and a method `stream(request)`", known))
    raise OptionError(f"no model and no variable that holds one is named {name!r}{nearest(name, known)}")


def _holds_none(name: str, value: object, what: str, known: list[str]) -> str:
    """What to say of a variable that is no model, or no strategy; a text in it may be the name of one."""
    if isinstance(value, str) and (value in known or value.startswith("local:")):
        return f"the variable {name} holds the text {value!r}, and a text is no {what}; give that name itself"
    return f"the variable {name} holds no {what}; it is of type {type(value).__name__}{nearest(name, known)}"


_IPYTHONS = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})


def variables(namespace: Mapping[str, Any], fits: Callable[[object], bool] = lambda _: True) -> list[str]:
    """The names of the user's variables whose value fits; IPython's and those that begin with `_` left out."""
    own = (name for name in namespace if not name.startswith("_") and name not in _IPYTHONS)
    return sorted(name for name in own if fits(namespace[name]))
