"""Google's Gemini, by its own API."""

from __future__ import annotations

from typing import Any

from tttlab.models.hosts.host import Host, ModelRow
from tttlab.models.wire.gemini import Gemini
from tttlab.types import Capabilities

_LEVELS = ("low", "medium", "high")
"""Its SDK knows an XHIGH beside, of which no model's documentation speaks (2026-11)."""
_FROM_LEAST = ("minimal", *_LEVELS)
_SAMPLED = ("temperature", "top_p", "top_k", "stop")


def _by_budget(pattern: str, least: int, most: int, *, off: bool) -> ModelRow:
    """Of the 2.5 family: its thinking is held to a number of tokens."""
    can = {"thinking_budget": True, "effort": (), "takes": _SAMPLED}
    return ModelRow(pattern=pattern, can=can, traits={"budget": (least, most), "off": off})


def _by_level(pattern: str, levels: tuple[str, ...], takes: tuple[str, ...] = _SAMPLED) -> ModelRow:
    """Of the 3 family: how much it thinks has levels, and it cannot be told not to."""
    return ModelRow(pattern=pattern, can={"effort": levels, "takes": takes})


_SILENT: dict[str, Any] = {"thinking": False, "effort": (), "takes": _SAMPLED}
_ROWS = (
    *(
        ModelRow(pattern=pattern, can=_SILENT)
        for pattern in ("*embedding*", "*-tts*", "*-live*", "*-image*", "gemini-1.*", "gemini-2.0*", "gemma-*")
    ),
    _by_budget("gemini-2.5-pro*", 128, 32768, off=False),
    _by_budget("gemini-2.5-flash-lite*", 512, 24576, off=True),
    _by_budget("gemini-2.5-flash*", 1, 24576, off=True),
    _by_level("gemini-3-pro*", ("low", "high")),
    _by_level("gemini-3-flash*", _FROM_LEAST),
    _by_level("gemini-3.1-flash*", _FROM_LEAST),
    _by_level("gemini-3.1*", _LEVELS),
    # From 3.5 Flash-Lite on, Google says to leave out how it is to be sampled, and of Gemini 4 that it has no effect.
    _by_level("gemini-3.5-flash-lite*", _FROM_LEAST, ("stop",)),
    _by_level("gemini-3.5*", _FROM_LEAST),
    # Whether 3.6 knows the lowest level is not said. 3.7 and 3.8 do not, as whatever is newer is taken not to.
    _by_level("gemini-3.6*", _FROM_LEAST, ("stop",)),
)

HOSTS = (
    Host(
        name="google",
        title="Google's Gemini",
        provider="gcp.gemini",
        address="https://generativelanguage.googleapis.com",
        wire=Gemini(),
        key_variable="GEMINI_API_KEY",
        key_header="x-goog-api-key",
        address_variable="GOOGLE_GEMINI_BASE_URL",
        # Log-probabilities come from some models only, and which is not documented for this API: the others refuse.
        can=Capabilities(seed=True, thinking=True, effort=_LEVELS, takes=("stop",), parallel=32),
        rows=_ROWS,
        prices="google",
        listing="/v1beta/models?pageSize=1000",
    ),
)
