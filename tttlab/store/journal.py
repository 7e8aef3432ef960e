"""The journal of one process: takes spans and tokens without waiting, and writes them from a thread of its own."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tttlab.events import Delta
from tttlab.tracing.rows import SpanRow
from tttlab.tracing.tokens import TokenBuffer

if TYPE_CHECKING:
    import pyarrow as pa

    from tttlab.store.segments import Kind, SegmentWriter

_Drained = tuple[str, int, int, Sequence[int], Sequence[Delta]]

FLUSH_SECONDS = 0.5
"""How long a row waits at most before it is written."""
KEPT_BYTES = 256 * 2**20
"""How much is kept in memory while the store cannot be written to; beyond it the oldest is given up."""
SEGMENTS_BEFORE_COMPACTION = 200


class Journal:
    """Records into the store in `folder`. Spans and tokens may come from any thread.

    What cannot be written (a full disk, a read-only folder) is kept in memory, up to a bound, and tried again;
    `trouble` says so, and nothing is raised: a run does not fail because its record does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: str | None = None
        self._spans: list[SpanRow] = []
        self._buffers: dict[int, TokenBuffer] = {}
        self._unwritten: list[tuple[Kind, pa.Table]] = []
        self._given_up = 0
        self._written = 0
        self._writer: SegmentWriter | None = None
        self._flushing = threading.Lock()
        self._closed = threading.Event()
        self._compaction: threading.Thread | None = None
        self._thread = threading.Thread(target=self._keep_flushing, name="tttlab-journal", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def span(self, row: SpanRow) -> None:
        """Record a span that has started or ended."""
        self._spans.append(row)

    def token_buffer(self, run_id: str, span_id: str) -> TokenBuffer:
        """A buffer for the deliveries of one call."""
        buffer = TokenBuffer(run_id, span_id)
        self._buffers[id(buffer)] = buffer
        return buffer

    def flush(self) -> None:
        """Write everything that was recorded until now."""
        with self._flushing:
            self._unwritten += self._gathered()
            if self._unwritten:
                self._write()

    def close(self) -> None:
        """Write what is left and stop the threads. Harmless when done already."""
        self._closed.set()
        self.flush()
        if self._compaction is not None:
            # A thread that is inside DuckDB when the interpreter ends would abort it.
            self._compaction.join()
        atexit.unregister(self.close)

    def _keep_flushing(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self.flush()
            if self._written >= SEGMENTS_BEFORE_COMPACTION:
                self._written = 0
                self._start_compaction()

    def _start_compaction(self) -> None:
        if self._compaction is None or not self._compaction.is_alive():
            # In a thread of its own, since flushing must not wait for it.
            self._compaction = threading.Thread(target=self._compact, name="tttlab-compaction", daemon=True)
            self._compaction.start()

    def _compact(self) -> None:
        from tttlab.errors import StoreError
        from tttlab.store.compaction import compact

        try:
            compact(self.folder)
        except (StoreError, OSError) as error:
            self.trouble = f"the store in {self.folder} could not be compacted ({error}); its segments stay as they are"

    def _gathered(self) -> list[tuple[Kind, pa.Table]]:
        """What is to be written, tokens before spans: a call that is seen to have ended is seen with its tokens."""
        count = len(self._spans)
        drained: list[_Drained] = []
        for key, buffer in list(self._buffers.items()):
            if buffer.closed:  # Closed before it is drained: no delivery can come after.
                del self._buffers[key]
            first, sequences, events = buffer.take()
            if events:
                drained.append((buffer.run_id, buffer.span_key, first, sequences, events))
        rows = self._spans[:count]
        del self._spans[:count]
        return _as_tables(rows, drained) if rows or drained else []

    def _write(self) -> None:
        from tttlab.store.segments import SegmentWriter

        if self._writer is None:
            self._writer = SegmentWriter(self.folder)
        try:
            while self._unwritten:
                self._writer.write(*self._unwritten[0])
                del self._unwritten[0]
                self._written += 1
        except OSError as error:
            self._keep_within_bound()
            lost = f"; {self._given_up:,} rows were given up" if self._given_up else ""
            self.trouble = (
                f"the store in {self.folder} cannot be written to ({error.strerror or error}): "
                f"what is recorded waits in memory and is tried again{lost}"
            )
        else:
            self.trouble = None

    def _keep_within_bound(self) -> None:
        while sum(table.nbytes for _, table in self._unwritten) > KEPT_BYTES:
            self._given_up += self._unwritten.pop(0)[1].num_rows


def _as_tables(rows: list[SpanRow], drained: list[_Drained]) -> list[tuple[Kind, pa.Table]]:
    import pyarrow as pa

    from tttlab.store.columns import spans_table, tokens_table

    tables: list[tuple[Kind, pa.Table]] = []
    if drained:
        tables.append(("tokens", pa.concat_tables([tokens_table(*each) for each in drained])))
    if rows:
        tables.append(("spans", spans_table(rows)))
    return tables
