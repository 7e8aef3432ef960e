"""Mistral's deltas: `content` is a text, or a list of chunks of text and of thinking, which itself is a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_list, a_text, an_object
from tttlab.models.wire.openai_chat_shapes import Shape
from tttlab.models.wire.openai_chat_tokens import Piece
from tttlab.types import ReasoningItem, Visibility


@dataclass(frozen=True, slots=True)
class MistralContent:
    """Content lists. A block of thinking that was signed is kept whole, and goes back before the turn's text."""

    def reader(self, named: Named) -> Shape:
        """A reader of one completion's deltas."""
        return _ContentReader(named)

    def restored(self, items: tuple[ReasoningItem, ...], text: str) -> dict[str, Any]:
        """The message's content, with its blocks of thinking before the text."""
        if not items:
            return {"content": text}
        return {"content": [*(json.loads(item.content) for item in items), {"type": "text", "text": text}]}


class _ContentReader:
    def __init__(self, named: Named) -> None:
        self._named = named
        self._blocks: list[dict[str, Any]] = []
        self._open = False
        self.shown: Visibility = "none"

    def read(self, delta: Mapping[str, Any]) -> list[Piece]:
        content = delta.get("content")
        if type(content) is not list:
            text = a_text(content, self._named)
            self._open = self._open and not text
            return [("answer", text)] if text else []
        pieces: list[Piece] = []
        for each in content:
            chunk = an_object(each, self._named)
            if chunk.get("type") == "thinking":
                pieces += self._think(chunk)
            elif text := a_text(chunk.get("text"), self._named):
                self._open = False
                pieces.append(("answer", text))
        return pieces

    def _think(self, chunk: Mapping[str, Any]) -> list[Piece]:
        listed = [an_object(each, self._named) for each in a_list(chunk.get("thinking"), self._named)]
        text = "".join(a_text(each.get("text"), self._named) for each in listed)
        if not self._open:
            self._blocks.append({"type": "thinking", "thinking": []})
            self._open = True
        block = self._blocks[-1]
        block["thinking"].append(text)
        if signature := a_text(chunk.get("signature"), self._named):
            block["signature"] = signature
        if chunk.get("closed") is True:
            block["closed"] = True
        if not text:
            return []
        self.shown = "full"
        return [("thinking", text)]

    def kept(self, wire: str) -> list[ReasoningItem]:
        signed = any("signature" in block for block in self._blocks)
        return [ReasoningItem(wire, _written(block)) for block in self._blocks if signed]


def _written(block: Mapping[str, Any]) -> str:
    whole = {**block, "thinking": [{"type": "text", "text": "".join(block["thinking"])}]}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
