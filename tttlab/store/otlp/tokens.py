"""A call's deliveries as one attribute of its span: columns in JSON, from which they can be recorded again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from tttlab.events import ChunkDelta, Delta, TokenDelta

TOKENS = "tttlab.tokens"
"""The attribute."""
_RUNS = ("granularity", "channel", "merged")
"""Columns that rarely change from one delivery to the next, written as [value, how many]."""
_SEQUENCES = range(2**63)
_EACH = ("text", "logprob", "token_id", "sequence", "chunk_tokens")


class Delivery(NamedTuple):
    """A row of the view `tokens`, without the alternatives."""

    position: int
    sequence: int
    channel: str | None
    text: str
    token_id: int | None
    logprob: float | None
    time_ns: int
    granularity: str
    merged: bool | None
    chunk_tokens: int | None


def as_attribute(deliveries: Sequence[Delivery]) -> str:
    """The deliveries of one call, in the order of their positions, as JSON.

    A column in which nothing is known is left out. Times are nanoseconds after `start_ns`, which is text, since readers
    of JSON in other languages would round it.
    """
    start = min((delivery.time_ns for delivery in deliveries), default=0)
    said: dict[str, Any] = {"start_ns": str(start)}
    said["offset_ns"] = [delivery.time_ns - start for delivery in deliveries]
    for name in _RUNS:
        column = [getattr(delivery, name) for delivery in deliveries]
        said[name] = [[value, len(list(same))] for value, same in groupby(column)]
    for name in _EACH:
        column = [getattr(delivery, name) for delivery in deliveries]
        if any(value is not None for value in column):
            said[name] = column
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def from_attribute(text: Any) -> list[tuple[int, Delta]] | None:
    """The deliveries with their sequence numbers; None for what is no such attribute."""
    try:
        said = json.loads(text)
        start, count = int(said["start_ns"]), len(said["offset_ns"])
        columns = {name: _unrolled(said[name], count) for name in _RUNS}
        columns |= {name: said.get(name) or [None] * count for name in _EACH}
        columns["offset"] = said["offset_ns"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [(_sequence(row["sequence"]), _delta(row, start)) for row in rows]
    except (TypeError, ValueError, KeyError, RecursionError, MemoryError, OverflowError):
        return None


def _delta(row: dict[str, Any], start: int) -> Delta:
    time_ns = start + int(row["offset"])
    if row["granularity"] == "chunk":
        return ChunkDelta(str(row["text"]), time_ns, row["channel"], row["chunk_tokens"])
    return TokenDelta(
        str(row["text"]),
        time_ns,
        row["token_id"],
        row["logprob"],
        channel=row["channel"],
        merged=bool(row["merged"]),
    )


def _sequence(value: Any) -> int:
    number = int(value or 0)
    if number not in _SEQUENCES:
        raise ValueError("a delivery has a number of 64 bits")
    return number


def _unrolled(runs: Any, wanted: int) -> list[Any]:
    counts = [count for _, count in runs]
    if min(counts, default=0) < 0 or sum(counts) != wanted:
        raise ValueError("a column of another length")
    return [value for value, count in runs for _ in range(count)]
