"""Where the text and the thinking of a chat completion stand in its deltas: one small reader a shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_text
from tttlab.models.wire.openai_chat_tokens import Piece
from tttlab.types import ReasoningItem, Visibility


class Shape(Protocol):
    """Reads the deltas of one completion. It lives as long as the stream."""

    def read(self, delta: Mapping[str, Any]) -> list[Piece]:
        """The delta's pieces of text, each with its channel, in the order in which they were written."""
        ...

    def kept(self, wire: str) -> list[ReasoningItem]:
        """What the host wants back with the turn, once it is whole."""
        ...

    @property
    def shown(self) -> Visibility:
        """What the thinking is that was shown; of one that was not, `encrypted` if it is held sealed, else `none`."""
        ...


class Shapes(Protocol):
    """Makes the reader of a stream's completion, and puts back into a message what an earlier one kept."""

    def reader(self, named: Named) -> Shape:
        """A reader of one completion's deltas."""
        ...

    def restored(self, items: tuple[ReasoningItem, ...], text: str) -> dict[str, Any]:
        """The fields of an assistant's message of this text that carry what was kept with it."""
        ...


@dataclass(frozen=True, slots=True)
class Fields:
    """Thinking in a field of its own, of one of several names. A host that sends two of them sends the same in both."""

    thinking: tuple[str, ...] = ("reasoning_content", "reasoning")

    def reader(self, named: Named) -> Shape:
        """A reader of one completion's deltas."""
        return _FieldReader(self.thinking, named)

    def restored(self, items: tuple[ReasoningItem, ...], text: str) -> dict[str, Any]:
        """Nothing: such hosts seal nothing."""
        del items
        return {"content": text}


class _FieldReader:
    def __init__(self, thinking: tuple[str, ...], named: Named) -> None:
        self._thinking = thinking
        self._named = named
        self._shows: Visibility = named.traits.get("shows", "full")
        self.shown: Visibility = "none"

    def read(self, delta: Mapping[str, Any]) -> list[Piece]:
        pieces: list[Piece] = []
        for name in self._thinking:
            if text := a_text(delta.get(name), self._named):
                pieces.append(("thinking", text))
                self.shown = self._shows
                break
        if text := a_text(delta.get("content"), self._named):
            pieces.append(("answer", text))
        return pieces

    def kept(self, wire: str) -> list[ReasoningItem]:
        del wire
        return []
