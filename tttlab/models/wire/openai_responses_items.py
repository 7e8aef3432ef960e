"""The items of a response: what each is known by, and which of them its host wants back with the turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_list, an_object, broken
from tttlab.types import ReasoningItem

Key = int | str
_KEPT = ("reasoning", "message")


def key_of(body: Mapping[str, Any], item: Mapping[str, Any] | None = None) -> Key:
    """What an item is known by: its place in the output, else its id. llama.cpp's server tells no places."""
    place = body.get("output_index")
    if type(place) is int:
        return place
    named = body.get("item_id") if item is None else item.get("id")
    return named if isinstance(named, str) else ""


class Items:
    """The items of one response, as they are when they are whole."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._items: dict[Key, dict[str, Any]] = {}

    def add(self, key: Key, item: dict[str, Any]) -> None:
        """Add an item, or one that is there already."""
        self._items[key] = item

    @property
    def kinds(self) -> frozenset[str]:
        """The types of the items that are there."""
        return frozenset(str(item.get("type")) for item in self._items.values())

    @property
    def sealed(self) -> bool:
        """Whether some thinking came sealed."""
        return any(item.get("encrypted_content") for item in self._items.values())

    def kept(self, wire: str) -> list[ReasoningItem]:
        """Sealed thinking, and the answers that followed it: the host takes the one with the other alone."""
        places = sorted(self._items, key=lambda key: (isinstance(key, str), key if isinstance(key, int) else 0))
        items = [self._items[place] for place in places if self._items[place].get("type") in _KEPT]
        while items and items[-1].get("type") != "message":
            items.pop()
        if not any(item.get("type") == "reasoning" and item.get("encrypted_content") for item in items):
            return []
        try:
            return [ReasoningItem(wire, orjson.dumps(self._without_logprobs(item)).decode()) for item in items]
        except TypeError:
            raise broken("an item of the response cannot be kept", self._named) from None

    def _without_logprobs(self, item: dict[str, Any]) -> dict[str, Any]:
        """A message without what stands with its tokens already."""
        if item.get("type") != "message":
            return item
        parts = [an_object(part, self._named) for part in a_list(item.get("content"), self._named)]
        return {**item, "content": [{k: v for k, v in part.items() if k != "logprobs"} for part in parts]}
