"""A model that is known from its record, and loaded only when a call of it is not recorded."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from threading import Lock
from typing import Any

import anyio

from tttlab.errors import ModelError
from tttlab.events import StreamEvent
from tttlab.protocols import Model, digest_of
from tttlab.types import Capabilities, Price, Request


class StandIn:
    """Has the name, the abilities and the identity that were recorded of a model, so that a replay needs no model."""

    def __init__(self, name: str, facts: Mapping[str, Any], load: Callable[[], Model] | None) -> None:
        """`load` gives the model itself where a call is to be run; None where none may be."""
        known = Capabilities.__dataclass_fields__
        self.name = name
        self.provider = str(facts.get("provider", "tttlab"))
        self.parameters: int | None = facts.get("parameters")
        said: dict[str, Any] = {key: value for key, value in (facts.get("can") or {}).items() if key in known}
        abilities: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in said.items()}
        self.can = Capabilities(**abilities)
        self.price = Price(**facts["price"]) if facts.get("price") else None
        self.reports_dollars = facts.get("reports_dollars") is True
        self._identity: Mapping[str, Any] = facts.get("identity") or {}
        self._load = load
        self._model: Model | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<{self.name!r} as it was recorded>"

    def describe(self) -> dict[str, Any]:
        """What identified the weights, and what ran them."""
        return dict(self._identity)

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Ask the model itself. Raises `ModelError` where it cannot be had."""
        model = await anyio.to_thread.run_sync(self._loaded)
        async with aclosing(model.stream(request)) as events:  # type: ignore[type-var]  # an async generator, in fact
            async for event in events:
                yield event

    def _loaded(self) -> Model:
        with self._lock:
            if self._load is None:
                raise ModelError(f"{self.name} is known from its record only: allow it to run with replay='reuse'")
            if self._model is None:
                self._model = self._load()
                self._compare(self._model)
            return self._model

    def _compare(self, model: Model) -> None:
        recorded, found = digest_of(self), digest_of(model)
        if None not in (recorded, found) and recorded != found:
            warnings.warn(
                f"{self.name} has other weights than those recorded ({found}, not {recorded}): its new calls do not "
                "continue the recorded ones",
                stacklevel=2,
            )
