"""How strategies and verifiers, classes or plain functions, are named and described in a trace."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, is_dataclass
from typing import Any


def name_of(thing: object) -> str:
    """Its `name`, if it has one; else its class's or function's name: `SelfConsistency` is `self_consistency`."""
    named = getattr(thing, "name", None)
    if isinstance(named, str):
        return named
    raw = thing.__name__ if inspect.isroutine(thing) else type(thing).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", raw).lower()


def parameters_of(thing: object) -> dict[str, Any]:
    """Its parameters, if it is a dataclass; none for a plain function."""
    return asdict(thing) if is_dataclass(thing) and not isinstance(thing, type) else {}
