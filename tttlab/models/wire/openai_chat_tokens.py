"""The tokens of a stream of text, where a host tells them: its entries laid over the text, so that neither is lost.

Entries do not always cover the text. A server takes tags such as `</think>` out of the text and keeps their entries; a
character may be bytes of several tokens; Ollama gives the entries of a piece that it splits with its first part. So a
token without text in the stream has the text "", and text without an entry is a piece of unknown tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from operator import ge
from types import NoneType
from typing import Any

from tttlab.events import NO_ALTERNATIVES, Alternatives, ChunkDelta, Delta, TokenDelta
from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_list, a_number, a_text, an_object, broken
from tttlab.types import Channel

Piece = tuple[Channel, str]
_MOST_HELD = 16
"""Entries that wait for their text: more than a character has bytes, or a tag tokens."""
_MOST_IDS = 2**53


class Tokens:
    """Lays the entries of one completion over its text."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._held: list[_Entry] = []
        self._channel: Channel | None = None

    def events(
        self, pieces: Sequence[Piece], entries: Sequence[Any], token_ids: Sequence[Any], time_ns: int
    ) -> list[Delta]:
        """The events of one frame: its text, the entries of its tokens, and their ids, where the host gives those."""
        if not entries and not self._held:
            return self._without_entries(pieces, token_ids, time_ns)
        if (
            len(entries) == len(pieces) == 1
            and not self._held
            and (token := self._lone(pieces[0], entries[0], token_ids, time_ns))
        ):
            return [token]
        ids = token_ids if len(token_ids) == len(entries) else [None] * len(entries)
        waiting = [*self._held]
        waiting += [_Entry(each, own, time_ns, self._named) for each, own in zip(entries, ids, strict=True)]
        found: list[Delta] = []
        for channel, text in pieces:
            self._lay(waiting, channel, text, time_ns, found)
        over = len(waiting) - _MOST_HELD
        while waiting and (over > 0 or not waiting[0].text):
            found.append(waiting.pop(0).token("", self._channel or "answer"))
            over -= 1
        self._held = waiting
        return found

    def _lone(self, piece: Piece, entry: object, token_ids: Sequence[Any], time_ns: int) -> TokenDelta | None:
        """The token of a frame that holds one, and its text: nearly every frame, so without any search."""
        channel, text = piece
        if type(entry) is not dict or entry.get("token") != text:
            return None
        self._channel = channel
        own = token_ids[0] if len(token_ids) == 1 else None
        return _Entry(entry, own, time_ns, self._named).token(text, channel)

    def end(self) -> list[Delta]:
        """The entries whose text never came."""
        held, self._held = self._held, []
        return [entry.token("", self._channel or "answer") for entry in held]

    def _lay(self, waiting: list[_Entry], channel: Channel, text: str, time_ns: int, found: list[Delta]) -> None:
        """Lay the entries over one piece of text; those that are used are taken from `waiting`."""
        at = 0
        while at < len(text):
            used, place = _next(waiting, text, at)
            gap, fits = text[at:place], used < len(waiting)
            # A character that several tokens make stands in the text where the last of them came.
            owner = max((n for n in range(used) if gap and waiting[n].incomplete), default=None)
            if not fits:  # The others may fit what comes next.
                used = 0 if owner is None else owner + 1
            for n, entry in enumerate(waiting[:used]):
                found.append(entry.token(gap, channel) if n == owner else entry.token("", self._channel or channel))
            if gap and owner is None:
                found.append(ChunkDelta(gap, time_ns, channel))
            del waiting[:used]
            self._channel = channel
            at = place
            if fits:
                entry = waiting.pop(0)
                found.append(entry.token(entry.text, channel))
                at += len(entry.text)

    def _without_entries(self, pieces: Sequence[Piece], token_ids: Sequence[Any], time_ns: int) -> list[Delta]:
        shown = [piece for piece in pieces if piece[1]]
        if shown:
            self._channel = shown[-1][0]
        if not token_ids:
            return [ChunkDelta(text, time_ns, channel) for channel, text in shown]
        ids = [_token_id(each, self._named) for each in token_ids]
        shown = shown or [(self._channel or "answer", "")]
        if len(ids) == len(shown) == 1:
            channel, text = shown[0]
            return [TokenDelta(text, time_ns, ids[0], channel=channel)]
        # Several tokens, and nothing says where one ends: their number is all that is sure.
        return [ChunkDelta(text, time_ns, channel, 0 if n else len(ids)) for n, (channel, text) in enumerate(shown)]


