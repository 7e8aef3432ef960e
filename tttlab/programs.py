"""Finding the program in what a model said."""

from __future__ import annotations

import re
import textwrap

_BLOCK = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_FIRST_LINE = re.compile(r"^(?:def |class |import \w|from [\w.]+ import |@\w)", re.MULTILINE)
_PYTHON = {"python", "py", "python3"}


def find_program(text: str) -> str | None:
    """The Python program in a text: its last block that is marked as Python, else its last block that is not marked.

    A block that was cut is taken as far as it goes. A text without blocks is taken from its first line that begins a
    definition or an import. None where there is no such line either.
    """
    blocks = [(language.lower(), code) for language, code in _BLOCK.findall(text)]
    for accepted in (_PYTHON, {""}):
        for language, code in reversed(blocks):
            if language in accepted and code.strip():
                return textwrap.dedent(code)
    if blocks:
        return None
    begin = _FIRST_LINE.search(text)
    return text[begin.start() :] if begin else None
