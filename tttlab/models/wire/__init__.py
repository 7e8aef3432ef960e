"""Wire formats, one a file: what is sent for a request, and what the stream that comes back says.

A format does no I/O. `encode` gives the body of a request, and a `Decoder` is fed the stream's frames one by one and
gives events as they are known. So a recorded exchange, or any bytes, test it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from tttlab.errors import HostError
from tttlab.events import StreamEvent
from tttlab.types import Capabilities, Request


class Frame(NamedTuple):
    """One event of a stream: a server-sent event, or a line of newline-delimited JSON (whose `event` is empty)."""

    event: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Who is asked: for messages, and for what a format does one way for this model and another for that."""

    provider: str
    model: str
    can: Capabilities = field(default_factory=Capabilities)
    traits: Mapping[str, Any] = field(default_factory=dict)
    """What is particular to the model beside its abilities: see `ModelRow.traits`."""

    def at(self, effort: str | None) -> Named:
        """The same with the abilities that it has at a level of effort: its trait `at_effort` says what differs."""
        differs = self.traits.get("at_effort", {}).get(effort)
        return self if differs is None else replace(self, can=replace(self.can, **differs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What is sent: a path below the host's address, a JSON body, and headers beside those of the host."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was asked and is not sent, because the host would refuse or ignore it: recorded with the call."""


class Decoder(Protocol):
    """Turns the frames of one stream into events. It lives as long as the stream."""

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this frame says. Raises `HostError` for an error that the host sends, or a frame that cannot be read."""
        ...

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended: what is left to say, the `Finish` last. Raises `BrokenStreamError` if it was cut.

        A format whose terminal event is clear may have given the `Finish` in `feed` already, and then gives nothing.
        """
        ...


class WireFormat(Protocol):
    """One way of asking and of answering. Frozen: what it needs to know of a host's dialect are its fields."""

    @property
    def name(self) -> str:
        """The format's name, such as `anthropic_messages`: also that of the `ReasoningItem`s that it can read."""
        ...

    @property
    def framing(self) -> Literal["sse", "ndjson"]:
        """How the stream is cut into frames."""
        ...

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError` where the request asks for what the host does not do."""
        ...

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers; `notes` come out in its `Finish`."""
        ...

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says, of the class that tells what to do."""
        ...


class ChoicesDecoder(Protocol):
    """As `Decoder`, of a stream with several completions: each event with the number of its completion, from 0.

    The prompt's tokens are counted with the first; what only their sum is reported of is split by what each gave.
    """

    def feed(self, frame: Frame, time_ns: int) -> Iterable[tuple[int, StreamEvent]]:
        """What this frame says. Raises as `Decoder.feed` does."""
        ...

    def end(self) -> Iterable[tuple[int, StreamEvent]]:
        """The stream has ended: each completion's last events. Raises as `Decoder.end` does."""
        ...


@runtime_checkable
class DrawsMany(Protocol):
    """A wire format that can also ask for several completions of one prompt in one request."""

    def encode_many(self, request: Request, named: Named, count: int) -> Encoded:
        """As `WireFormat.encode`, for `count` completions."""
        ...

    def choices_decoder(self, named: Named, count: int, notes: tuple[str, ...] = ()) -> ChoicesDecoder:
        """As `WireFormat.decoder`, for the stream that answers such a request."""
        ...
