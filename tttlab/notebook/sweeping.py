"""`%%sweep`: what its line and its cell ask for, run and kept."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.display import display

from tttlab.errors import OptionError, nearest
from tttlab.experiments.sweeps import Grid, sweep
from tttlab.notebook.arguments import strategy_parameters, variable_name
from tttlab.notebook.interpolation import interpolate
from tttlab.notebook.variables import model_called, strategy_called, variables
from tttlab.portal import Interrupted
from tttlab.types import Problem

if TYPE_CHECKING:
    from tttlab.experiments.sweeps import SweepResult

FIELD = "{problem}"
"""Where a template has the problem's own prompt."""


def swept(shell: Any, given: Namespace, cell: str, namespace: Mapping[str, Any]) -> SweepResult | None:
    """Run the sweep. Returns its result, unless `-o` keeps it in a variable: then it is shown.

    Raises `OptionError`, and `KeyboardInterrupt` where it was stopped: what there was by then is kept likewise.
    """
    output = None if given.output is None else variable_name(given.output)
    text = cell.strip("\n").rstrip()
    silent = text.endswith(";")
    problems = _problems(given.problems, text.removesuffix("\n;").removesuffix(";") if silent else text, namespace)
    try:
        result = sweep(given.name, problems, **_options(given, namespace))
    except Interrupted as interrupted:
        _keep(shell, interrupted.result, output, shown=True)
        kept = f", and is kept in {output}" if output else ""
        raise KeyboardInterrupt(f"the sweep was stopped{kept}") from None
    returned = output is None and not silent
    _keep(shell, result, output, shown=not returned and not silent)
    return result if returned else None


def _keep(shell: Any, result: SweepResult, output: str | None, *, shown: bool) -> None:
    if output is not None:
        shell.user_ns[output] = result
    if shown:
        display(result)  # type: ignore[no-untyped-call]


def _options(given: Namespace, namespace: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        "strategy": _several(given.strategy, lambda name: strategy_called(name, namespace)),
        "model": _several(given.model, lambda name: model_called(name, namespace)),
        "effort": _several(given.effort, str),
        "thinking_budget": _several(given.thinking_budget, lambda word: _number("thinking-budget", word)),
        "budget": _joined(given.budget),
        "total": _joined(given.total),
        "extract": given.extract,
        "replay": "off" if given.fresh else given.replay,
        "parallel": given.parallel,
        "cells": None if given.grid is None else _held(given.grid, Grid, "grid", namespace),
        **{name: _several(value, str) for name, value in strategy_parameters(given.parameter).items()},
    }
    options = {name: value for name, value in named.items() if value is not None}
    return {**options, "seeds": _seeds(given.seeds), "progress": False if given.quiet else None, "yes": given.yes}


def _several(words: str | None, read: Any) -> Any:
    """`1,4,16` as a list, which is an axis; one value by itself."""
    if words is None:
        return None
    values = [read(word.strip()) for word in words.split(",") if word.strip()]
    return values[0] if len(values) == 1 else values


def _joined(words: Sequence[Sequence[str]] | None) -> str | None:
    return None if words is None else ", ".join(" ".join(each) for each in words)


def _number(option: str, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise OptionError(f"--{option} is a whole number, or several with commas, not {word!r}") from None


def _seeds(words: str) -> list[int]:
    """`0,1` or `0-4`, both ends included."""
    seeds: list[int] = []
    for word in words.split(","):
        first, dash, last = word.strip().partition("-")
        if dash and first:
            seeds += range(_number("seeds", first), _number("seeds", last) + 1)
        else:
            seeds.append(_number("seeds", word.strip()))
    return seeds


def _problems(name: str | None, text: str, namespace: Mapping[str, Any]) -> Any:
    """The problems in that variable, each put into the text if there is one; else the text as the one problem."""
    if name is None:
        if not text.strip():
            raise OptionError("there is nothing to think about: give --problems VARIABLE, or a prompt in the cell")
        return [interpolate(text, namespace)]
    held = _held(name, object, "problems", namespace)
    if not text.strip():
        return held
    if FIELD not in text:
        raise OptionError(f"the cell says nothing of the problem: write {FIELD} where its prompt is to stand")
    given = [held] if isinstance(held, str | Problem) else list(held)
    return [_put(each, text, namespace) for each in given]


def _put(each: object, text: str, namespace: Mapping[str, Any]) -> Problem:
    if not isinstance(each, str | Problem):
        raise OptionError(f"{each!r:.60} is not a problem: give texts, or tttlab.Problem objects")
    problem = Problem(prompt=each) if isinstance(each, str) else each
    return replace(problem, prompt=interpolate(text, {**namespace, "problem": problem.prompt}))


def _held(name: str, kind: type, what: str, namespace: Mapping[str, Any]) -> Any:
    known = variables(namespace, lambda value: isinstance(value, kind))
    if name not in namespace:
        raise OptionError(f"no variable is named {name!r}{nearest(name, known)}")
    if not isinstance(namespace[name], kind):
        kept = type(namespace[name]).__name__
        raise OptionError(f"the variable {name} holds no {what}; it is of type {kept}{nearest(name, known)}")
    return namespace[name]
