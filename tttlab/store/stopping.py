"""How a compaction is ended early from another thread, between its statements or within one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


class Stopped(Exception):
    """The work was stopped by who asked for it; nothing of it counts."""


class Stop:
    """Asks the work that it was given to, to stop. May be asked again: an interrupt between statements is lost."""

    def __init__(self) -> None:
        self._asked = False
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = Lock()

    def ask(self) -> None:
        """Stop soon."""
        self._asked = True
        with self._lock:  # It must not be closed meanwhile.
            if self._connection is not None:
                self._connection.interrupt()

    def check(self) -> None:
        """Raise `Stopped` if that was asked for."""
        if self._asked:
            raise Stopped

    @contextmanager
    def interrupting(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let the statements that run meanwhile be interrupted. Raises `Stopped` where they were."""
        import duckdb

        self.check()
        with self._lock:
            self._connection = connection
        try:
            yield
        except duckdb.InterruptException:
            self.check()
            raise
        finally:
            with self._lock:
                self._connection = None
        self.check()
