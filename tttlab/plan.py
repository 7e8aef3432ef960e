"""What a run is to be: everything that `think` was given, resolved and checked before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tttlab.abilities import require_abilities, require_price, require_readable, require_thinking
from tttlab.answers import Extractor, find_extractor
from tttlab.budget import Budget
from tttlab.errors import MissingCall, OptionError
from tttlab.labels import Label, checked_labels
from tttlab.models import canonical_name, resolve_model
from tttlab.naming import name_of, parameters_of
from tttlab.options import Resolved, as_told, resolve, resolve_flag, resolve_mode, store_folder
from tttlab.protocols import Model, Strategy, digest_of, price_of
from tttlab.recording import flush
from tttlab.replay import Replay, stand_in
from tttlab.store.recorded import Records
from tttlab.strategies import resolve_strategy
from tttlab.tracing.attributes import known, rule_label
from tttlab.types import Price, Problem, Sampling

if TYPE_CHECKING:
    from tttlab.replay import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run is to be, resolved and checked, before anything is spent."""

    problem: Problem
    strategy: Strategy
    model: Model
    budget: Budget
    seed: int
    store: Path
    sources: Mapping[str, Mapping[str, str]]
    allow_code: bool = False
    replay: str = "off"
    pace: float | None = None
    sampling: Sampling = field(default_factory=Sampling)
    """How the run's model is asked to think, where its strategy says nothing else."""
    labels: Mapping[str, Label] = field(default_factory=dict)
    """What the run is part of, such as a sweep: recorded, and seen by no strategy."""
    notes: tuple[str, ...] = ()
    """What a reader of the run should know of how it was planned."""
    records: Records | None = None
    """What is recorded of runs of this prompt and seed, where it may serve."""

    @property
    def price(self) -> Price | None:
        """The model's price, where one is known."""
        return price_of(self.model)

    def identity(self) -> dict[str, Any]:
        """What makes another run the same run, as it is recorded: see `RecordedRun.plan`."""
        return {
            "strategy": name_of(self.strategy),
            "parameters": parameters_of(self.strategy),
            "model": self.model.name,
            "budget": known(asdict(self.budget)) or None,
            "extractor": rule_label(self.problem.extractor),
            "reference": self.problem.reference,
            "problem": self.problem.id,
            **{name: told for name, told in self._where_given().items() if told},
        }

    def _where_given(self) -> dict[str, Any]:
        check = self.problem.check
        return {"thinking": self.thinking, "labels": dict(self.labels), "check": check and rule_label(check)}

    @property
    def thinking(self) -> dict[str, str | int]:
        """What the model was told of its thinking."""
        told = {"effort": self.sampling.effort, "thinking_budget": self.sampling.thinking_budget}
        return {name: value for name, value in told.items() if value is not None}

    def replaying(self, *, whole_only: bool = False) -> Replay | None:
        """What serves one run of this plan from the record; None where nothing does."""
        if self.records is None:
            return None
        mode = cast("Mode", self.replay)
        return Replay(self.records, mode, self.identity(), pace=self.pace, whole_only=whole_only)


