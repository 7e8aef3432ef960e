"""Completion of the magics' lines: options, strategies, their parameters, models, variables."""

# mypy: disable-error-code="no-untyped-call"
# IPython's shell is untyped.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.getipython import get_ipython

from tttlab.answers import EXTRACTORS
from tttlab.errors import OptionError
from tttlab.models import NAMES, entry_points
from tttlab.models.hosts import hosts
from tttlab.notebook.arguments import flags_of
from tttlab.notebook.variables import is_model, is_strategy, variables
from tttlab.options import resolve
from tttlab.strategies import AUTO, strategy_class, strategy_names

_MAGIC = re.compile(r"\s*(?P<escape>%%?)(?P<name>think_config|think|sweep|traces|models)\s")
_STRATEGY = re.compile(r"(?:-s|--strategy)[\s=]+(\S+)")


@context_matcher()  # type: ignore[untyped-decorator, unused-ignore]
def complete_options(context: CompletionContext) -> dict[str, Any]:
    """What can stand at the cursor on the line of a magic of tttlab; nothing elsewhere."""
    shell = get_ipython()
    line = context.line_with_cursor
    magic = _MAGIC.match(line)
    first = not any(earlier.strip() for earlier in context.full_text.split("\n")[: context.cursor_line])
    if shell is None or not magic or magic.end() > context.cursor_position or (magic["escape"] == "%%" and not first):
        return {"completions": []}
    function = shell.find_magic(magic["name"], "line" if magic["escape"] == "%" else "cell")
    if not hasattr(function, "parser"):
        return {"completions": []}
    before = line[magic.end() : context.cursor_position]
    fragment, found = _candidates(function.parser, before, line, shell.user_ns)
    completions = [SimpleCompletion(name, type=kind) for name, kind in found if name.startswith(fragment)]
    return {"completions": completions, "suppress": bool(completions), "matched_fragment": fragment}


def _candidates(
    parser: Any, before: str, line: str, namespace: Mapping[str, Any]
) -> tuple[str, Iterable[tuple[str, str]]]:
    """The fragment at the cursor, and what could stand there, each with its kind."""
    flags = flags_of(parser)
    *earlier, fragment = before.split(" ")
    option = next((word for word in reversed(earlier) if word), "")
    if fragment.startswith("--") and "=" in fragment:
        option, _, fragment = fragment.partition("=")
    if option in flags and flags[option].nargs != 0:
        return fragment, _values(flags[option], line, namespace)
    if fragment.startswith("-"):
        return fragment, [(name, "option") for name in flags]
    return fragment, []


def _values(option: Any, line: str, namespace: Mapping[str, Any]) -> list[tuple[str, str]]:
    named, held = option.dest, []
    if option.choices:
        return [(choice, "value") for choice in option.choices]
    if named == "parameter":
        return [(f"{name}=", "param") for name in _parameters(line)]
    if named == "strategy":
        held = [(name, "strategy") for name in (AUTO, *strategy_names())] + _own(namespace, is_strategy)
    elif named == "model":
        hosted = [f"{name}:" for name in (*hosts(), *entry_points())]
        held = [(name, "model") for name in (*NAMES, *hosted)] + _own(namespace, is_model)
    elif named == "extract":
        held = [(name, "rule") for name in EXTRACTORS]
    elif named in ("output", "problems", "grid"):
        held = _own(namespace)
    return held


def _own(namespace: Mapping[str, Any], fits: Callable[[object], bool] = lambda _: True) -> list[tuple[str, str]]:
    return [(name, "instance") for name in variables(namespace, fits)]


def _parameters(line: str) -> list[str]:
    chosen = _STRATEGY.search(line)
    try:
        cls = strategy_class(chosen[1] if chosen else resolve("strategy").value)
    except OptionError:
        return []
    return [item.name for item in fields(cls)] if is_dataclass(cls) else []
