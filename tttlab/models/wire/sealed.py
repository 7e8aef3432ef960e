"""Sealed thinking that goes back with its turn, each block where it stood in the turn's text.

A block that stood at the very start is kept as it came; one further on as `{"at": characters, "block": ...}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tttlab.errors import ParameterError
from tttlab.models.wire import Named
from tttlab.types import Message, ReasoningItem

_UNREADABLE = "thinking that another kind of host had sealed was not sent back: only that kind can read it"


class Placed(NamedTuple):
    """A block, and how many characters of the answer stand before it."""

    at: int
    block: dict[str, Any]


def kept(wire: str, block: Mapping[str, Any], at: int) -> ReasoningItem:
    """A block as what its host wants back."""
    whole = {"at": at, "block": block} if at else block
    return ReasoningItem(wire, json.dumps(whole, ensure_ascii=False, separators=(",", ":")))


def own_blocks(message: Message, wire: str, named: Named, notes: list[str]) -> Sequence[Placed]:
    """The blocks of a turn that this format gave, in order; of others there is a note. Raises `ParameterError`."""
    own = [item for item in message.reasoning if item.wire == wire]
    if len(own) < len(message.reasoning):
        note(notes, _UNREADABLE)
    try:
        return [_placed(json.loads(item.content)) for item in own]
    except (ValueError, TypeError, RecursionError):
        said = "a message's sealed thinking is not what the host gave: nothing was asked"
        raise ParameterError(said, provider=named.provider, model=named.model) from None


def note(notes: list[str], said: str) -> None:
    """Add a note that is not there yet."""
    if said not in notes:
        notes.append(said)


def _placed(found: object) -> Placed:
    at, block = 0, found
    if isinstance(found, dict) and set(found) == {"at", "block"}:
        at, block = found["at"], found["block"]
    if not isinstance(block, dict) or type(at) is not int or at < 0:
        raise TypeError
    return Placed(at, block)
