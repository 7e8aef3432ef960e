"""Merging the many small files of a lake into larger ones, which makes its questions quick again."""

from __future__ import annotations

from pathlib import Path

from tttlab.store.lake.catalogue import alone, said_plainly
from tttlab.store.lake.extensions import connection_with_extensions
from tttlab.store.lake.registering import WAIT_SECONDS
from tttlab.store.lake.secrecy import masked
from tttlab.store.lake.tables import checked_folder, open_to_change

KEPT = "1 day"
"""How long a file that was merged into another stays, for who reads it."""


def merge(catalogue: str, data: str | Path | None = None, *, kept: str = KEPT) -> int:
    """Merge the files of a lake, and remove those that were merged more than `kept` (an SQL interval) ago.

    Returns how many files were merged. Raises `OptionError` and `StoreError`; nothing is lost then.
    """
    folder = checked_folder(data)
    connection = connection_with_extensions()
    try:
        with (
            said_plainly(catalogue, f"the files of the lake in {masked(catalogue)} could not be merged"),
            alone(connection, catalogue, WAIT_SECONDS),
        ):
            open_to_change(connection, catalogue, folder)
            merged = connection.execute("CALL ducklake_merge_adjacent_files('lake')").fetchall()
            connection.execute(f"CALL ducklake_cleanup_old_files('lake', older_than => now() - INTERVAL '{kept}')")
            return sum(int(row[2]) for row in merged)
    finally:
        connection.close()
