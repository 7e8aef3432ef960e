"""The cells of a sweep: one strategy with its parameters on one model each, resolved and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.experiments.sweeps.grid import Grid
from tttlab.labels import Label
from tttlab.models import resolve_model
from tttlab.naming import name_of, parameters_of
from tttlab.options import resolve
from tttlab.parameters import declared_types
from tttlab.plan import Plan, plan
from tttlab.protocols import Model, Strategy, digest_of
from tttlab.strategies import strategy_class
from tttlab.types import Problem

OPTIONS = ("strategy", "model", "budget", "extract", "allow_code", "effort", "thinking_budget")
"""Options of `think` that may be an axis; every other name is a parameter of the strategy."""
OWN = ("problems", "cells", "seeds", "total", "parallel", "executor", "replay", "progress", "yes", "confirm")
_BELONGS = {
    "reference": "a reference belongs to its problem",
    "seed": "it has `seeds`",
    "labels": "it labels its runs itself",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of options. `planned` is its plan for the sweep's first problem and seed."""

    index: int
    options: Mapping[str, Any]
    labels: Mapping[str, Label]
    """What it was given, by name: with the sweep's name they are the labels of its runs."""
    planned: Plan
    reuses: bool
    """Whether what is recorded of its model may serve: an object that does not say what it is may have changed."""

    @property
    def draws(self) -> tuple[Any, ...]:
        """What differs in every request of two cells that share no calls."""
        sampling = self.planned.sampling
        return (self.planned.model.name, sampling.effort, sampling.thinking_budget)

    @property
    def told_by_name(self) -> bool:
        """Whether its strategy is told wholly by its name and its parameters."""
        return _is_told_by_name(self.planned.strategy)

    @property
    def remote(self) -> bool:
        """Whether its model is elsewhere, where each call has its price."""
        return getattr(self.planned.model, "remote", False) is True

    @property
    def width(self) -> int:
        """About how many calls a run starts at once, as far as its parameters tell."""
        strategy = self.planned.strategy
        return next((n for name in ("samples", "n") if isinstance(n := getattr(strategy, name, None), int)), 1)

    def plan_of(self, problem: Problem, seed: int) -> Plan:
        """The plan of one of its runs, to be compared with what is recorded."""
        if "extract" in self.options:
            problem = replace(problem, extractor=self.planned.problem.extractor)
        return replace(self.planned, problem=problem, seed=seed)


def cells_of(name: str, options: Grid, problem: Problem, *, seed: int, replay: str) -> tuple[Cell, ...]:
    """The cells of a sweep. Raises `OptionError` for what cannot be run, and `ModelError` for a model that is not."""
    _refuse_misspelt(options)
    found: dict[str | None, tuple[Model, bool]] = {}
    cells = []
    for index, given in enumerate(options):
        model = given.get("model")
        if model is not None and not isinstance(model, str):
            loaded = resolve_model(model), digest_of(model) is not None
        else:
            loaded = found.get(model) or _loaded(model, problem, seed, replay)
            found[model] = loaded
        cells.append(_cell(index, name, given, problem, loaded, only=replay == "only"))
    seen: set[tuple[tuple[str, Label], ...]] = set()
    for cell in cells:
        key = tuple(sorted(cell.labels.items()))
        if key in seen:
            raise OptionError(f"two cells of the sweep are the same: {told(cell.labels)}")
        seen.add(key)
    return tuple(cells)


def told(labels: Mapping[str, Label | None]) -> str:
    """Labels in words, without the sweep's name."""
    return ", ".join(f"{name}={value}" for name, value in labels.items() if name != "sweep") or "all by default"


def _loaded(model: str | None, problem: Problem, seed: int, replay: str) -> tuple[Model, bool]:
    """The model of a name, or what is recorded of it, and whether its record may serve."""
    planned = plan(problem, strategy="direct", model=model, seed=seed, replay=replay)
    if planned.records is not None:
        planned.records.close()
    return planned.model, planned.records is not None


