"""Thinking that stands in the answer's own text, between tags: parted from it as it streams, with nothing lost.

The tags go to the thinking, as does any white space before the first: so thinking and answer, joined, are the raw text
to the character, and the parting can be done again by another rule. Only a block at the very start counts, since a
model may also write about `<think>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from tttlab.events import ChunkDelta, Delta, TokenDelta


class Tags(NamedTuple):
    """What opens a block of thinking and what ends it."""

    opening: str
    closing: str


TAGS = (
    Tags("<think>", "</think>"),
    Tags("<thinking>", "</thinking>"),
    Tags("[THINK]", "[/THINK]"),
    # gpt-oss's channels, where a server shows them raw. An answer without analysis has a header, and no thinking.
    Tags("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
    Tags("<|channel|>final<|message|>", ""),
)
_CLOSINGS = tuple(tags.closing for tags in TAGS if tags.closing)


class InBand:
    """Moves the thinking of a stream of answer text to its channel.

    `opened` says that the prompt's template has opened the block already: all text up to a closing tag is thinking.
    A token that holds the end of the closing tag and more is given up to there, and the rest as a piece of no tokens.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._state = "thinking" if opened else "start"
        self._closings = _CLOSINGS if opened else ()
        self._held: list[Delta] = []
        self._tail = ""
        self._marks = 0
        self._letters = 0
        self._stray = False
        self._looks = True

    @property
    def thought(self) -> bool:
        """There was thinking between the tags."""
        return self._letters > self._marks

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the parting; nothing where there was no tag and none was expected."""
        if self._stray:
            return ("a closing tag of thinking came without an opening one: what stands before it is in the answer",)
        if self._state == "thinking" and self._letters:
            return ("the thinking was parted from the text in band, and its closing tag never came",)
        return ("the thinking was parted from the text in band",) if self._letters else ()

    def skip(self) -> None:
        """The host gives the thinking apart: no block is looked for any more."""
        if self._state != "answer" and not self._held and not self._letters:
            self._state, self._looks = "answer", False

    def part(self, event: Delta) -> Iterable[Delta]:
        """The next piece of answer text, in the channel or channels that it belongs to; or later, with another."""
        if self._state == "answer":
            self._look_for_stray(event.text)
            return (event,)
        if self._state == "thinking":
            return self._think(event)
        self._held.append(event)
        start = "".join(each.text for each in self._held).lstrip()
        for tags in TAGS:
            if start.startswith(tags.opening):
                return self._open(tags)
        if any(tags.opening.startswith(start) for tags in TAGS):
            return ()
        return self.end()

    def end(self) -> Iterable[Delta]:
        """The text has ended, or begins as no block does: what was held back is answer."""
        held, self._held = self._held, []
        if self._state == "start":
            self._state = "answer"
        for each in held:
            self._look_for_stray(each.text)
        return held

    def _open(self, tags: Tags) -> Iterator[Delta]:
        self._state, self._closings = "thinking", (tags.closing,)
        self._marks = self._letters = len("".join(tags.opening.split()))
        text = "".join(each.text for each in self._held)
        left = text.index(tags.opening) + len(tags.opening)
        held, self._held = self._held, []
        for each in held:
            head, rest = _cut(each, left)
            left -= len(each.text) if rest is None else left
            if head is not None:
                yield replace(head, channel="thinking")
            if rest is not None:
                yield from self.part(rest)

    def _think(self, event: Delta) -> Iterator[Delta]:
        seen = self._tail + event.text
        ends = [(at + len(closing), closing) for closing in self._closings if (at := seen.find(closing)) >= 0]
        if not ends:
            self._tail = seen[-max(map(len, self._closings)) :]
            self._letters += len("".join(event.text.split()))
            yield replace(event, channel="thinking")
            return
        end, closing = min(ends)
        self._marks += len("".join(closing.split()))
        self._state = "answer"
        head, rest = _cut(event, end - len(self._tail))
        if head is not None:
            self._letters += len("".join(head.text.split()))
            yield replace(head, channel="thinking")
        if rest is not None:
            yield from self.part(rest)

    def _look_for_stray(self, text: str) -> None:
        if self._looks and not self._letters and not self._stray:
            seen = self._tail + text
            self._stray = any(closing in seen for closing in _CLOSINGS)
            self._tail = seen[-max(map(len, _CLOSINGS)) :]


def _cut(event: Delta, at: int) -> tuple[Delta | None, Delta | None]:
    """The event before and from a place in its text; None for a part of no text. A token stays with the first part."""
    if at >= len(event.text):
        return event, None
    if at <= 0:
        return None, event
    tokens = 0 if isinstance(event, TokenDelta) or event.tokens is not None else None
    return replace(event, text=event.text[:at]), ChunkDelta(event.text[at:], event.time_ns, tokens=tokens)
