"""One call to a host, from the request that is encoded to the events that are given: one attempt, and all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from tttlab.errors import BrokenStreamError, HostError
from tttlab.events import ChunkDelta, Finish, StreamEvent, TokenDelta, UsageUpdate
from tttlab.models.conduct import Conduct, Spent, admitted, again, delay_of
from tttlab.models.framing import Arrived, Framing, frames
from tttlab.models.transport import Answer, Deadline, posted
from tttlab.models.wire import Encoded, Frame, Named, WireFormat
from tttlab.types import ReasoningItem, Request

Numbered = tuple[int, StreamEvent]
"""An event, and the number of the completion that it belongs to."""
Event = TypeVar("Event")
Read_co = TypeVar("Read_co", covariant=True)

_OK = 200
_TAIL_SECONDS = 0.5
"""How long the end of a body is waited for after its `Finish`: a connection that was read to its end is kept."""
_BYTES_A_TOKEN = 4


class AnyDecoder(Protocol[Read_co]):
    """A `Decoder`, or a `ChoicesDecoder` whose events are numbered."""

    def feed(self, frame: Frame, time_ns: int) -> Iterable[Read_co]:
        """What this frame says."""
        ...

    def end(self) -> Iterable[Read_co]:
        """What is left to say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a model is reached."""

    wire: WireFormat
    named: Named
    address: str
    headers: Mapping[str, str]
    authorization: Callable[[], Mapping[str, str]]
    """The header with the key, looked up for each attempt. Raises `CredentialError`."""
    conduct: Conduct


@dataclass(frozen=True, slots=True)
class Asked(Generic[Event]):
    """What is asked for how many completions, and how its answer is read."""

    encoded: Encoded
    decoder: Callable[[], AnyDecoder[Event]]
    count: int = 1


async def told(line: Line, asked: Asked[Event], tokens: int) -> AsyncGenerator[Event, None]:
    """The events of a call, asked again where that helps. `tokens` is about what it may use. Raises `HostError`."""

    def shown(events: list[Event]) -> bool:
        return any(_shows(_numbered(event)[1]) for event in events)

    begun = await again(lambda: _attempt(line, asked, tokens), line.conduct, shown)
    async with aclosing(begun.items()) as batches:
        async for batch in batches:
            for event in batch:
                yield _noted(event, begun.notes) if begun.notes else event


def tokens_of(request: Request, named: Named, count: int = 1) -> int:
    """About how many tokens a call may use, at most: what a host's limit counts it as before it is made."""
    text = sum(len(message.text) for message in request.messages)
    return text // _BYTES_A_TOKEN + count * request.most_tokens(thinking=named.can.thinking)


async def _attempt(line: Line, asked: Asked[Event], tokens: int) -> AsyncGenerator[list[Event], None]:
    """The events of one attempt, those together that came together."""
    async with (
        admitted(line.address, line.conduct, tokens) as spent,
        _answer(line, asked.encoded) as (answer, deadline),
    ):
        reading = _Reading(asked, deadline, line.conduct, spent)
        async with aclosing(frames(answer.pieces(), await _framing(answer, line))) as arriving:
            async for found, time_ns in _until_finished(arriving, reading):
                if events := reading.feed(found, time_ns):
                    yield events
                reading.raise_error()
        if events := reading.end():
            yield events
        reading.raise_error()


@asynccontextmanager
async def _answer(line: Line, encoded: Encoded) -> AsyncIterator[tuple[Answer, Deadline]]:
    deadline = Deadline(line.conduct.first_token_seconds, "a first token")
    headers = {**line.headers, **encoded.headers, **line.authorization()}
    url, connect = f"{line.address}{encoded.path}", line.conduct.connect_seconds
    async with posted(url, headers, encoded.body, named=line.named, connect=connect, deadline=deadline) as answer:
        yield answer, deadline


class _Reading(Generic[Event]):
    """An answer as it is read: what it has given, and how long more of it is waited for."""

    def __init__(self, asked: Asked[Event], deadline: Deadline, conduct: Conduct, spent: Spent) -> None:
        self._decoder = asked.decoder()
        self._deadline = deadline
        self._silent = conduct.silent_seconds
        self._spent = spent
        self._begun = False
        self._used: dict[int, int] = {}
        self._error: HostError | None = None
        self._awaited = asked.count
        self._finishes = 0

    @property
    def finished(self) -> bool:
        """Whether all of it has been said."""
        return self._finishes >= self._awaited

    def feed(self, found: Sequence[Frame], time_ns: int) -> list[Event]:
        """The events of frames: of those before the first that cannot be read, if there is one."""
        events: list[Event] = []
        try:
            for frame in found:
                events += self._decoder.feed(frame, time_ns)
        except HostError as error:
            self._error = error
        self._note(events)
        return events

    def end(self) -> list[Event]:
        """The last events."""
        events: list[Event] = []
        try:
            events += self._decoder.end()
        except HostError as error:
            self._error = error
        self._note(events)
        return events

    def raise_error(self) -> None:
        """Raise what could not be read, once what came before it was given. What follows a `Finish` does not count."""
        if self._error is not None and not self.finished:
            raise self._error

    def _note(self, events: Sequence[Event]) -> None:
        # Most are tokens, and this is run for each of them.
        others = [event for event in events if type(event) is not TokenDelta]
        self._begun = self._begun or len(others) < len(events)
        for number, event in map(_numbered, others):
            if isinstance(event, (TokenDelta, ChunkDelta)):
                self._begun = True
            elif isinstance(event, UsageUpdate):
                self._used[number] = event.usage.tokens
                self._spent.tokens = sum(self._used.values())
            elif isinstance(event, Finish):
                self._finishes += 1
        if self.finished:
            self._deadline.move(_TAIL_SECONDS, "the end")
        elif self._begun:
            self._deadline.move(self._silent, "the next token")


async def _until_finished(arriving: AsyncIterator[Arrived], reading: _Reading[Event]) -> AsyncGenerator[Arrived, None]:
    """What arrives. Where the end was said already, an error of the connection is one more end."""
    try:
        async for arrived in arriving:
            yield arrived
    except HostError:
        if not reading.finished:
            raise


async def _framing(answer: Answer, line: Line) -> Framing:
    """How an answer is cut into frames. Raises the error that it says, where it says one."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status == _OK and kind != "text/html":
        return "whole" if kind == "application/json" and line.wire.framing == "sse" else line.wire.framing
    body = await answer.text()
    error = line.wire.failure(answer.status, body, line.named)
    if answer.status == _OK:
        said = f"it answered with a page where a stream belongs: {error.said}"
        error = BrokenStreamError(said, provider=line.named.provider, model=line.named.model)
    if error.retry_after is None:
        error.retry_after = delay_of(answer.headers)
    if answer.headers.get("x-should-retry") == "false":
        error.passing = False
    raise error


def _numbered(event: Any) -> Numbered:
    return event if isinstance(event, tuple) else (0, event)


def _shows(event: StreamEvent) -> bool:
    """Whether an event gives something: from there on a call is not made again."""
    return isinstance(event, (TokenDelta, ChunkDelta, ReasoningItem, Finish))


def _noted(event: Event, notes: tuple[str, ...]) -> Event:
    number, plain = _numbered(event)
    if not isinstance(plain, Finish):
        return event
    finish: Any = replace(plain, notes=(*notes, *plain.notes))
    return (number, finish) if isinstance(event, tuple) else finish  # type: ignore[return-value]