class _Entry:
    """What a host says of one token."""

    __slots__ = ("_entry", "_named", "_time_ns", "_token_id", "text")

    def __init__(self, entry: object, token_id: object, time_ns: int, named: Named) -> None:
        self._entry = an_object(entry, named)
        self._named = named
        self._time_ns = time_ns
        self._token_id = _token_id(self._entry.get("id") if token_id is None else token_id, named)
        self.text = a_text(self._entry.get("token"), named)

    @property
    def incomplete(self) -> bool:
        """Its bytes are no whole characters."""
        listed = a_list(self._entry.get("bytes"), self._named)
        try:
            bytes(listed).decode()
        except (UnicodeDecodeError, ValueError, TypeError):
            return True
        return "\ufffd" in self.text

    def token(self, text: str, channel: Channel) -> TokenDelta:
        """The token, with the text that it has in the stream."""
        top = _alternatives(a_list(self._entry.get("top_logprobs"), self._named), self._named)
        logprob = a_number(self._entry.get("logprob"), self._named)
        return TokenDelta(text, self._time_ns, self._token_id, logprob, top, channel, self._is_merged(top))

    def _is_merged(self, top: Alternatives) -> bool:
        """llama.cpp gives a token the text of those before it that were no whole character, or might begin a stop.

        The token's own text stands among the alternatives, where it is one of them.
        """
        if self._token_id is None or self._token_id not in top.token_ids:
            return False
        return top.texts[top.token_ids.index(self._token_id)] != self.text


def _next(waiting: Sequence[_Entry], text: str, at: int) -> tuple[int, int]:
    """The first entry that the text goes on with from `at`, or from a later place; and that place. Else both ends."""
    for n, entry in enumerate(waiting):
        if entry.text and text.startswith(entry.text, at):
            return n, at
    for n, entry in enumerate(waiting):
        if entry.text and (place := text.find(entry.text, at)) >= 0:
            return n, place
    return len(waiting), len(text)


def _token_id(value: object, named: Named) -> int | None:
    if value is None:
        return None
    if type(value) is int and 0 <= value < _MOST_IDS:
        return value
    raise broken(f"a frame has the token id {value!r:.40}", named)


def _alternatives(listed: Sequence[Any], named: Named) -> Alternatives:
    """The alternatives in columns, likeliest first."""
    if not listed:
        return NO_ALTERNATIVES
    try:
        columns = Alternatives(
            tuple([each.get("id") for each in listed]),
            tuple([each["token"] for each in listed]),
            tuple([each["logprob"] for each in listed]),
        )
    except (AttributeError, KeyError, TypeError):
        return _sorted_alternatives(listed, named)
    return columns if _is_in_order(columns) else _sorted_alternatives(listed, named)


def _is_in_order(columns: Alternatives) -> bool:
    """Whether the columns are what nearly every host sends: each value of its type, and the likeliest first."""
    ids, texts, logprobs = columns
    if (
        set(map(type, logprobs)) != {float}
        or set(map(type, texts)) != {str}
        or not set(map(type, ids)) <= {int, NoneType}
    ):
        return False
    return all(map(ge, logprobs, logprobs[1:])) and isfinite(sum(logprobs))


def _sorted_alternatives(listed: Sequence[object], named: Named) -> Alternatives:
    rows = [
        (a_number(entry.get("logprob"), named), _token_id(entry.get("id"), named), a_text(entry.get("token"), named))
        for entry in (an_object(each, named) for each in listed)
    ]
    known = [(logprob, token_id, text) for logprob, token_id, text in rows if logprob is not None]
    if not known:
        return NO_ALTERNATIVES
    known.sort(key=lambda row: -row[0])
    logprobs, ids, texts = zip(*known, strict=True)
    return Alternatives(ids, texts, logprobs)
