"""Stop strings for a host that takes none: looked for in the answer as it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from tttlab.events import ChunkDelta, Delta, Finish, StreamEvent, TokenDelta


async def stopped(
    events: AsyncGenerator[StreamEvent, None], stops: Sequence[str], note: str
) -> AsyncGenerator[StreamEvent, None]:
    """The events up to the first stop string in the answer, which itself is not given; then a `Finish` with the note.

    What may be the beginning of a stop string is held back until it is known. Leaving it closes the stream.
    """
    held = _Held([stop for stop in stops if stop])
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                for delta in held.rest():
                    yield delta
                yield replace(event, notes=(*event.notes, note))
            elif isinstance(event, (TokenDelta, ChunkDelta)) and event.channel == "answer":
                for delta in held.add(event):
                    yield delta
                if held.found:
                    yield Finish("stop", notes=(note, "its stop string was found here, and the request was closed"))
                    return
            else:
                yield event


class _Held:
    """Deltas of the answer that are not given on yet."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._deltas: list[Delta] = []
        self._text = ""
        self.found = False

    def add(self, delta: Delta) -> list[Delta]:
        """Take in a delta, and give those that are sure."""
        self._deltas.append(delta)
        self._text += delta.text
        places = [place for stop in self._stops if (place := self._text.find(stop)) >= 0]
        if places:
            self.found = True
            return self._take(min(places), cut=True)
        return self._take(len(self._text) - self._open())

    def rest(self) -> list[Delta]:
        """What was held back when the stream came to its own end."""
        return self._take(len(self._text))

    def _open(self) -> int:
        """How many characters at the end may begin a stop string."""
        for size in range(min(self._longest - 1, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-size:]) for stop in self._stops):
                return size
        return 0

    def _take(self, size: int, *, cut: bool = False) -> list[Delta]:
        """The deltas that lie within the first `size` characters; with `cut`, the beginning of the next one too."""
        taken: list[Delta] = []
        while self._deltas and len(self._deltas[0].text) <= size:
            delta = self._deltas.pop(0)
            size -= len(delta.text)
            self._text = self._text[len(delta.text) :]
            taken.append(delta)
        if cut and size and self._deltas:
            # Part of a token is no token: it has neither its id nor its probability.
            part = self._deltas[0]
            taken.append(ChunkDelta(part.text[:size], part.time_ns, part.channel))
        return taken
