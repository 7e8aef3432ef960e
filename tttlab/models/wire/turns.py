"""A conversation for a host that has one place for what the system says, before all turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tttlab.errors import ParameterError
from tttlab.models.wire import Named
from tttlab.types import Message

_MOVED = "a system message that stood between the turns was sent before them all: the host has one place for it"


class Parted(NamedTuple):
    """What the system says, and the turns of the user and the assistant."""

    system: Sequence[str]
    turns: Sequence[Message]


def parted(messages: Sequence[Message], named: Named, notes: list[str]) -> Parted:
    """The conversation, parted; a system message that is moved is noted. Raises `ParameterError` if no turn is left."""
    system = [message.text for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    if not turns:
        raise refused("it takes no conversation without a turn of the user's", named)
    if any(message.role != "system" for message in messages[: len(system)]):
        notes.append(_MOVED)
    return Parted(system, turns)


def refused(said: str, named: Named) -> ParameterError:
    """The error of a request that the format cannot express."""
    return ParameterError(f"{said}: nothing was asked", provider=named.provider, model=named.model)
