"""Anthropic's Messages and its dialects: what differs from server to server is in the fields of `AnthropicMessages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tttlab.errors import HostError
from tttlab.models.wire import Decoder, Encoded, Named
from tttlab.models.wire.anthropic_blocks import restored
from tttlab.models.wire.anthropic_events import MessageEvents, Reading
from tttlab.models.wire.anthropic_thinking import thinking_of
from tttlab.models.wire.failures import failure_of
from tttlab.models.wire.sealed import note, own_blocks
from tttlab.models.wire.turns import parted, refused
from tttlab.types import Message, Request, Visibility

_CHANGED = "sealed thinking was not sent back: its host takes it only in its place in the very text that it led to"
_SAMPLING = ("temperature", "top_p", "top_k")


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The versions of the API: the newest, which takes no sampling options, and the last one that does."""

    newest: str = "2026-10-21"
    sampling: str = "2023-06-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicMessages:
    """Messages, as one host or kind of server wants them.

    Traits of a model that it heeds: `thinking`, `display`, `shows` and `in_band`, as the fields of those names, of a
    model that is not like the host's others.
    """

    name: str = "anthropic_messages"
    framing: Literal["sse"] = "sse"
    path: str = "/v1/messages"
    versions: Versions | None = Versions()
    """None for a server that has none."""
    thinking: tuple[str, ...] = ("adaptive",)
    """The types of thinking that a model knows, the preferred one first; none where the server takes no such word."""
    display: str | None = "summarized"
    """How thinking is to be shown, as models that show none by default want to be told; None leaves it out."""
    shows: Visibility = "summary"
    """What the thinking that the host shows is of its model's."""
    in_band: bool = False
    """Thinking may come in the text, between tags."""
    top_k_off: int | None = None
    """What switches top-k off; None leaves the field out."""
    sends_defaults: bool = False
    """The host truncates by itself: that top-p is off is sent too."""

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError`."""
        named, notes = named.at(request.sampling.effort), list[str]()
        system, turns = parted(request.messages, named, notes)
        types, display = (named.traits.get(name, getattr(self, name)) for name in ("thinking", "display"))
        thinking = thinking_of(request, named, types, display)
        body: dict[str, Any] = {
            "model": named.model,
            "messages": [self._turn(message, named, notes) for message in turns],
            "stream": True,
            "max_tokens": thinking.most_tokens,
            **thinking.fields,
            **self._sampling(request, named),
        }
        if system:
            body["system"] = "\n\n".join(system)
        headers: dict[str, str] = {}
        if self.versions is not None:
            sampled = any(field in body for field in _SAMPLING)
            headers["anthropic-version"] = self.versions.sampling if sampled else self.versions.newest
        return Encoded(path=self.path, body=body, headers=headers, notes=(*notes, *thinking.notes))

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers."""
        shows, in_band = (named.traits.get(name, getattr(self, name)) for name in ("shows", "in_band"))
        return MessageEvents(Reading(self.name, shows, in_band), named, notes)

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says."""
        return failure_of(status, body, named)

    def _turn(self, message: Message, named: Named, notes: list[str]) -> dict[str, Any]:
        blocks = own_blocks(message, self.name, named, notes)
        content = restored(blocks, message.text)
        if content is None:
            note(notes, _CHANGED)
        return {"role": message.role, "content": content if blocks and content else message.text}

    def _sampling(self, request: Request, named: Named) -> dict[str, Any]:
        sampling, takes = request.sampling, named.can.takes
        for name, value in (("seed", request.seed), ("grammar", sampling.grammar), ("min_p", sampling.min_p or None)):
            if value is not None:
                raise refused(f"Messages have no place for {name}", named)
        sent: dict[str, Any] = {}
        if "temperature" in takes:
            sent["temperature"] = sampling.temperature
        if "top_p" in takes and (self.sends_defaults or sampling.top_p != 1):
            sent["top_p"] = sampling.top_p
        top_k = sampling.top_k or self.top_k_off
        if "top_k" in takes and top_k is not None:
            sent["top_k"] = top_k
        if "stop" in takes and sampling.stop:
            sent["stop_sequences"] = list(sampling.stop)
        return sent


SERVER_MESSAGES = AnthropicMessages(
    name="anthropic_messages_server",
    path="/messages",
    versions=None,
    thinking=(),  # llama.cpp reads a budget of thinking, which has had no effect.
    display=None,
    shows="full",
    in_band=True,
    top_k_off=0,
    sends_defaults=True,
)
"""As llama.cpp's server and vLLM have them."""
