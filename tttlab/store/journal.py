"""The journal of one process: takes spans and tokens without waiting, and writes them from a thread of its own."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - pyarrow's first array imports it, too late when the interpreter ends
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tttlab.events import Delta
from tttlab.masking import known_secrets, masked
from tttlab.store.idle import SelfCompaction
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow
from tttlab.tracing.tokens import NoTokens, TokenBuffer

if TYPE_CHECKING:
    import pyarrow as pa

    from tttlab.store.segments import Kind, SegmentWriter

_Drained = tuple[str, int, int, Sequence[int], Sequence[Delta]]

FLUSH_SECONDS = 0.5
"""How long a row waits at most before it is written."""
KEPT_BYTES = 256 * 2**20
"""How much is kept in memory while the store cannot be written to; beyond it the oldest is given up."""


class Journal:
    """Records into the store in `folder`. Spans and tokens may come from any thread; its own alone writes them.

    What cannot be written (a full disk, a read-only folder) is kept in memory, up to a bound, and tried again; a row
    that no table takes is dropped. `trouble` says so, and nothing is raised: a run does not fail because its record
    does.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._spans: list[SpanRow] = []
        self._buffers: dict[int, TokenBuffer] = {}
        self._held: dict[str, tuple[list[SpanRow], dict[int, TokenBuffer]]] = {}
        self._unwritten: list[tuple[Kind, pa.Table]] = []
        self._blocked: str | None = None
        self._given_up = 0
        self._given_up_because = ""
        self._dropped = 0
        self._dropped_because = ""
        self._written = 0
        self._writer: SegmentWriter | None = None
        # A queue in C and locks that are used once: an interrupt of who asks can leave neither of them held.
        self._asked: SimpleQueue[threading.Lock] = SimpleQueue()
        self._closing = False
        self._compaction = SelfCompaction(folder, clock)
        self._thread = threading.Thread(target=self._keep_flushing, name="tttlab-journal", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def trouble(self) -> str | None:
        """What keeps the record from being whole, in words for the user; None if nothing does."""
        said = []
        if self._blocked:
            said.append(
                f"the store in {self.folder} cannot be written to ({self._blocked}): "
                "what is recorded waits in memory and is tried again"
            )
        if self._given_up:
            said.append(
                f"{_rows_were(self._given_up)} given up, because the store in {self.folder} could not be written to "
                f"({self._given_up_because})"
            )
        if self._dropped:
            said.append(
                f"{_rows_were(self._dropped)} left out of the store in {self.folder} that it cannot hold "
                f"({self._dropped_because})"
            )
        if self._compaction.trouble:
            said.append(f"{self._compaction.trouble}; its segments stay as they are")
        return "; ".join(said) or None

    @property
    def waiting(self) -> bool:
        """Whether rows wait in memory because the store could not be written to the last time."""
        return self._blocked is not None

    def span(self, row: SpanRow) -> None:
        """Record a span that has started or ended."""
        held = self._held.get(str(row.attributes.get(names.RUN_ID))) if self._held else None
        (self._spans if held is None else held[0]).append(row)

    def token_buffer(self, run_id: str, span_id: str) -> TokenBuffer:
        """A buffer for the deliveries of one call; one that keeps nothing if the call's span is not recorded."""
        if int(span_id, 16) == 0:
            return NoTokens(run_id, span_id)
        buffer = TokenBuffer(run_id, span_id)
        held = self._held.get(run_id)
        (self._buffers if held is None else held[1])[id(buffer)] = buffer
        return buffer

    def hold(self, run_id: str) -> None:
        """Keep what is recorded of a run in memory until it is known whether it is a run of its own."""
        self._held[run_id] = ([], {})

    def release(self, run_id: str) -> None:
        """It is: record what was held, and what follows at once. Harmless for a run that is not held."""
        rows, buffers = self._held.pop(run_id, ([], {}))
        self._buffers.update(buffers)
        self._spans += rows

    def drop(self, run_id: str) -> None:
        """It is not: forget what was held."""
        self._held.pop(run_id, None)

    def flush(self) -> None:
        """Wait until everything that was recorded until now is written, or cannot be. An interrupt ends the waiting."""
        done = threading.Lock()
        done.acquire()
        self._asked.put(done)
        # In a forked child, and after `close`, there is no thread that would answer.
        while self._thread.is_alive() and not done.acquire(timeout=0.1):
            pass

    def close(self) -> None:
        """Write what is left, stop the threads, and say on stderr what is lost. Harmless when done already."""
        self._closing = True
        self.flush()
        self._compaction.close()
        atexit.unregister(self.close)
        self._say_what_is_lost()

    def _say_what_is_lost(self) -> None:
        # On stderr, because a warning is not shown any more when the interpreter ends.
        while self._unwritten:
            self._give_up_oldest()
        self._blocked = None
        if self.trouble:
            sys.stderr.write(f"tttlab: {self.trouble}\n")
        self._given_up, self._dropped, self._compaction.trouble = 0, 0, None

    def _keep_flushing(self) -> None:
        last = False
        while not last:
            waiting = self._requests()
            last = self._closing  # Read before the work is done: what was recorded before `close` is written.
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - a thread that died would leave everyone waiting
                self._drop(0, "", error)
            for done in waiting:
                done.release()

    def _requests(self) -> list[threading.Lock]:
        try:
            first = self._asked.get(timeout=FLUSH_SECONDS)
        except Empty:
            return []
        return [first, *(self._asked.get() for _ in range(self._asked.qsize()))]

    def _turn(self) -> None:
        self._unwritten += self._gathered()
        if self._unwritten:
            self._write()
        if not self._closing:
            written, self._written = self._written, 0
            self._compaction.turn(written, busy=bool(self._buffers or self._held or self._unwritten))

    def _gathered(self) -> list[tuple[Kind, pa.Table]]:
        """What is to be written, tokens before spans: a call that is seen to have ended is seen with its tokens."""
        # What may be the beginning of a credential waits for the rest of it, while there is a next time.
        count, secrets = len(self._spans), () if self._closing else known_secrets()
        drained: list[_Drained] = []
        for key, buffer in list(self._buffers.items()):
            closed = buffer.closed
            if closed:  # Closed before it is drained: no delivery can come after.
                del self._buffers[key]
            first, sequences, events = buffer.take(() if closed else secrets)
            if events:
                drained.append((buffer.run_id, buffer.span_key, first, sequences, events))
        rows = self._spans[:count]
        del self._spans[:count]
        tables: list[tuple[Kind, pa.Table]] = []
        if drained:
            tables += self._tokens(drained)
        if rows:
            tables += self._rows(rows)
        return tables

    def _tokens(self, drained: Sequence[_Drained]) -> list[tuple[Kind, pa.Table]]:
        import pyarrow as pa

        from tttlab.store.hiding import tokens_without_secrets

        tables = []
        for each in drained:
            try:
                tables.append(tokens_without_secrets(*each))
            except Exception as error:  # noqa: BLE001 - a model may stream anything: the other calls are recorded
                self._drop(len(each[3]), f"tokens of a call in run {each[0]}", error)
        return [("tokens", pa.concat_tables(tables))] if tables else []

    def _rows(self, rows: Sequence[SpanRow]) -> list[tuple[Kind, pa.Table]]:
        import pyarrow as pa

        from tttlab.store.hiding import spans_without_secrets

        try:
            return [("spans", spans_without_secrets(rows))]
        except Exception as error:  # noqa: BLE001 - another library's span may hold anything: the others are recorded
            if len(rows) == 1:
                self._drop(1, f"span {rows[0].name!r:.80}", error)
                return []
        tables = [table for row in rows for _, table in self._rows([row])]
        return [("spans", pa.concat_tables(tables))] if tables else []

    def _write(self) -> None:
        from tttlab.store.segments import SegmentWriter

        if self._writer is None:
            self._writer = SegmentWriter(self.folder)
        while self._unwritten:
            kind, table = self._unwritten[0]
            try:
                self._writer.write(kind, table)
            except OSError as error:
                self._blocked = error.strerror or str(error)
                self._keep_within_bound()
                return
            except Exception as error:  # noqa: BLE001 - it would fail at every turn, and hold up all that follow
                self._drop(table.num_rows, kind, error)
            else:
                self._written += 1
            del self._unwritten[0]
        self._blocked = None

    def _keep_within_bound(self) -> None:
        while sum(table.nbytes for _, table in self._unwritten) > KEPT_BYTES:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        self._given_up += self._unwritten.pop(0)[1].num_rows
        self._given_up_because = self._blocked or "its process ended"

    def _drop(self, rows: int, what: str, error: Exception) -> None:
        self._dropped += max(rows, 1)
        self._dropped_because = f"{what}: {type(error).__name__}: {masked(str(error))[:200]}".removeprefix(": ")


def _rows_were(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"
