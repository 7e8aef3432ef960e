"""The processes of the torture test: one that records, one that reads, one that compacts. Each may be killed any time.

What a recorder has acknowledged, and what a reader has seen, is written to files of their own, outside the store.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import count
from pathlib import Path
from random import Random

from duckdb import DuckDBPyConnection

from tttlab.errors import StoreError
from tttlab.events import TokenDelta
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.tracing.rows import SpanRow

with suppress(ImportError):
    # pyarrow imports it, where it is there, when it first writes: 0.3 s that each short life would lose.
    import_module("pandas")

SEEN = "SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens"  # One scan: what comes meanwhile is in both.
CALLS_AT_ONCE = 5
TOKENS = 40


def record(store: Path, acknowledged: Path, life: int, seed: int) -> None:
    """Record calls until `stop` is there. A line of `acknowledged` is a call's span and how many tokens it has.

    `life` is a number that no other recorder's life has.
    """
    rng, journal = Random(seed), Journal(store)
    numbers = count(1)
    with acknowledged.open("ab", buffering=0) as file:
        while not _stopped(store):
            lines = [
                _record_call(journal, life * 10**9 + next(numbers), rng) for _ in range(rng.randint(1, CALLS_AT_ONCE))
            ]
            journal.flush()
            if journal.trouble:
                raise StoreError(journal.trouble)
            file.write("".join(lines).encode())
            os.fsync(file.fileno())
            time.sleep(rng.random() * 0.3)
    journal.close()


def read(store: Path, promised: Path, seen: Path) -> None:
    """Count the tokens again and again, and write down each count beside what was acknowledged before it was asked for.

    One connection stays open; each count is also made over a new one. A line is: acknowledged, over the open one, over
    the new one; or what went wrong.
    """
    warnings.simplefilter("error")
    while not any(store.glob("segments/*/tokens/*.parquet")) and not _stopped(store):
        time.sleep(0.01)
    tally, kept = Tally(promised), None
    with seen.open("a", buffering=1, encoding="utf-8") as file:
        while not _stopped(store):
            try:
                kept = kept or connect(store)
                least = tally.tokens()
                file.write(f"{least} {_counted(kept)} {_counted(connect(store))}\n")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure of the store
                file.write(f"failed {error!r}\n".replace("\n", " ").rstrip() + "\n")
            time.sleep(0.05)


def _counted(connection: DuckDBPyConnection) -> int:
    found, distinct = connection.execute(SEEN).fetchone() or (0, 0)
    if found != distinct:
        raise StoreError(f"{found} rows are there for {distinct} tokens")
    return int(found)


def gather(store: Path) -> None:
    """Compact again and again; what is replaced goes as soon as no reader holds it."""
    while not _stopped(store):
        if store.is_dir():
            compact(store, kept_seconds=0)
        time.sleep(0.2)


class Tally:
    """How many tokens the recorders have acknowledged, read from their files as these grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._tokens = 0

    def tokens(self) -> int:
        """All that is acknowledged by now."""
        for path in self._folder.glob("*.acknowledged"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
                self._tokens += sum(int(line.split()[1]) for line in whole.splitlines())
        return self._tokens


def promises(folder: Path) -> Iterator[tuple[int, int]]:
    """Each acknowledged call: its span, and how many tokens it has. A line that a kill has cut promises nothing."""
    for path in sorted(folder.glob("*.acknowledged")):
        for line in path.read_bytes().rpartition(b"\n")[0].splitlines():
            span, tokens = line.split()
            yield int(span), int(tokens)


def _stopped(store: Path) -> bool:
    return (store.parent / "stop").exists()


def _record_call(journal: Journal, number: int, rng: Random) -> str:
    span_id, tokens = f"{number:016x}", rng.randint(1, TOKENS)
    journal.span(_row(span_id, ended=False))
    buffer = journal.token_buffer("torture", span_id)
    for position in range(tokens):
        buffer.record(position + 1, TokenDelta(f" w{position}", time.time_ns(), position, -0.5))
    buffer.close()
    journal.span(_row(span_id, ended=True))
    return f"{number} {tokens}\n"


def _row(span_id: str, *, ended: bool) -> SpanRow:
    now = time.time_ns()
    return SpanRow(
        trace_id=span_id * 2,
        span_id=span_id,
        parent_span_id=None,
        name="chat scripted",
        kind="CLIENT",
        start_ns=now,
        end_ns=now if ended else None,
        status_code="UNSET",
        status_message=None,
        attributes={"tttlab.run.id": "torture", "gen_ai.operation.name": "chat", "tttlab.call.status": "ok"},
        events=[],
        links=[],
        resource={"service.name": "tttlab"},
        scope_name="tttlab",
        scope_version="0",
        trace_state="",
        flags=1,
        dropped_attributes=0,
        dropped_events=0,
        dropped_links=0,
    )
