"""What a host is, as data: where it is, how it is asked, who vouches for the caller, and what its models can do."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tttlab.masking import keep_secret
from tttlab.models.wire import WireFormat
from tttlab.types import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """How models whose name matches `pattern` (as file names do, `claude-opus-4-5*`) differ from their host's rule."""

    pattern: str
    can: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Capabilities` that differ."""
    traits: Mapping[str, Any] = field(default_factory=dict)
    """What the wire format must know besides: `{"thinking": ("adaptive",)}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of models. Its rows are in the order in which they are tried: the first that matches holds."""

    name: str
    """As in `anthropic:claude-...`."""
    title: str
    provider: str
    """The `gen_ai.provider.name`; the host's own name where the conventions have none."""
    address: str
    """The base URL, without a slash at its end."""
    wire: WireFormat
    key_variable: str | None = None
    """The environment variable with the key; None for a server that asks for none."""
    key_header: str = "authorization"
    """`authorization` carries `Bearer KEY`, any other header the bare key."""
    address_variable: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    can: Capabilities = field(default_factory=Capabilities)
    rows: tuple[ModelRow, ...] = ()
    prices: str | None = None
    """The host's name in the price data; None for one that costs nothing or whose prices are not known."""
    reports_dollars: bool = False
    """Says in each response what it charges."""
    local: bool = False
    """Runs on a machine of the user's: costs nothing, needs an address (`vllm:qwen3@http://127.0.0.1:8000`)."""
    listing: str | None = "/models"
    """Where it lists its models, below the address; None where it does not."""
    as_of: str = "2026-11"
    """When what is said here was last held against the host's documentation."""

    @property
    def is_own(self) -> bool:
        """Whether it is the user's to say where it is and whether it asks for a key."""
        return self.local or not self.address

    def row(self, model: str) -> ModelRow:
        """The first row that matches the model; an empty one where none does."""
        return next((row for row in self.rows if fnmatch.fnmatchcase(model, row.pattern)), ModelRow(pattern="*"))

    def authorization(self, key: str) -> dict[str, str]:
        """The header that carries a key; none where the key is empty. From then on the key is hidden everywhere."""
        if not key:
            return {}
        keep_secret(key)
        return {self.key_header: f"Bearer {key}" if self.key_header.lower() == "authorization" else key}

    def abilities(self, model: str) -> Capabilities:
        """What a model of this host can do."""
        return replace(self.can, **self.row(model).can)
