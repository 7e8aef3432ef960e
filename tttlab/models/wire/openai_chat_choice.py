"""One completion of a stream of chat completion chunks: its deltas become events, its end a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tttlab.errors import OverloadedError
from tttlab.events import Delta, TokenDelta, UsageUpdate
from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_list, a_text, an_object
from tttlab.models.wire.in_band import InBand
from tttlab.models.wire.openai_chat_shapes import Shape
from tttlab.models.wire.openai_chat_tokens import Tokens
from tttlab.types import FinishReason, Visibility

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "refusal": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
}
_FAILED = ("error", "abort", "insufficient_system_resource", "network_error")
"""Reasons that say that the host gave up: what came is no completion."""
_BYTES_A_TOKEN = 4
_MOST_BYTES_A_TOKEN = 16
"""Of text, on average over a completion: beyond it a host's count must leave some of the text out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a decoder must know of a host's dialect: see the fields of the same names of `OpenAiChat`."""

    wire: str
    shape: Callable[[Named], Shape]
    in_band: bool
    usage_in: str | None
    usage_of_each: bool
    thinking_beside: bool
    dollars: bool
    logprob_stage: str | None
    entries: Callable[[Mapping[str, Any], Named], list[Any]]


class Seen(NamedTuple):
    """How many tokens a completion was seen to give, the thinking among them."""

    output: int
    thinking: int


class Choice:
    """One completion of the stream."""

    def __init__(self, reading: Reading, named: Named) -> None:
        self.shape = reading.shape(named)
        self.reason: FinishReason | None = None
        self.usage: UsageUpdate | None = None
        self.has_logprobs = False
        self._reading = reading
        self._named = named
        self._tokens = Tokens(named)
        self._in_band = _in_band(reading, named)
        self._bytes = self._output = self._thinking = 0
        self._refused = False
        self._said = ""

    def feed(self, choice: Mapping[str, Any], time_ns: int) -> list[Delta]:
        """What this choice of a chunk says. Raises `HostError`."""
        # A host that streams nothing says it all in one message.
        delta = an_object(choice.get("delta", choice.get("message")), self._named)
        # Of a plain completion, the text stands in the choice itself; beside a delta it repeats what that says.
        pieces = self.shape.read(delta or {"content": choice.get("text")})
        logprobs = an_object(choice.get("logprobs"), self._named)
        entries = self._reading.entries(logprobs, self._named)
        if refusal := a_text(delta.get("refusal"), self._named):
            self._refused = True
            pieces.append(("answer", refusal))
            entries = entries + a_list(logprobs.get("refusal"), self._named)
        token_ids = a_list(choice.get("token_ids"), self._named)
        if not token_ids and (token_id := delta.get("token_id")) is not None:
            token_ids = [token_id]
        self.has_logprobs = self.has_logprobs or bool(entries)
        found = self._parted(self._tokens.events(pieces, entries, token_ids, time_ns))
        if reason := a_text(choice.get("finish_reason"), self._named):
            self._end_for(reason)
        return self._counted(found)

    def end(self) -> list[Delta]:
        """What was held back."""
        found = self._parted(self._tokens.end())
        return self._counted([*found, *(self._in_band.end() if self._in_band else ())])

    @property
    def seen(self) -> Seen:
        """Exact where its tokens came one by one, else by the length of its text."""
        return Seen(self._output, self._thinking)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of it."""
        said = (f"the host's reason to end was {self._said!r}: taken as stop",) if self._said else ()
        return (*said, *(self._in_band.notes if self._in_band else ()))

    def visibility(self, *, thinking: bool) -> Visibility:
        """What was shown of its thinking; `thinking` says that the host counted some."""
        if self.shape.shown != "none":
            return self.shape.shown
        if self._in_band and self._in_band.thought:
            return "full"
        return "omitted" if thinking else "none"

    def plausible(self, usage: UsageUpdate | None) -> tuple[UsageUpdate | None, tuple[str, ...]]:
        """A report that its own text belies, put right: one that leaves out thinking which it does not count."""
        if usage is None or usage.usage.thinking_tokens or not self._thinking:
            return usage, ()
        counted = usage.usage.output_tokens
        if not counted or self._bytes <= counted * _MOST_BYTES_A_TOKEN:
            return usage, ()
        right = replace(usage.usage, output_tokens=counted + self._thinking, thinking_tokens=self._thinking)
        note = f"the host counts {counted} tokens, without its thinking: that was added, by its length"
        return replace(usage, usage=right), (note,)

    def _parted(self, events: list[Delta]) -> list[Delta]:
        if self._in_band is None:
            return events
        found: list[Delta] = []
        for event in events:
            if event.channel == "thinking":
                if event.text:
                    self._in_band.skip()
                found.append(event)
            else:
                found += self._in_band.part(event)
        return found

    def _counted(self, events: list[Delta]) -> list[Delta]:
        for event in events:
            size = len(event.text.encode(errors="surrogatepass"))
            told = 1 if isinstance(event, TokenDelta) else event.tokens
            tokens = -(-size // _BYTES_A_TOKEN) if told is None else told
            self._output += tokens
            self._bytes += size
            if event.channel == "thinking":
                self._thinking += tokens
        return events

    def _end_for(self, said: str) -> None:
        word = said.lower()
        if word in _FAILED:
            raise OverloadedError(
                f"the host gave up before the completion's end ({said})",
                provider=self._named.provider,
                model=self._named.model,
            )
        self.reason = "content_filter" if self._refused else _REASONS.get(word, "stop")
        if word not in _REASONS:
            self._said = said[:40]


def _in_band(reading: Reading, named: Named) -> InBand | None:
    where = named.traits.get("in_band", reading.in_band)
    return InBand(opened=where == "opened") if where else None
