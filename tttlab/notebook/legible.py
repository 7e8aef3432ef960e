"""Text from outside made fit to be shown: nothing in it that a terminal would obey, and no wider than there is room."""

from __future__ import annotations

import unicodedata

from tttlab.masking import masked

_PICTURES: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    # Unicode's own ends of lines.
    **dict.fromkeys((0x2028, 0x2029), "\n"),
    # These turn the direction in which all that follows is read.
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD),
}


def legible(text: str) -> str:
    """The text with control characters shown as pictures (`␛`), so that none acts; ends of lines and tabs stay.

    Credentials in it are hidden.
    """
    return masked(text).translate(_PICTURES)


def one_line(text: str) -> str:
    """The text on one line: runs of white space are one space each."""
    return legible(" ".join(text.split()))


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as fits into `width` columns with a `…`."""
    if columns(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    while kept and columns(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"


def tail(text: str, characters: int) -> str:
    """The text, or its last characters after a `…`."""
    return text if len(text) <= characters else f"…{text[len(text) - characters :]}"


MINUTE = 60


def seconds_said(seconds: float) -> str:
    """A duration: `0.35 s`, `12.4 s`, `3 min 5 s`."""
    if seconds >= MINUTE:
        minutes, rest = divmod(round(seconds), MINUTE)
        return f"{minutes} min {rest} s"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def counted(number: float, noun: str) -> str:
    """A number and its noun: `1 call`, `1,204 tokens`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def dollars_said(dollars: float) -> str:
    """A price, to two digits that matter: `$0.0012`, `$1.50`."""
    return f"${dollars:.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.2g}"
