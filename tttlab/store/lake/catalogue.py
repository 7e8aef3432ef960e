"""The catalogue of a lake: a schema of its own in a PostgreSQL database, which knows every file of the lake."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from tttlab.errors import OptionError, StoreError
from tttlab.store.archives import quoted
from tttlab.store.lake.secrecy import LONGEST, masked, plain

SCHEMA = "tttlab"
"""In PostgreSQL: what else the database holds is left alone."""
METADATA = f"__ducklake_metadata_lake.{SCHEMA}"
INLINED_ROWS = 100_000
"""Up to so many rows that are inserted, which are notes of what was registered, stay in PostgreSQL itself."""
LOCK_KEY = int.from_bytes(b"tttlab", "big")
POLL_SECONDS = 0.1


def attach_lake(
    connection: duckdb.DuckDBPyConnection,
    catalogue: str,
    data: Path | None,
    *,
    create: bool = False,
    read_only: bool = False,
) -> None:
    """Attach the lake as `lake`. Raises `OptionError` if there is none and it is not to be made, and `duckdb.Error`."""
    options = [f"METADATA_SCHEMA '{SCHEMA}'", f"DATA_INLINING_ROW_LIMIT {INLINED_ROWS}"]
    options += [] if create else ["CREATE_IF_NOT_EXISTS false"]
    options += ["READ_ONLY"] if read_only else []
    if data is not None:  # It may be mounted elsewhere here than where the lake was made.
        options += [f"DATA_PATH {quoted(f'{data.as_posix()}/')}", "OVERRIDE_DATA_PATH true"]
    try:
        connection.execute(f"ATTACH {quoted(f'ducklake:postgres:{catalogue}')} AS lake ({', '.join(options)})")
    except duckdb.InvalidInputException as error:
        if "does not exist" not in str(error):
            raise
        raise no_lake(catalogue) from None  # DuckDB's own message holds the password.


def no_lake(catalogue: str) -> OptionError:
    """The error that there is no lake."""
    return OptionError(
        f"there is no lake in {masked(catalogue)}: the first `tttlab lake register` makes it, with --data FOLDER, "
        "a folder that every machine sees"
    )


@contextmanager
def alone(connection: duckdb.DuckDBPyConnection, catalogue: str, wait: float) -> Iterator[None]:
    """Be the only one that changes the lake, from any machine; PostgreSQL ends it if this process dies.

    Raises `StoreError` if another is at it for longer than `wait` seconds, and `duckdb.Error`.
    """
    connection.execute(f"ATTACH IF NOT EXISTS {quoted(catalogue)} AS catalogue (TYPE postgres)")
    holder = connection.cursor()
    # The lock is the transaction's, and so is the connection to PostgreSQL.
    holder.execute("BEGIN")
    try:
        until = time.monotonic() + wait
        while not _locked(holder):
            if time.monotonic() > until:
                raise StoreError(
                    f"the lake in {masked(catalogue)} was being changed from elsewhere for {wait:g} s: try again"
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        with suppress(duckdb.Error):
            holder.execute("ROLLBACK")
        holder.close()


def _locked(holder: duckdb.DuckDBPyConnection) -> bool:
    asked = f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})"
    found = holder.execute(f"FROM postgres_query('catalogue', {quoted(asked)})").fetchone()
    return bool(found and found[0])


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def said_plainly(catalogue: str, what: str) -> Iterator[None]:
    """Raise DuckDB's and the disk's errors as `StoreError`, in one line and without a password."""
    try:
        yield
    except (duckdb.Error, OSError, UnicodeError) as error:
        # From None: DuckDB's own message holds the catalogue's address as it was given.
        raise StoreError(f"{what}: {_line(error, catalogue)}") from None


def _line(error: Exception, catalogue: str) -> str:
    lines = [line.strip() for line in plain(str(error), catalogue).splitlines()]
    # PostgreSQL's own word, where there is one, stands behind the statement that it is about.
    found = next((line[line.index("ERROR:") :] for line in lines if "ERROR:" in line), lines[0] if lines else "")
    return found[:LONGEST]
