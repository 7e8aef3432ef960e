"""The recorders of this process: one for each store, made when it is first needed."""

from __future__ import annotations

import atexit
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from tttlab.options import store_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from opentelemetry.sdk.trace import TracerProvider

    from tttlab.tracing.recorder import Recorder

_recorders: dict[Path, Recorder] = {}
_lock = Lock()


def recorder_for(folder: Path | None = None) -> Recorder:
    """The recorder of the store in `folder`; of the store that the options name unless given."""
    from tttlab.models.credentials import keep_file_secret
    from tttlab.store.journal import Journal
    from tttlab.tracing.recorder import Recorder

    where = (folder or store_folder()).absolute()
    with _lock:
        if where not in _recorders:
            keep_file_secret()
            _recorders[where] = Recorder(Journal(where))
        return _recorders[where]


def tracer_provider(folder: Path | None = None) -> TracerProvider:
    """The OpenTelemetry provider that records into the store: add a span processor to send spans elsewhere as well."""
    return recorder_for(folder).provider


def flush() -> None:
    """Write everything that was recorded so far, to be seen by any reader."""
    with _lock:
        recorders = list(_recorders.values())
    for recorder in recorders:
        recorder.journal.flush()


def close() -> None:
    """Write everything that was recorded so far and end the threads that do it; what is recorded next begins them anew.

    No run may be going on: what it records afterwards is lost.
    """
    with _lock:
        recorders = list(_recorders.values())
        _recorders.clear()
    for recorder in recorders:
        recorder.journal.close()


def connect(traces: str | Path | None = None) -> DuckDBPyConnection:
    """An ordinary DuckDB connection in which the store's views are defined: `runs`, `calls`, `tokens` and the others.

    The store's files are attached read-only. What other processes record appears by itself, within about a second.
    `traces` is the folder of traces; the one that the options name unless given. Raises `StoreError`.
    """
    from tttlab.store.database import connect as connect_store
    from tttlab.store.segments import SegmentWriter

    flush()
    default = store_folder()
    store = default if traces is None else Path(traces).expanduser().absolute() / "store"
    if store == default:
        with suppress(OSError):  # Made before anything is recorded, so that what is recorded later appears by itself.
            SegmentWriter(store).prepare()
    return connect_store(store)


def _forget() -> None:
    """In a forked child: what the parent recorded is the parent's to write, and its threads are not here."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it, and nobody here would give it back
    _lock = Lock()
    for recorder in _recorders.values():
        atexit.unregister(recorder.journal.close)
    _recorders.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
