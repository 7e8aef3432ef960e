"""A body that arrives in pieces, cut into frames: server-sent events, or lines of JSON.

A frame that the body's end cuts short is dropped: what ends without its terminal frame is found out by the decoder.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

import orjson

from tttlab.models.wire import Frame

Framing = Literal["sse", "ndjson", "whole"]
"""`whole` is a body that is one frame: a host that was asked for a stream and gives none."""

_UNNAMED = "message"
"""What an event is called that has no name."""
_BLANK_LINE = re.compile(r"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


class Arrived(NamedTuple):
    """What a piece of a body completes, and the wall clock when the piece came."""

    frames: list[Frame]
    time_ns: int


async def frames(pieces: AsyncIterator[bytes], framing: Framing) -> AsyncGenerator[Arrived, None]:
    """The frames of a body, those together that came together. Bytes that are no UTF-8 become U+FFFD."""
    # A mark of byte order may begin a body; a character that is cut in its middle waits for the rest.
    decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
    cutter = _CUTTERS[framing]()
    time_ns = 0
    async for piece in pieces:
        time_ns = time.time_ns()  # Before anything is done with it.
        if found := cutter.feed(decode(piece)):
            yield Arrived(found, time_ns)
    if found := cutter.end():
        yield Arrived(found, time_ns)


class _Cutter(Protocol):
    def feed(self, text: str) -> list[Frame]:
        """The frames that this text completes."""
        ...

    def end(self) -> list[Frame]:
        """Those that the body's end completes."""
        ...


class _Events:
    """Server-sent events, which httpx-sse reads: whole ones, up to the last blank line that came."""

    headers = {"content-type": "text/event-stream"}  # noqa: RUF012 - what the answer says was looked at before

    def __init__(self) -> None:
        from httpx_sse import EventSource

        self._source = EventSource(self)  # type: ignore[arg-type]  # it asks for no more than is here
        self._whole = self._rest = ""

    def feed(self, text: str) -> list[Frame]:
        text = self._rest + text
        end = _end_of_events(text)
        self._whole, self._rest = text[:end], text[end:]
        if not end:
            return []
        events = self._source.iter_sse()
        # One without data has set an identity or a delay alone.
        return [Frame("" if each.event == _UNNAMED else each.event, each.data) for each in events if each.data]

    def end(self) -> list[Frame]:
        return []

    def iter_text(self) -> Iterator[str]:
        """As httpx gives it."""
        yield self._whole


def _end_of_events(text: str) -> int:
    """Where the last blank line ends; 0 where there is none."""
    if "\r" not in text:
        return text.rfind("\n\n") + 2 if "\n\n" in text else 0
    return max((found.end() for found in _BLANK_LINE.finditer(text)), default=0)


class _Lines:
    """Lines of JSON."""

    def __init__(self) -> None:
        self._begun: list[str] = []

    def feed(self, text: str) -> list[Frame]:
        first, *others = text.split("\n")
        self._begun.append(first)
        if not others:
            return []
        lines = ["".join(self._begun), *others[:-1]]
        self._begun = others[-1:]
        return [Frame("", line.strip()) for line in lines if line.strip()]

    def end(self) -> list[Frame]:
        last = "".join(self._begun).strip()
        # An object says itself where it ends: nothing of it is missing.
        return [Frame("", last)] if last and _is_object(last) else []


class _Whole:
    """One frame."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def feed(self, text: str) -> list[Frame]:
        self._texts.append(text)
        return []

    def end(self) -> list[Frame]:
        whole = "".join(self._texts).strip()
        return [Frame("", whole)] if whole else []


_CUTTERS: Mapping[Framing, Callable[[], _Cutter]] = {"sse": _Events, "ndjson": _Lines, "whole": _Whole}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
