"""Finding the answer in a text, and saying when two answers are the same.

The extractor often decides the result of a comparison, so it has a name and a version, both recorded with each call:
an extraction can be done again later, from the recorded text, with no model. None is an abstention: it never wins a
vote and never leaves a denominator.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from functools import partial

from tttlab.arithmetic import canonical
from tttlab.errors import OptionError, nearest

_LARGEST_EXPONENT = 40
"""Numbers beyond it are compared as they were written."""
_NUMBER = re.compile(r"(?<!\d)[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_STATED_CHOICE = re.compile(r"answer\s*(?:is|:|=)?[\s:*(\[]*([A-J])(?![A-Za-z'’])", re.IGNORECASE)  # noqa: RUF001
_LONE_CHOICE = re.compile(r"(?<![A-Za-z'’])([A-J])(?=[).:\]*]|\s*$)", re.MULTILINE)  # noqa: RUF001
_STATEMENT = re.compile(r"(?:answer\s*(?:is|:|=)|####)[ \t]*:?", re.IGNORECASE)


def normalise(text: str) -> str | None:
    """An answer in the form in which answers are compared, or None if nothing is left.

    Markup, quotes, and closing punctuation go; a number takes one spelling (`1,000.0` is `1000`); other texts keep
    their letters in lower case and single spaces.
    """
    bare = text.strip().strip("*_`$\"'“”‘’ \t").rstrip(".!;:, ").strip("*_`$\"' ")  # noqa: RUF001 - typographic quotes
    if not bare:
        return None
    return _spell_number(bare) if _NUMBER.fullmatch(bare) else " ".join(bare.lower().split())


def _spell_number(text: str) -> str:
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return text
    if not value.is_finite() or abs(value.adjusted()) > _LARGEST_EXPONENT:
        return text
    # In the default context a number of more than 28 digits would be rounded, and equal another one.
    exact = Context(prec=len(text) + _LARGEST_EXPONENT)
    spelled = f"{value.normalize(exact):f}"
    return "0" if spelled == "-0" else spelled


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    return found[-1] if found else None


def _last_line(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None


def _boxed(text: str) -> str | None:
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len(r"\boxed{")
    for place in range(begin, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            if depth == 0:
                return text[begin:place]
            depth -= 1
    return None


def _final_answer(text: str) -> str | None:
    if (boxed := _boxed(text)) is not None:
        return boxed
    statements, end = list(_STATEMENT.finditer(text)), len(text)
    for statement in reversed(statements):
        if statement.start() < end:
            for line in text[statement.end() : end].split("\n"):
                if normalise(line):
                    return line
            # Nothing was stated: the words before it on this line are no answer to an earlier statement either.
            end = text.rfind("\n", 0, statement.start()) + 1
    return None if statements else _last_line(text)


def _choice(text: str) -> str | None:
    """The letter of a multiple choice: of the last statement of an answer, else the last letter that stands alone."""
    stated = _STATED_CHOICE.findall(text)
    found = stated or _LONE_CHOICE.findall(text)
    return found[-1].upper() if found else None


def _last_match(pattern: re.Pattern[str], text: str) -> str | None:
    matches = list(pattern.finditer(text))
    return matches[-1][1 if pattern.groups else 0] if matches else None


def _json_field(field: str, text: str) -> str | None:
    """The field of the last JSON object in the text that has it; texts before, between and behind are passed over."""
    decoder, value, place = json.JSONDecoder(), None, text.find("{")
    while place >= 0:
        try:
            read, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            value = read.get(field, value) if isinstance(read, dict) else value
        place = text.find("{", end)
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _expression(text: str) -> str | None:
    """The arithmetic expression that is stated, in the one form of all that differ from it in order alone."""
    stated = _final_answer(text)
    return None if stated is None else canonical(stated)


@dataclass(frozen=True, slots=True)
class Extractor:
    """A named, versioned rule that finds the answer in a text. Two with the same name and version are equal."""

    name: str
    version: int
    find: Callable[[str], str | None] = field(compare=False, repr=False)

    def __call__(self, text: str) -> str | None:
        """The normalised answer, or None."""
        raw = self.find(text)
        return None if raw is None else normalise(raw)


FINAL_ANSWER = Extractor("final_answer", 3, _final_answer)
EXTRACTORS: dict[str, Extractor] = {
    extractor.name: extractor
    for extractor in (
        FINAL_ANSWER,
        Extractor("last_number", 2, _last_number),
        Extractor("last_line", 2, _last_line),
        Extractor("boxed", 2, _boxed),
        Extractor("choice", 1, _choice),
        Extractor("expression", 1, _expression),
        Extractor("whole_text", 2, str),
    )
}


def find_extractor(name: str) -> Extractor:
    """The extractor of that name, or one made for it: `json:FIELD`, or `regex:PATTERN`.

    `json:answer` takes that field of the last JSON object in the text; a pattern gives its first group, or all of it,
    at its last match. Raises `OptionError` with the nearest names, or for a pattern that cannot be read.
    """
    if name in EXTRACTORS:
        return EXTRACTORS[name]
    kind, _, argument = name.partition(":")
    if kind == "json" and argument:
        return Extractor(name, 1, partial(_json_field, argument))
    if kind == "regex" and argument:
        try:
            return Extractor(name, 1, partial(_last_match, re.compile(argument)))
        except re.error as error:
            raise OptionError(f"the pattern of {name!r} cannot be read: {error}") from error
    raise OptionError(f"no extractor is named {name!r}{nearest(name, [*EXTRACTORS, 'json:FIELD', 'regex:PATTERN'])}")


@dataclass(frozen=True, slots=True)
class Check:
    """A named, versioned rule that says whether an answer is right, where more than one may be.

    It is a pure function of the normalised answer. Two with the same name and version are equal.
    """

    name: str
    version: int
    is_right: Callable[[str], bool] = field(compare=False, repr=False)

    def __call__(self, answer: str) -> bool | None:
        """Whether it is right; None, with a warning, where the rule itself fails."""
        try:
            return bool(self.is_right(answer))
        except Exception as error:  # noqa: BLE001 - a user's rule may raise anything, and the run is kept all the same
            warnings.warn(
                f"the check {self.name!r} failed on {answer!r:.80}: {type(error).__name__}: {error}", stacklevel=2
            )
            return None


def same_answer(value: str | None, reference: str | None) -> bool | None:
    """Whether a normalised answer equals a reference; None where there is no reference to compare with."""
    if reference is None:
        return None
    return value is not None and value == normalise(reference)
