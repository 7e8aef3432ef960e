r"""Variables in a prompt: `{name}`, `{run.answer}`, `{rows[0]['question']}`, and nothing else in braces.

Prompts are full of braces that mean something else, so a field must look like one exactly. Left as they are written:
names that the notebook does not know, functions and modules, JSON, format specifications, `{{x}}`, and LaTeX, where the
letters are often those of variables: the arguments of a command (`\frac{a}{b}`), `x^{n}` and `a_{n}`.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tttlab.errors import OptionError
from tttlab.notebook.legible import one_line

_NAME = r"[^\W\d]\w*"
_STEP = rf"\.{_NAME}|\[(?:-?\d+|'[^'\\\n]*'|\"[^\"\\\n]*\")\]"
_STEPS = re.compile(_STEP)
_PLACE = re.compile(
    r"(?P<latex>\\[A-Za-z]+\*?|[\^_](?=\{))"
    r"|(?P<double>\{\{)"
    r"|(?P<escaped>\\\{)"
    rf"|\{{(?P<root>{_NAME})(?P<path>(?:{_STEP})*)\}}"
)
_CLOSING = {"{": "}", "[": "]"}


def interpolate(text: str, namespace: Mapping[str, Any]) -> str:
    """The text with its fields filled in.

    Raises `OptionError` where a field begins with a known name and its attribute or key is not there.
    """
    parts: list[str] = []
    place = 0
    while found := _PLACE.search(text, place):
        parts.append(text[place : found.start()])
        if found["root"]:
            place = found.end()
            parts.append(_filled(found, namespace))
            continue
        if found["latex"]:
            place = _after_arguments(text, found.end())
        elif found["double"]:
            place = _after_group(text, found.start()) or found.end()
        else:
            place = found.end()
        parts.append(text[found.start() : place])
    return "".join([*parts, text[place:]])


def _filled(field: re.Match[str], namespace: Mapping[str, Any]) -> str:
    root, path = field["root"], field["path"]
    if root not in namespace:
        return field[0]
    value, walked = namespace[root], root
    for step in _STEPS.findall(path):
        try:
            value = getattr(value, step[1:]) if step[0] == "." else value[literal_eval(step[1:-1])]
        except Exception as error:  # noqa: BLE001 - the user's own properties may raise anything
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            raise OptionError(f"cannot fill in {field[0]}: {walked} has no {step} ({reason})") from None
        walked += step
    if callable(value) or isinstance(value, ModuleType):
        return field[0]
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - so may their `__str__`
        raise OptionError(f"cannot fill in {field[0]}: its text cannot be had ({type(error).__name__})") from None


def _after_arguments(text: str, place: int) -> int:
    """The place after the groups that stand at `place`, one right after the other."""
    while place < len(text) and text[place] in _CLOSING and (end := _after_group(text, place)):
        place = end
    return place


def _after_group(text: str, start: int) -> int | None:
    """The place after the group that opens at `start`, or None where it is never closed."""
    opening, closing, depth = text[start], _CLOSING[text[start]], 0
    for place in range(start, len(text)):
        if text[place] == opening:
            depth += 1
        elif text[place] == closing:
            depth -= 1
            if depth == 0:
                return place + 1
    return None