def _cell(
    index: int, name: str, given: Mapping[str, Any], problem: Problem, loaded: tuple[Model, bool], *, only: bool
) -> Cell:
    model, reuses = loaded
    # Where only what is recorded is served, no program runs.
    leave = {"allow_code": True} if only else {}
    planned = plan(problem, replay="off", **{**given, "model": model, **leave})
    labels = {"sweep": name, **_labels(given, planned)}
    return Cell(index=index, options=dict(given), labels=labels, planned=replace(planned, labels=labels), reuses=reuses)


def _labels(given: Mapping[str, Any], planned: Plan) -> dict[str, Label]:
    """The values of what was given, as they were understood; what was given as None has no label."""
    parameters = parameters_of(planned.strategy)
    resolved = {
        "strategy": called(planned.strategy) if not isinstance(given.get("strategy"), str) else given["strategy"],
        "model": planned.model.name,
        "budget": str(planned.budget),
        "extract": planned.problem.extractor.name,
        "allow_code": planned.allow_code,
    }
    labels = {}
    for name, value in given.items():
        understood = resolved.get(name, parameters.get(name, value))
        if value is not None:  # A verifier that was given by name is called so.
            labels[name] = _label(value if isinstance(value, str) and not isinstance(understood, Label) else understood)
    return labels


def called(strategy: Strategy) -> str:
    """A strategy's name and the parameters in which it differs from the default: `self_consistency(samples=4)`."""
    thing: Any = strategy
    bound: Mapping[str, Any] = thing.keywords if isinstance(thing, partial) else {}
    if is_dataclass(thing) and not isinstance(thing, type):
        bound = {item.name: getattr(thing, item.name) for item in fields(thing)}
        usual = {item.name: item.default for item in fields(thing)}
        bound = {name: value for name, value in bound.items() if value != usual[name]}
    described = parameters_of(strategy)
    inside = ", ".join(f"{name}={_label(described.get(name))}" for name in bound)
    return f"{name_of(strategy)}({inside})" if inside else name_of(strategy)


def _label(value: Any) -> Label:
    if isinstance(value, Label):
        return value
    if isinstance(value, Mapping) and "name" in value:
        inside = ", ".join(f"{name}={_label(each)}" for name, each in value.items() if name != "name")
        return f"{value['name']}({inside})" if inside else str(value["name"])
    if isinstance(value, list | tuple):
        return ", ".join(str(_label(each)) for each in value)
    return str(value)


def _is_told_by_name(value: Any) -> bool:
    if value is None or isinstance(value, str | int | float):
        return True
    if isinstance(value, Mapping):
        return all(map(_is_told_by_name, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_told_by_name, value))
    own = is_dataclass(value) and type(value).__module__.startswith("tttlab.")
    return own and all(_is_told_by_name(getattr(value, item.name)) for item in fields(value))


def _refuse_misspelt(options: Grid) -> None:
    takes = [_parameters(given.get("strategy")) for given in options]
    anywhere = {name for declared in takes for name in declared}
    for given, declared in zip(options, takes, strict=True):
        for name in given:
            if name not in OPTIONS and name not in declared:
                raise OptionError(_unknown(name, given.get("strategy"), declared, anywhere))


def _unknown(name: str, strategy: Any, declared: Sequence[str], anywhere: Iterable[str]) -> str:
    if name in _BELONGS:
        return f"a sweep has no option {name!r}: {_BELONGS[name]}"
    asked = resolve("strategy").value if strategy is None else strategy
    what = asked if isinstance(asked, str) else name_of(asked)
    if name in anywhere:
        return (
            f"{what} has no parameter {name!r}: give each strategy a grid of its own, as in "
            f"cells=grid(strategy={what!r}) + grid(strategy=..., {name}=...)"
        )
    return f"a sweep has no option, and {what} no parameter, {name!r}{nearest(name, [*declared, *OPTIONS, *OWN])}"


def _parameters(strategy: Any) -> list[str]:
    """The parameters that go with a strategy as it was given; an object has its own already."""
    asked = resolve("strategy").value if strategy is None else strategy
    if isinstance(asked, str):
        return list(declared_types(strategy_class(asked)))
    return [] if is_dataclass(asked) else list(declared_types(asked))
