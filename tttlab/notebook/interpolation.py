r"""Variables in a prompt: `{name}`, `{run.answer}`, `{rows[0]['question']}`, and nothing else in braces.

Prompts are full of braces that mean something else, so a field must look like one exactly. Left as they are written:
names that the notebook does not know, functions and modules, JSON, format specifications, `{{x}}`, and LaTeX, where the
letters are often those of variables: the arguments of a command (`\frac{a}{b}`), `x^{n}` and `a_{n}`.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from tttlab.errors import OptionError
from tttlab.notebook.legible import one_line
from tttlab.notebook.variables import variables

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
_TELLING = 3
"""Shorter names are near to every other one."""
_NEAR = 0.8
"""How alike two names are, of 1, when one is taken for a slip of the other: `quesion` and `question` are 0.93."""


def interpolate(text: str, namespace: Mapping[str, Any]) -> str:
    """The text with its fields filled in.

    Raises `OptionError` where a field begins with a known name and its attribute or key is not there.
    """
    return "".join(part if isinstance(part, str) else _filled(part, namespace) for part in _parts(text))


def misspelt(text: str, namespace: Mapping[str, Any]) -> list[str]:
    """A sentence for each field that was left as it is written though a variable has nearly its name."""
    roots = dict.fromkeys(part["root"] for part in _parts(text) if not isinstance(part, str))
    unknown = [root for root in roots if root not in namespace and len(root) >= _TELLING]
    if not unknown:
        return []
    fitting = [name for name in variables(namespace, _can_be_filled_in) if len(name) >= _TELLING]
    close = {root: get_close_matches(root, fitting, n=1, cutoff=_NEAR) for root in unknown}
    return [
        f"{{{root}}} was left as written: there is no variable of that name; did you mean {{{names[0]}}}?"
        for root, names in close.items()
        if names
    ]


def _parts(text: str) -> Iterator[str | re.Match[str]]:
    """The text in pieces: what stays as it is written, and the fields as matches with a `root` and a `path`."""
    place = 0
    while found := _PLACE.search(text, place):
        yield text[place : found.start()]
        if found["root"]:
            place = found.end()
            yield found
            continue
        if found["latex"]:
            place = _after_arguments(text, found.end())
        elif found["double"]:
            place = _after_group(text, found.start()) or found.end()
        else:
            place = found.end()
        yield text[found.start() : place]
    yield text[place:]


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
    if not _can_be_filled_in(value):
        return field[0]
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - so may their `__str__`
        raise OptionError(f"cannot fill in {field[0]}: its text cannot be had ({type(error).__name__})") from None


def _can_be_filled_in(value: object) -> bool:
    return not callable(value) and not isinstance(value, ModuleType)


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
