"""What the JSON of a frame says, each value of the type that it must have: another is a stream that cannot be read."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from tttlab.errors import BrokenStreamError
from tttlab.models.wire import Named

_SHOWN = 80
"""Characters of what could not be read that an error shows."""
_MOST = 2**53
"""Tokens: a larger count is an error of the host's, and none of its reader's integers need hold it."""


def broken(said: str, named: Named) -> BrokenStreamError:
    """The error of a stream that cannot be read."""
    return BrokenStreamError(said, provider=named.provider, model=named.model)


def parsed(data: str, named: Named) -> dict[str, Any]:
    """The JSON object that a frame holds. Raises `BrokenStreamError`."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = _parsed_as_lenient(data, named)
    if type(found) is not dict:
        raise broken(f"a frame holds {_kind(found)} where an object belongs: {data!r:.{_SHOWN}}", named)
    return found


def _parsed_as_lenient(data: str, named: Named) -> Any:
    """What orjson refuses and other writers of JSON send: `NaN`, `Infinity`, and half of a surrogate pair."""
    try:
        found = json.loads(data)
        return orjson.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace")) if "\\u" in data else found
    except (ValueError, RecursionError):
        raise broken(f"a frame is no JSON: {data!r:.{_SHOWN}}", named) from None


def a_text(value: object, named: Named) -> str:
    """A text; empty where there is none."""
    if value is None:
        return ""
    if type(value) is not str:
        raise _another(value, "a text", named)
    return value


def a_count(value: object, named: Named) -> int:
    """A number of tokens; 0 where there is none."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST or value != int(value):
        raise _another(value, "a count", named)
    return int(value)


def a_number(value: object, named: Named) -> float | None:
    """A number; None where there is none, or where it is not finite."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _another(value, "a number", named)
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def an_object(value: object, named: Named) -> dict[str, Any]:
    """An object; empty where there is none."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise _another(value, "an object", named)
    return value


def a_list(value: object, named: Named) -> list[Any]:
    """A list; empty where there is none."""
    if value is None:
        return []
    if type(value) is not list:
        raise _another(value, "a list", named)
    return value


def _another(value: object, belongs: str, named: Named) -> BrokenStreamError:
    return broken(f"a frame has {_kind(value)} where {belongs} belongs: {value!r:.{_SHOWN}}", named)


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
