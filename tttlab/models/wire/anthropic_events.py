"""The events of a stream of Anthropic's Messages: blocks of thinking and text, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from tttlab.events import ChunkDelta, Finish, StreamEvent, UsageUpdate
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.anthropic_blocks import Blocks
from tttlab.models.wire.failures import said_error
from tttlab.models.wire.frames import a_count, a_list, a_text, an_object, broken, parsed
from tttlab.models.wire.in_band import InBand
from tttlab.types import FinishReason, Usage, Visibility

_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
_FULL = "the answer ended where the model's context was full"
_NO_REASON = "the host gave no reason to end: taken as stop"
_FALLEN_BACK = "another model than the one that was asked answered some of it (a fallback)"
_LONGEST = 300
"""Characters of a refusal's explanation that a note holds."""


class Reading(NamedTuple):
    """What a decoder must know of a host's dialect: see the fields of the same names of `AnthropicMessages`."""

    wire: str
    shows: Visibility
    in_band: bool | str


class MessageEvents:
    """Decodes the stream of one message."""

    def __init__(self, reading: Reading, named: Named, notes: tuple[str, ...]) -> None:
        self._named = named
        self._shows = reading.shows
        self._notes = list(notes)
        self._blocks = Blocks(reading.wire)
        self._in_band = InBand(opened=reading.in_band == "opened") if reading.in_band else None
        self._counts: dict[str, Any] = {}
        self._reason = ""
        self._shown = self._done = False
        self._thinking_tokens = 0
        self._model: str | None = None
        self._id: str | None = None

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this frame says. Raises `HostError`."""
        data = frame.data.strip()
        if self._done or not data or data == "[DONE]":
            return ()
        body = parsed(data, self._named)
        kind = a_text(body.get("type"), self._named) or frame.event
        if kind == "content_block_delta":
            return self._delta(body, time_ns)
        if kind == "error" or body.get("error"):
            raise said_error(body.get("error") or body, self._named)
        step = self._STEPS.get(kind)
        return step(self, body, time_ns) if step else ()

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended. Raises `BrokenStreamError` if the message had not."""
        if not self._done:
            raise broken("the stream ended before the message did", self._named)
        return ()

    def _begun(self, body: Mapping[str, Any], _: int) -> list[StreamEvent]:
        return self._begin(an_object(body.get("message"), self._named))

    def _opened(self, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        return self._block(self._index(body), an_object(body.get("content_block"), self._named), time_ns)

    def _closed(self, body: Mapping[str, Any], _: int) -> list[StreamEvent]:
        return [*self._blocks.close(self._index(body))]

    def _ended(self, body: Mapping[str, Any], _: int) -> list[StreamEvent]:
        return self._ending(an_object(body.get("delta"), self._named), body.get("usage"))

    def _stopped(self, _: Mapping[str, Any], __: int) -> list[StreamEvent]:
        return self._finish()

    def _whole(self, message: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        """A host that streams nothing says it all in one object."""
        found = self._begin(message)
        for n, block in enumerate(a_list(message.get("content"), self._named)):
            found += self._block(n, an_object(block, self._named), time_ns)
            found += self._blocks.close(n)
        return [*found, *self._ending(message, message.get("usage")), *self._finish()]

    _STEPS: ClassVar[Mapping[str, Callable[[MessageEvents, Mapping[str, Any], int], list[StreamEvent]]]] = {
        "message_start": _begun,
        "content_block_start": _opened,
        "content_block_stop": _closed,
        "message_delta": _ended,
        "message_stop": _stopped,
        "message": _whole,
    }

    def _index(self, body: Mapping[str, Any]) -> int:
        return a_count(body.get("index"), self._named)

    def _delta(self, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        delta = an_object(body.get("delta"), self._named)
        kind = delta.get("type")
        if kind == "text_delta":
            return self._text(delta, time_ns)
        if kind == "thinking_delta":
            return self._thinking(self._index(body), delta, time_ns)
        if kind == "signature_delta":
            self._blocks.add(self._index(body), "signature", a_text(delta.get("signature"), self._named))
        return []

    def _text(self, said: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        text = a_text(said.get("text"), self._named)
        if not text:
            return []
        self._blocks.written += len(text)
        event = ChunkDelta(text, time_ns)
        return [event] if self._in_band is None else [*self._in_band.part(event)]

    def _thinking(self, index: int, said: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        text = a_text(said.get("thinking"), self._named)
        self._blocks.add(index, "thinking", text)
        if not text:
            return []
        self._shown = True
        if self._in_band is not None:
            self._in_band.skip()
        return [ChunkDelta(text, time_ns, "thinking")]

    def _block(self, index: int, block: dict[str, Any], time_ns: int) -> list[StreamEvent]:
        """A block begins. What it holds already, it holds for good: more is added to it."""
        kind = block.get("type")
        if kind == "text":
            return self._text(block, time_ns)
        if kind in ("thinking", "redacted_thinking"):
            for field in ("signature", "data"):
                a_text(block.get(field), self._named)
            if kind == "redacted_thinking":
                self._blocks.open(index, block)
                return []
            self._blocks.open(index, block | {"thinking": ""})
            return self._thinking(index, block, time_ns)
        if kind == "fallback":
            self._notes.append(_FALLEN_BACK)
        return []

    def _begin(self, message: Mapping[str, Any]) -> list[StreamEvent]:
        self._model = a_text(message.get("model"), self._named) or None
        self._id = a_text(message.get("id"), self._named) or None
        # Its count of output is of what the host has made so far, not of the text.
        return self._usage(message.get("usage"), begun=True)

    def _ending(self, delta: Mapping[str, Any], usage: object) -> list[StreamEvent]:
        self._reason = a_text(delta.get("stop_reason"), self._named) or self._reason
        details = an_object(delta.get("stop_details"), self._named)
        said = ": ".join(str(details[name]) for name in ("category", "explanation") if details.get(name))
        if said:
            self._notes.append(f"the host refused: {' '.join(said.split())[:_LONGEST]}")
        return self._usage(usage)

    def _usage(self, said: object, *, begun: bool = False) -> list[StreamEvent]:
        counts = an_object(said, self._named)
        if not counts:
            return []
        # Of what was told at the beginning, the last report may leave out all but the output.
        self._counts |= {name: value for name, value in counts.items() if value is not None}
        fresh, written, read, output = (
            a_count(self._counts.get(name), self._named)
            for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        )
        details = an_object(self._counts.get("output_tokens_details"), self._named)
        thinking = min(a_count(details.get("thinking_tokens"), self._named), output)
        self._thinking_tokens = thinking
        usage = Usage(
            prompt_tokens=fresh + written + read,
            cached_tokens=read,
            output_tokens=0 if begun else output,
            thinking_tokens=0 if begun else thinking,
        )
        return [UsageUpdate(usage)]

    def _finish(self) -> list[StreamEvent]:
        self._done = True
        found: list[StreamEvent] = [*self._blocks.close_all()]
        notes = [*self._notes]
        if self._in_band is not None:
            found += self._in_band.end()
            notes += self._in_band.notes
        if self._reason not in _REASONS:
            unknown = f"the host's reason to end was {self._reason[:40]!r}: taken as stop"
            notes.append(unknown if self._reason else _NO_REASON)
        elif self._reason == "model_context_window_exceeded":
            notes.append(_FULL)
        reason = _REASONS.get(self._reason, "stop")
        return [*found, Finish(reason, self._visibility(), self._model, None, tuple(notes), self._id)]

    def _visibility(self) -> Visibility:
        if self._shown:
            return self._shows
        if self._in_band is not None and self._in_band.thought:
            return "full"
        if self._blocks.redacted:
            return "encrypted"
        return "omitted" if self._blocks.thought or self._thinking_tokens else "none"
