"""What stands in a record under a dotted path, and as what: a text, a number, right or wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tttlab.errors import OptionError

_LEVELS = 5
"""How deep in a record fields are looked for, to name the nearest."""
_RIGHT = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class NoField(LookupError):
    """A record has nothing under a path."""


def found_at(record: Any, path: str) -> Any:
    """What stands in a record under a dotted path; through a list it is a list, of what stands in each element.

    A field whose own name has dots is found by it, and an element of a list by its number. Raises `NoField`.
    """
    first, _, rest = path.partition(".")
    if isinstance(record, Mapping):
        if path in record:
            return record[path]
        if rest and first in record:
            return found_at(record[first], rest)
    elif isinstance(record, Sequence) and not isinstance(record, str):
        if first.isdecimal() and int(first) < len(record):
            return found_at(record[int(first)], rest) if rest else record[int(first)]
        return [found_at(each, path) for each in record]
    raise NoField(path)


def paths_in(record: Any, within: str = "", levels: int = _LEVELS) -> Iterator[str]:
    """The dotted paths of all that a record has."""
    if isinstance(record, Mapping) and levels:
        for name, inner in record.items():
            yield f"{within}{name}"
            yield from paths_in(inner, f"{within}{name}.", levels - 1)
    elif isinstance(record, list) and record:
        yield from paths_in(record[0], within, levels)


def known(value: Any) -> Any:
    """The value, or None for one that says nothing: a missing one, an empty text, NaN."""
    return None if value is None or value == "" or (isinstance(value, float) and math.isnan(value)) else value


def as_text(value: Any, what: str) -> str | None:
    """A text. Raises `OptionError` for what is none, such as a list."""
    if (value := known(value)) is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    raise OptionError(f"{what} is {value!r:.60}, and must be a text")


def as_whole(value: Any, what: str) -> int | None:
    """A whole number. Raises `OptionError` for what is none."""
    if (number := as_number(value, what)) is None:
        return None
    if not number.is_integer():
        raise OptionError(f"{what} is {value!r:.60}, and must be a whole number")
    return int(number)


def as_number(value: Any, what: str) -> float | None:
    """A finite number. Raises `OptionError` for what is none."""
    if (value := known(value)) is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"{what} is {value!r:.60}, and must be a number")
    return number


def as_right(value: Any, what: str) -> bool | None:
    """Right or wrong: true or false, 1 or 0. Raises `OptionError` for anything else, such as a score of 0.5."""
    if (value := known(value)) is None:
        return None
    if (right := _RIGHT.get(str(value).strip().lower())) is None:
        raise OptionError(f"{what} is {value!r:.60}, which is neither right nor wrong: give true or false, 1 or 0")
    return right
