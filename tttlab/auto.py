"""The strategy `auto`: the one, with its size, that what is recorded of the model speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from tttlab.budget import Budget
from tttlab.errors import OptionError
from tttlab.models import canonical_name
from tttlab.naming import name_of
from tttlab.options import resolve, resolve_mode, store_folder
from tttlab.plan import Plan, plan
from tttlab.protocols import Strategy
from tttlab.recording import flush
from tttlab.store.recorded import Records
from tttlab.strategies import AUTO, resolve_strategy
from tttlab.tracing.attributes import known
from tttlab.types import Problem


def plan_chosen(prompt: str | Problem, parameters: Mapping[str, Any], **options: Any) -> Plan:
    """The plan of `plan` with the chosen strategy; its reason is recorded, and a note of the run.

    Where the run may be a recorded one again, what was chosen then is taken: more has been recorded since, and a replay
    is to come out as it did. Raises `OptionError` where too little is recorded.
    """
    if parameters:
        raise OptionError(f"the strategy {AUTO!r} is chosen with its parameters: leave out {', '.join(parameters)}")
    problem = prompt if isinstance(prompt, Problem) else Problem(prompt=prompt)
    strategy, reason = _chosen_before(problem, options) or _chosen_now(problem, options)
    planned = plan(prompt, strategy=strategy, **options)
    source = {"value": name_of(strategy), "source": AUTO, "reason": reason}
    return replace(planned, notes=(f"chosen: {reason}",), sources={**planned.sources, "strategy": source})


def _chosen_before(problem: Problem, options: Mapping[str, Any]) -> tuple[Strategy, str] | None:
    if resolve_mode(options["replay"]).value == "off":
        return None
    flush()  # What this process has recorded and not yet written.
    asked = {
        "model": _model_of(options),
        "budget": known(asdict(Budget.of(options["budget"]))) or None,
        "problem": problem.id,
        "thinking": _thinking_of(options) or None,
    }
    with closing(Records(store_folder(), problem.prompt, options["seed"])) as records:
        for run in reversed(records.runs.values()):
            told = run.sources.get("strategy", {})
            if told.get("source") == AUTO and {name: run.plan.get(name) for name in asked} == asked:
                return resolve_strategy(run.plan["strategy"], run.plan["parameters"]), told["reason"]
    return None


def _chosen_now(problem: Problem, options: Mapping[str, Any]) -> tuple[Strategy, str]:
    # Imported here because experiments stand above: what is chosen from is what they measure.
    from tttlab.experiments.choosing import choose

    choice = choose(_model_of(options), options["budget"], without=problem.id, thinking=_thinking_of(options))
    return choice.strategy, choice.reason


def _model_of(options: Mapping[str, Any]) -> str:
    given = options["model"] if options["model"] is not None else resolve("model").value
    return canonical_name(given) if isinstance(given, str) else str(given.name)


def _thinking_of(options: Mapping[str, Any]) -> dict[str, str | int]:
    return {name: options[name] for name in ("effort", "thinking_budget") if options[name] is not None}
