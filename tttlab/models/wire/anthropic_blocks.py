"""The blocks of a message that its host wants back with the turn: signed or sealed thinking, each in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tttlab.models.wire.sealed import Placed, kept
from tttlab.types import ReasoningItem

_SEALED = ("signature", "data")


class Blocks:
    """Collects the blocks of thinking of one message."""

    def __init__(self, wire: str) -> None:
        self._wire = wire
        self._open: dict[int, dict[str, Any]] = {}
        self.written = 0
        """Characters of the answer until now."""
        self.redacted = False
        """Some thinking came sealed whole."""
        self.thought = False
        """There was a block of thinking, if an empty one."""

    def open(self, index: int, block: Mapping[str, Any]) -> None:
        """A block begins, or comes whole."""
        self.thought = True
        self.redacted = self.redacted or bool(block.get("data"))
        self._open[index] = dict(block)

    def add(self, index: int, field: str, text: str) -> None:
        """More of a block's `thinking` or `signature`."""
        if index not in self._open:
            self.open(index, {"type": "thinking", "thinking": ""})
        block = self._open[index]
        block[field] = (block.get(field) or "") + text

    def close(self, index: int) -> list[ReasoningItem]:
        """A block has ended: it is kept where it holds what its host knows again."""
        block = self._open.pop(index, {})
        return [kept(self._wire, block, self.written)] if any(block.get(field) for field in _SEALED) else []

    def close_all(self) -> list[ReasoningItem]:
        """The message has ended, whatever is still open."""
        return [item for index in tuple(self._open) for item in self.close(index)]


def restored(blocks: Sequence[Placed], text: str) -> list[dict[str, Any]] | None:
    """The content of a turn with its blocks in their places; None where there is no such place in this text."""
    content: list[dict[str, Any]] = []
    done = 0
    for at, block in blocks:
        if not done <= at <= len(text):
            return None
        # The host sends blocks of mere space, and refuses to be sent them: such go with the text that follows.
        if text[done:at].strip():
            content.append({"type": "text", "text": text[done:at]})
            done = at
        content.append(block)
    return [*content, {"type": "text", "text": text[done:]}] if text[done:].strip() else content
