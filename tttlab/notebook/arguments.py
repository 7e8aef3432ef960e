"""Reading a magic's line: words, options, and what is not an option."""

from __future__ import annotations

import argparse
import keyword
import re
import shlex

from tttlab.errors import OptionError, nearest
from tttlab.strategies import read_parameters

_OPTIONS_OF_THINK = ("strategy", "model", "budget", "seed", "reference", "extract", "replay", "pace")

_OPTION = re.compile(r"\s*(--?[A-Za-z][\w-]*)(?:\s*=\s*|\s+|$)")
_VALUE = re.compile(r"(\"[^\"]*\"|'[^']*'|\S+)\s*")


def words_of(line: str) -> list[str]:
    """The words of a line as a shell would part them, except that a backslash is a letter like any other."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise OptionError(f"a quotation mark is not closed in: {line.strip()}") from None


def read_options(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """The options in these words. Raises `OptionError` for an option that there is not and a word that is none."""
    options, unknown = parser.parse_known_args(words)
    if unknown:
        stray = next((word for word in unknown if word.startswith("-")), unknown[0])
        if not stray.startswith("-"):
            if "=" in stray:
                raise OptionError(f"{stray!r} belongs to no option: for a parameter of the strategy write -p {stray}")
            raise OptionError(f"{stray!r} belongs to no option: put a value of several words in quotation marks")
        raise no_option(stray.partition("=")[0], parser)
    return options


def flags_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """A parser's options by each of their names."""
    return {name: action for action in parser._actions for name in action.option_strings}  # noqa: SLF001 - argparse has no other way


def no_option(name: str, parser: argparse.ArgumentParser) -> OptionError:
    """The error for an option that there is not."""
    # Compared without the dashes, which would make all of them alike.
    known = [flag.removeprefix("--") for flag in flags_of(parser) if flag.startswith("--")]
    return OptionError(f"there is no option {name}{nearest(name.lstrip('-'), known)}")


def leading_options(parser: argparse.ArgumentParser, line: str) -> tuple[argparse.Namespace, str]:
    """The options at the beginning of a line, and the rest of it to the letter, quotes and all."""
    flags = flags_of(parser)
    words: list[str] = []
    while found := _OPTION.match(line):
        name = found[1]
        if name not in flags:
            raise no_option(name, parser)
        words.append(name)
        line = line[found.end() :]
        if flags[name].nargs != 0 and (value := _VALUE.match(line)):
            words += words_of(value[1])
            line = line[value.end() :]
    return read_options(parser, words), line


def variable_name(name: str) -> str:
    """The name, if a variable can have it. Raises `OptionError`."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise OptionError(f"{name!r} cannot be a variable's name: give one such as run1")
    return name


def strategy_parameters(assignments: list[str]) -> dict[str, str]:
    """`["samples=8"]` as a mapping. Raises `OptionError` for an option of the run, which has a way of its own."""
    parameters = read_parameters(assignments)
    for name, value in parameters.items():
        if name in _OPTIONS_OF_THINK:
            raise OptionError(f"{name} is not a parameter of the strategy: write --{name} {value}")
        if name in ("prompt", "observer", "while_waiting"):
            raise OptionError(f"no strategy has a parameter {name!r}")
    return parameters
