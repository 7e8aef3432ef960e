"""Text of models and users as a chart may show it: every character visible, and inert wherever the chart goes."""

from __future__ import annotations

import re
import unicodedata

_NAMED = {"\n": "⏎", "\t": "⇥"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
_INERT_IN_EXPRESSIONS = str.maketrans({"\\": "\N{REVERSE SOLIDUS OPERATOR}", '"': "\N{RIGHT DOUBLE QUOTATION MARK}"})
_JOINER = "\u200d"
# Altair writes a chart's data into a script element without escaping it: these would end or reopen the element.
_LEAVES_A_SCRIPT = re.compile(r"<(?=/?script|!--)", re.IGNORECASE)
_HARMLESS = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"


def shown(text: str, limit: int | None = None) -> str:
    r"""The text with invisible characters made visible, shortened to `limit` characters.

    A newline becomes ⏎, a tab ⇥, other control and format characters their escape (`\x1b`): those are not allowed in
    SVG, and could reorder what is read. The angle of `<script`, `</script` and `<!--` becomes a quotation mark that
    looks like it, so that no page that a chart is put into can take its data for markup.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    if not text.isascii() or not text.isprintable():
        text = "".join(map(_visible, text))
    return _LEAVES_A_SCRIPT.sub(_HARMLESS, text)


def title_shown(text: str) -> str:
    """The same for the title of an axis, which Vega-Lite puts into an expression without escaping it whole."""
    return shown(text, 80).translate(_INERT_IN_EXPRESSIONS)


def spaces_shown(text: str) -> str:
    """The same for a token on its own, whose spaces matter: they become ␣."""
    return shown(text).replace(" ", "␣")


def quoted(text: str | None) -> str:
    """The beginning of a prompt, on one line, as the line below a title quotes it. Some imported logs have none."""
    if text is None:
        return "(its log does not say what was asked)"
    return f"“{shown(' '.join(text.split()), 110)}”"


def counted(number: int, noun: str) -> str:
    """`1 run`, `1,024 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def points_said(share: float, digits: int = 0) -> str:
    """A difference of shares in points, such as `+6`: with a sign, a true minus among them, and 0 without one."""
    points = round(100 * share, digits)
    return f"{points:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if points else "0"


def columns(text: str) -> int:
    """How many columns of a fixed-width font the text takes: 2 for wide characters, 0 for combining ones."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"} or character == _JOINER:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE or character == _JOINER:
        return character
    return _NAMED.get(character) or character.encode("unicode_escape", "backslashreplace").decode()
