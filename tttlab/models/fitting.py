"""What a request becomes for a model that cannot do all of it: options left out, each with a note, or an error."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, NamedTuple

from tttlab.errors import ParameterError
from tttlab.models.wire import Named
from tttlab.types import TAKEN, Request, Sampling

_DEFAULTS: dict[str, Any] = {item.name: item.default for item in fields(Sampling)}
_HARMLESS = ("top_p", "top_k", "min_p")
"""Options whose default asks for nothing: where a host has none of them, nothing is left out."""


class Fitted(NamedTuple):
    """A request that the model can do, and what was asked beyond it."""

    request: Request
    notes: tuple[str, ...]


def fitted(request: Request, named: Named) -> Fitted:
    """The request, within the model's abilities.

    A model that thinks only when it is told to (the trait `effort`) is told so, with a note.
    What only colours the draw (temperature, truncation, a seed) is left out with a note. Stop strings that the host
    does not take are applied where the stream arrives. Raises `ParameterError` for what would change the answer's
    meaning or its cost: a grammar, a partial answer to go on from, an unknown effort, a thinking budget.
    """
    _refuse_unable(request, named)
    sampling, unasked = request.sampling, named.traits.get("effort")
    if sampling.effort is None and unasked is not None:
        sampling = replace(sampling, effort=unasked)
    named = named.at(sampling.effort)
    can = named.can
    notes = [
        f"{name} {getattr(sampling, name)!r} was not sent: {named.model} takes none"
        for name in _left_out(named, sampling)
    ]
    seed = request.seed
    if seed is not None and not can.seed:
        seed = None
        notes.append(f"the seed was not sent: {named.model} takes none, so the same call may give something else")
    if not can.logprobs and sampling.logprobs not in (0, _DEFAULTS["logprobs"]):
        notes.append(f"logprobs {sampling.logprobs} was not sent: {named.model} gives no log-probabilities")
    if sampling.effort != request.sampling.effort:
        notes.append(f"effort {unasked!r} was asked for: {named.model} would not think by itself")
    changed: dict[str, Any] = {name: _DEFAULTS[name] for name in TAKEN if name not in can.takes and name != "stop"}
    changed |= {} if can.logprobs else {"logprobs": 0}
    return Fitted(replace(request, seed=seed, sampling=replace(sampling, **changed)), tuple(notes))


def _left_out(named: Named, sampling: Sampling) -> list[str]:
    missing = [name for name in TAKEN if name not in named.can.takes and name not in ("stop", "grammar")]
    return [name for name in missing if name not in _HARMLESS or getattr(sampling, name) != _DEFAULTS[name]]


def _refuse_unable(request: Request, named: Named) -> None:
    can, sampling = named.can, request.sampling
    if sampling.grammar is not None and "grammar" not in can.takes:
        raise _refused(named, "it takes no grammar")
    if request.messages and request.messages[-1].role == "assistant" and not can.prefix:
        raise _refused(named, "it does not go on from a partial answer (the last message is the assistant's)")
    if sampling.effort == "none" and sampling.thinking_budget is not None:
        raise _refused(named, "a thinking_budget is for a model that thinks, and effort 'none' keeps it from that")
    if said := can.refusal(sampling.effort, sampling.thinking_budget):
        raise _refused(named, f"it {said}")


def _refused(named: Named, said: str) -> ParameterError:
    return ParameterError(f"{said}: nothing was asked", provider=named.provider, model=named.model)