def plan(  # noqa: PLR0913 - every option by its name
    prompt: str | Problem,
    *,
    strategy: str | Strategy | None = None,
    model: str | Model | None = None,
    budget: str | Budget | None = None,
    seed: int = 0,
    reference: str | None = None,
    extract: str | Extractor | None = None,
    allow_code: bool | str | None = None,
    replay: str | None = None,
    pace: float | None = None,
    effort: str | None = None,
    thinking_budget: int | None = None,
    labels: Mapping[str, Label] | None = None,
    **parameters: Any,
) -> Plan:
    """Resolve and check what `think` was given. Raises `OptionError`, or `ModelError` where a model cannot be had."""
    problem = _problem(prompt, reference, extract)
    options = {
        "strategy": _given(resolve("strategy", strategy if isinstance(strategy, str) else None), strategy),
        "model": _given(resolve("model", model if isinstance(model, str) else None), model),
        "traces": Resolved(as_told(store_folder().parent), resolve("traces").source),
        "allow_code": resolve_flag("allow_code", allow_code),
        "replay": resolve_mode(replay),
    }
    mode = options["replay"].value
    if pace is not None and (not isinstance(pace, (int, float)) or not pace > 0):
        raise OptionError(f"a pace of {pace!r} is none: 1 keeps the recorded times, 10 is ten times as fast")
    chosen = resolve_strategy(strategy if strategy is not None else options["strategy"].value, parameters)
    limits = Budget.of(budget)
    if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
        raise OptionError(f"a seed is a whole number of at most 63 bits, not {seed!r:.40}")
    with _records(mode, problem.prompt, seed) as records:
        found = _model(model if model is not None else options["model"].value, records, mode, seed)
        planned = Plan(
            problem=problem,
            strategy=chosen,
            model=found,
            budget=limits,
            seed=seed,
            store=store_folder(),
            sources={
                **{name: _told(option) for name, option in options.items()},
                "strategy": _told(options["strategy"], name_of(chosen)),
                "model": _told(options["model"], found.name),
            },
            # Where only what is recorded is served, no program runs.
            allow_code=options["allow_code"].value == "true" or mode == "only",
            replay=mode,
            pace=pace,
            sampling=Sampling(effort=effort, thinking_budget=thinking_budget),
            labels=checked_labels(labels),
            records=records if mode == "only" or _is_known(model, found) else None,
        )
        require_price(limits, found)
        require_thinking(planned.sampling, found)
        require_readable(problem.prompt, found)
        require_abilities(chosen, found, allow_code=planned.allow_code)
        if records is not None and planned.records is None:
            records.close()
    return planned


def _problem(prompt: str | Problem, reference: str | None, extract: str | Extractor | None) -> Problem:
    problem = prompt if isinstance(prompt, Problem) else Problem(prompt=prompt)
    if not problem.prompt.strip():
        raise OptionError("there is nothing to think about: the prompt is empty")
    if reference is not None:
        problem = replace(problem, reference=reference)
    if not isinstance(extract, str | Extractor | None):
        raise OptionError(f"extract={extract!r} is no rule: give an extractor's name, such as last_number")
    if extract is not None:
        problem = replace(problem, extractor=extract if isinstance(extract, Extractor) else find_extractor(extract))
    return problem


@contextmanager
def _records(mode: str, prompt: str, seed: int) -> Iterator[Records | None]:
    """What is recorded of the prompt and the seed; nothing where nothing is to be served."""
    if mode == "off":
        yield None
        return
    flush()  # What this process has recorded and not yet written.
    records = Records(store_folder(), prompt, seed)
    try:
        yield records
    except BaseException:
        records.close()  # An error's traceback would keep it open, and so the store's files from being removed.
        raise


def _given(option: Resolved, given: object) -> Resolved:
    """An object has no spelling to be resolved: it was given."""
    return option if given is None or isinstance(given, str) else Resolved(option.value, "given")


def _told(option: Resolved, value: str | None = None) -> dict[str, str]:
    source = as_told(Path(option.source)) if option.source.endswith("pyproject.toml") else option.source
    return {"value": option.value if value is None else value, "source": source}


def _model(model: str | Model, records: Records | None, mode: str, seed: int) -> Model:
    """The model, or what is recorded of it: a replay needs none, and what is not recorded loads it then."""
    if not isinstance(model, str) or records is None:
        return resolve_model(model)
    name = canonical_name(model)
    known = stand_in(records, name, None if mode == "only" else partial(resolve_model, model))
    if known is not None:
        return known
    if mode == "only":
        raise MissingCall(
            f"no run of this prompt on {name} with seed {seed} is recorded in {store_folder()}: "
            "run it with replay='reuse'"
        )
    return resolve_model(model)


def _is_known(model: str | Model | None, found: Model) -> bool:
    """Whether a record of the model's name is a record of this model: an object may have changed since."""
    return model is None or isinstance(model, str) or digest_of(found) is not None
