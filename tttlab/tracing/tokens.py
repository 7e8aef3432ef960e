"""The token buffer beside a span: one append a token while it streams, columns when it is written.

Tokens never become span events: those are an order of magnitude dearer, and limited to 128 a span by default.
"""

from __future__ import annotations

from collections.abc import Sequence

from tttlab.events import Delta
from tttlab.masking import settled


class TokenBuffer:
    """The deliveries of one call that are not yet written. Appended to by the run, drained by the journal."""

    __slots__ = ("_events", "_sequences", "closed", "run_id", "span_key", "taken")

    def __init__(self, run_id: str, span_id: str) -> None:
        self.run_id = run_id
        self.span_key = int(span_id, 16)
        self.taken = 0
        self.closed = False
        # Two lists, because a tuple for each token would be one more object for the garbage collector to walk.
        self._events: list[Delta] = []
        self._sequences: list[int] = []

    def record(self, sequence: int, event: Delta) -> None:
        """Keep a delivery. Runs once a token."""
        self._events.append(event)
        self._sequences.append(sequence)

    def close(self) -> None:
        """No more will come."""
        self.closed = True

    def take(self, secrets: Sequence[str] = ()) -> tuple[int, Sequence[int], Sequence[Delta]]:
        """What came since the last time: the position of the first delivery, the sequence numbers and the events.

        What may be the beginning of one of the `secrets` (longest first) stays for the next time. Called by one thread
        at a time, beside another that records.
        """
        count = len(self._sequences)  # Appended to last, so there are as many events at least.
        if secrets:
            count = settled([event.text for event in self._events[:count]], secrets)
        sequences, events = self._sequences[:count], self._events[:count]
        # Deleting a prefix is one step for other threads; swapping the list would lose an append that is under way.
        del self._sequences[:count], self._events[:count]
        first = self.taken
        self.taken += count
        return first, sequences, events


class NoTokens(TokenBuffer):
    """The buffer of a call whose span is not recorded: keeps nothing, since no row could say whose token it is."""

    __slots__ = ()

    def record(self, sequence: int, event: Delta) -> None:
        """Forget a delivery."""
