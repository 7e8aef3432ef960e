"""Multiple choice: a question with its choices as one prompt, and the letter of the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tttlab.errors import OptionError

LETTERS = "ABCDEFGHIJ"
"""As many as the extractor `choice` knows."""
_ASKED = "Answer with the letter of one choice, in a last line of the form: ANSWER: LETTER"


def listed(given: Any, place: str) -> list[str]:
    """The choices as texts: of a list, or of a mapping with a list `text`, as some data sets have them.

    Raises `OptionError` for anything else, or for fewer than two or more than ten.
    """
    found = given.get("text") if isinstance(given, Mapping) else given
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise OptionError(f"the choices of {place} are {given!r:.60}, and must be a list")
    if not 1 < len(found) <= len(LETTERS):
        raise OptionError(f"{place} has {len(found)} choices: from 2 to {len(LETTERS)} can be asked")
    return [str(choice) for choice in found]


def asked(question: str, choices: Sequence[str]) -> str:
    """The prompt: the question, a choice a line with its letter, and how to answer."""
    lines = [f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question.rstrip(), "", *lines, "", _ASKED])


def right_letter(answer: Any, given: Any, choices: Sequence[str], place: str) -> str:
    """The letter of the right choice, which may be told by its number from 0, its letter, its label or its words.

    Raises `OptionError` where it is none of them.
    """
    letters = LETTERS[: len(choices)]
    labels = [str(label) for label in given.get("label", ())] if isinstance(given, Mapping) else []
    said = str(answer).strip()
    if isinstance(answer, int) and not isinstance(answer, bool):
        found = answer if 0 <= answer < len(choices) else None
    elif said in labels:
        found = labels.index(said)
    elif choices.count(said) == 1:
        found = list(choices).index(said)
    elif len(said) == 1 and said.upper() in letters:
        found = letters.index(said.upper())
    else:
        found = int(said) if said.isdecimal() and int(said) < len(choices) else None
    if found is None:
        raise OptionError(f"the right choice of {place} is {answer!r:.60}, which is none of its {len(choices)} choices")
    return letters[found]
