"""Credentials, kept out of all that is stored, shown or said: which are known, and how a text hides them.

Known are the values of environment variables that are named as credentials are (`OPENAI_API_KEY`, `HF_TOKEN`), and all
that was given to `keep_secret`. A key that is hidden leaves as many signs as it had characters, so that whatever counts
characters, as the rows of tokens do, still fits.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock
from typing import Any

SIGN = "•"
"""What stands for each character of a credential."""
SHORTEST = 8
"""Characters that a credential has at least: a shorter text would be found in innocent ones."""

DEEPEST = 50
"""Levels of a nested value that are gone through one by one."""

_NAMES = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_KEY|SECRET_KEY|SECRET|TOKEN)$", re.IGNORECASE)
_PLACEHOLDERS = frozenset({"not-needed", "no-key-required", "sk-no-key-required", "lm-studio", "placeholder"})
"""What is put into such a variable for a local server that asks for no key."""


class _Known:
    """The credentials that are known now. Its lists are replaced, never changed: any thread may hold one."""

    def __init__(self) -> None:
        self._kept: frozenset[str] = frozenset()
        self._names: tuple[str, ...] = ()
        self._variables: tuple[object, ...] = ()
        self._values: tuple[str | None, ...] | None = None
        self._listed: tuple[str, ...] = ()
        self._lock = Lock()

    def keep(self, secret: str) -> None:
        with self._lock:
            self._kept |= {secret}
            self._values = None

    def now(self) -> tuple[str, ...]:
        # Asked with each span: names are looked through only where a variable came or went, and `os.environ` itself
        # decodes each name that it gives.
        variables = tuple(getattr(os.environ, "_data", os.environ))
        if variables != self._variables:
            self._variables = variables
            self._names = tuple(name for name in os.environ if holds_secret(name))
        values = tuple(map(os.environ.get, self._names))
        if values != self._values:
            with self._lock:
                found = {value.strip() for value in values if value} | self._kept
                usable = {each for each in found if len(each) >= SHORTEST and each.lower() not in _PLACEHOLDERS}
                self._listed = tuple(sorted(usable, key=len, reverse=True))
                self._values = values
        return self._listed


_known = _Known()


def holds_secret(variable: str) -> bool:
    """Whether an environment variable of this name holds a credential."""
    return _NAMES.search(variable) is not None


def keep_secret(secret: str) -> None:
    """From now on, hide this text wherever it appears. One of fewer than `SHORTEST` characters is not hidden."""
    _known.keep(secret)


def known_secrets() -> tuple[str, ...]:
    """The credentials that are to be hidden, longest first. Never show them."""
    return _known.now()


def masked(text: str) -> str:
    """The text with each known credential hidden; the very object where it holds none."""
    places = places_in(text, known_secrets())
    return hidden(text, places) if places else text


def masked_values(value: Any) -> tuple[Any, int]:
    """The same value with the credentials hidden in all texts inside, and how many there were."""
    secrets = known_secrets()
    if not secrets:
        return value, 0
    texts: list[str] = []
    _gather(value, texts)
    whole = "\n".join(texts)  # Searched once for all, since nearly always there is nothing.
    return _walked(value, secrets) if any(secret in whole for secret in secrets) else (value, 0)


def places_in(text: str, secrets: Sequence[str]) -> list[tuple[int, int]]:
    """Where credentials stand in a text, as beginnings and ends, in order and joined where they overlap."""
    found = sorted(place for secret in secrets if secret in text for place in _each(text, secret))
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def hidden(text: str, places: Sequence[tuple[int, int]]) -> str:
    """The text with signs in these places."""
    pieces, at = [], 0
    for start, end in places:
        pieces += [text[at:start], SIGN * (end - start)]
        at = end
    return "".join([*pieces, text[at:]])


def unsure_from(text: str, secrets: Sequence[str]) -> int:
    """From where on a text that goes on may turn out to be a credential; its length where nothing in it may."""
    first = len(text)
    for secret in secrets:
        at = text.find(secret[0], max(0, len(text) - len(secret) + 1), first)
        while at >= 0 and not secret.startswith(text[at:]):
            at = text.find(secret[0], at + 1, first)
        if at >= 0:
            first = at
    return first


def settled(texts: Sequence[str], secrets: Sequence[str]) -> int:
    """How many of the texts, from the first, hold no part of what is or may turn out to be a credential of the rest."""
    try:
        text = "".join(texts) if secrets else ""
    except TypeError:  # A model may stream anything.
        return len(texts)
    at = unsure_from(text, secrets)
    if at == len(text) or not texts:
        return len(texts)
    ends, places = [0, *accumulate(map(len, texts))], places_in(text, secrets)
    while True:
        count = bisect_right(ends, at) - 1
        # One that is whole is not to be cut either, where it ends as another may begin.
        cut = next((start for start, end in places if start < ends[count] < end), None)
        if cut is None:
            return count
        at = cut


def _each(text: str, secret: str) -> Iterator[tuple[int, int]]:
    at = text.find(secret)
    while at >= 0:
        yield at, at + len(secret)
        at = text.find(secret, at + 1)


def _gather(value: Any, texts: list[str], depth: int = 0) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, (bytes, bytearray)):
        texts.append(bytes(value).decode("latin-1"))
    elif isinstance(value, (Mapping, list, tuple)) and depth > DEEPEST:
        texts.append(repr(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _gather(key, texts, depth + 1)
            _gather(inner, texts, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _gather(inner, texts, depth + 1)


def _walked(value: Any, secrets: Sequence[str], depth: int = 0) -> tuple[Any, int]:
    if isinstance(value, (Mapping, list, tuple)) and depth > DEEPEST:
        value = repr(value)  # Which ends for a value that holds itself.
    if isinstance(value, str):
        places = places_in(value, secrets)
        return (hidden(value, places), len(places)) if places else (value, 0)
    if isinstance(value, (bytes, bytearray)):
        said, count = _walked(bytes(value).decode("latin-1"), secrets)
        return (said.replace(SIGN, "*").encode("latin-1"), count) if count else (value, 0)
    if isinstance(value, Mapping):
        keys = [_walked(key, secrets, depth + 1) for key in value]
        values = [_walked(inner, secrets, depth + 1) for inner in value.values()]
        count = sum(each[1] for each in (*keys, *values))
        changed = {key: inner for (key, _), (inner, _) in zip(keys, values, strict=True)}
        return (changed, count) if count else (value, 0)
    if isinstance(value, (list, tuple)):
        walked = [_walked(inner, secrets, depth + 1) for inner in value]
        count = sum(each[1] for each in walked)
        return ([each[0] for each in walked], count) if count else (value, 0)
    return value, 0
