"""OpenRouter's `reasoning_details`: thinking as its makers give it, with their signatures and sealed blocks.

They come in parts, which belong together by `index` (and kind, where a host counts each kind apart). Thinking is read
from the details, or from the plain `reasoning` of a delta that has none: they say the same, so never from both. The
details go back whole and in order once one of them was signed or sealed; else nobody needs them.
"""

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

_TEXT_IN = {"reasoning.text": "text", "reasoning.summary": "summary"}
_JOINED = ("text", "summary", "data")
_SUMMARISED = ("anthropic-", "google-gemini-", "openai-responses-", "xai-responses-")
"""Formats of makers who show summaries of what their models think, also where the text is called `reasoning.text`."""


@dataclass(frozen=True, slots=True)
class OpenRouterDetails:
    """Reasoning details."""

    def reader(self, named: Named) -> Shape:
        """A reader of one completion's deltas."""
        return _DetailsReader(named)

    def restored(self, items: tuple[ReasoningItem, ...], text: str) -> dict[str, Any]:
        """The message's content, and the details beside it."""
        details = [json.loads(item.content) for item in items]
        return {"content": text, "reasoning_details": details} if details else {"content": text}


class _DetailsReader:
    def __init__(self, named: Named) -> None:
        self._named = named
        self._details: dict[tuple[object, ...], dict[str, Any]] = {}
        self._shown: Visibility = "none"

    @property
    def shown(self) -> Visibility:
        sealed = any(detail.get("type") == "reasoning.encrypted" for detail in self._details.values())
        return "encrypted" if self._shown == "none" and sealed else self._shown

    def read(self, delta: Mapping[str, Any]) -> list[Piece]:
        details = [an_object(each, self._named) for each in a_list(delta.get("reasoning_details"), self._named)]
        thinking = "".join(map(self._keep, details))
        if not thinking and not any(detail.get("type") in _TEXT_IN for detail in details):
            thinking = a_text(delta.get("reasoning"), self._named)
            if thinking and self._shown == "none":
                self._shown = self._named.traits.get("shows", "full")
        text = a_text(delta.get("content"), self._named)
        pieces: list[Piece] = [("thinking", thinking)] if thinking else []
        return [*pieces, ("answer", text)] if text else pieces

    def _keep(self, part: dict[str, Any]) -> str:
        """Join a part to its detail; its text."""
        kind = a_text(part.get("type"), self._named)
        whole = self._details.setdefault((str(part.get("index")), kind), {})
        for name, value in part.items():
            if name in _JOINED:
                whole.setdefault(name, []).append(a_text(value, self._named))
            elif value is not None and not (value == "" and name in whole):
                whole[name] = value
        text = a_text(part.get(_TEXT_IN.get(kind, "")), self._named)
        if text:
            made = a_text(part.get("format"), self._named)
            summary = kind == "reasoning.summary" or made.startswith(_SUMMARISED)
            self._shown = "summary" if summary else self._named.traits.get("shows", "full")
        return text

    def kept(self, wire: str) -> list[ReasoningItem]:
        details = [
            {name: "".join(value) if name in _JOINED else value for name, value in detail.items()}
            for detail in self._details.values()
        ]
        if not any(detail.get("signature") or detail.get("data") for detail in details):
            return []
        return [ReasoningItem(wire, json.dumps(each, ensure_ascii=False, separators=(",", ":"))) for each in details]
