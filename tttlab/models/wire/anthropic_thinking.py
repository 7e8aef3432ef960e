"""How Claude is told to think: by a budget of tokens, by an effort, or not at all, as each family takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tttlab.models.wire import Named
from tttlab.models.wire.turns import refused
from tttlab.types import THINKING_ROOM, Request

_NONE = "none"
"""The effort that turns thinking off: not a word of the host's, but as other hosts have it."""
_LEAST_BUDGET = 1024
_OFF = ("disabled", "between_tools")
"""Without tools, there is no thinking between them."""


class Thinking(NamedTuple):
    """The fields of a request that say how to think, and the most tokens of output that go with them."""

    fields: dict[str, Any]
    most_tokens: int
    notes: tuple[str, ...] = ()


def thinking_of(request: Request, named: Named, types: Sequence[str], display: str | None) -> Thinking:
    """What is asked of a model that knows these types of thinking, the preferred one first. Raises `ParameterError`."""
    effort, budget = request.sampling.effort, request.sampling.thinking_budget
    fields: dict[str, Any] = {} if effort in (None, _NONE) else {"output_config": {"effort": effort}}
    if not named.can.thinking or effort == _NONE or budget == 0:
        if not set(types) & set(_OFF) and (effort == _NONE or budget == 0):
            raise refused("its thinking cannot be turned off", named)
        return _off(request, types, fields)
    if budget is not None and "enabled" not in types:
        raise refused("it cannot hold its thinking to a number of tokens", named)
    if budget is not None and budget < _LEAST_BUDGET:
        raise refused(f"its thinking takes a budget of {_LEAST_BUDGET} tokens at least, or of 0, not {budget}", named)
    shown = {} if display is None else {"display": display}
    if "enabled" in types and (budget is not None or "adaptive" not in types):
        return _budgeted(request, types, fields, shown)
    if "adaptive" in types:
        fields["thinking"] = {"type": "adaptive", **shown}
    return Thinking(fields, request.most_tokens(thinking=True))


def _budgeted(request: Request, types: Sequence[str], fields: dict[str, Any], shown: dict[str, Any]) -> Thinking:
    asked = request.sampling.thinking_budget
    most = request.most_tokens(thinking=True)
    budget = min(THINKING_ROOM if asked is None else asked, most - 1)  # The host wants it below the bound.
    if budget < _LEAST_BUDGET:
        note = f"it did not think: {most} tokens are left, and thinking takes more"
        if not set(types) & set(_OFF):
            least = f"it takes no less than {_LEAST_BUDGET}"
            note = f"its thinking was not held to {asked} tokens, since {most} tokens are left and {least}"
            return Thinking(fields | {"thinking": {"type": "adaptive", **shown}}, most, (note,))
        return _off(request, types, fields)._replace(notes=(note,))
    less = asked is not None and budget < asked
    notes = (f"a thinking_budget of {budget} was sent for {asked}: {most} tokens are left",) if less else ()
    fields["thinking"] = {"type": "enabled", "budget_tokens": budget, **shown}
    return Thinking(fields, most, notes)


def _off(request: Request, types: Sequence[str], fields: dict[str, Any]) -> Thinking:
    off = next((each for each in types if each in _OFF), None)
    if off is not None:
        fields["thinking"] = {"type": off}
    return Thinking(fields, request.most_tokens(thinking=False))
