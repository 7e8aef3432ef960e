"""The tables of a lake, the folder where its files lie, and whether both are what this tttlab takes them for."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from pathlib import Path

import duckdb

from tttlab.errors import OptionError, StoreError
from tttlab.store.archives import STEPS_SQL, quoted
from tttlab.store.building import take
from tttlab.store.lake.catalogue import METADATA, SCHEMA, attach_lake, no_lake, transaction
from tttlab.store.lake.secrecy import masked
from tttlab.store.layout import Step, steps
from tttlab.store.segments import Kind

_REGISTERED_SQL = (
    "CREATE TABLE registered (name VARCHAR, kind VARCHAR, row_count BIGINT, machine VARCHAR, store VARCHAR, "
    "added TIMESTAMP)"
)
_ONCE_SQL = f"CREATE UNIQUE INDEX IF NOT EXISTS tttlab_once ON {SCHEMA}.ducklake_data_file (table_id, path)"
"""DuckLake itself would take the same file twice."""
_UNKNOWN_BOUNDS_SQL = (
    f"UPDATE {SCHEMA}.ducklake_table_column_stats SET min_value = NULL, max_value = NULL, contains_null = NULL "
    "WHERE min_value IS NOT NULL OR max_value IS NOT NULL OR contains_null IS NOT NULL"
)
"""DuckLake takes the bounds of rows that a step has filled for those of all, and gives wrong values of the others."""


def checked_folder(data: str | Path | None) -> Path | None:
    """The folder of a lake's files as a path. Raises `OptionError` for an address of object storage."""
    if data is None:
        return None
    if "://" in str(data):
        raise OptionError(f"a lake's files lie in a folder that every machine sees, not in object storage ({data})")
    try:
        folder = Path(data).expanduser().absolute()
        folder.as_posix().encode()
    except (RuntimeError, UnicodeError) as error:  # A home of nobody, or bytes that are no text.
        raise OptionError(f"{str(data)!r} is no folder for a lake: {error}") from None
    return folder


def open_to_change(connection: duckdb.DuckDBPyConnection, catalogue: str, data: Path | None) -> Path:
    """Attach the lake and bring its tables to the newest version, or make it; returns the folder of its files.

    Only by who is `alone`. Whoever is killed in it leaves what the next one goes on with. Raises `OptionError` for a
    lake that is not there yet if `data` does not say where, `StoreError` for one of a newer tttlab and where its
    files are not in that folder, and `duckdb.Error`.
    """
    attach_lake(connection, catalogue, data, create=data is not None)
    folder = folder_of(connection, data)
    if not _has_tables(connection):
        # The mark comes first: a lake without one is taken for a folder that is not mounted.
        name = secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)
        _mark(folder, name).write_text("The files of a tttlab lake; its catalogue is in PostgreSQL.\n", "utf-8")
        # Who began to make this lake may have named a folder that could not be made.
        _tell_catalogue(
            connection,
            f"UPDATE {SCHEMA}.ducklake_metadata SET value = {quoted(f'{folder.as_posix()}/')} WHERE key = 'data_path'",
        )
        with transaction(connection):
            connection.execute(f"USE lake; {STEPS_SQL}; {_REGISTERED_SQL}; CREATE TABLE lake_name (name VARCHAR)")
            connection.execute("INSERT INTO lake_name VALUES (?)", [name])
    version = _checked_version(connection, catalogue, folder)
    connection.execute("USE lake")
    for step in steps():
        if step.number > version:
            take(connection, _with_text(step))
    connection.execute("USE memory")
    for statement in (_ONCE_SQL, _UNKNOWN_BOUNDS_SQL):
        _tell_catalogue(connection, statement)
    return folder


def _tell_catalogue(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    connection.execute("CALL postgres_execute('catalogue', ?)", [statement])


def open_to_read(connection: duckdb.DuckDBPyConnection, catalogue: str, data: Path | None) -> None:
    """Attach the lake read-only. Raises `OptionError`, `StoreError` and `duckdb.Error` as `open_to_change` does."""
    attach_lake(connection, catalogue, data, read_only=True)
    if not _checked_version(connection, catalogue, folder_of(connection, data)):
        raise no_lake(catalogue)


def _checked_version(connection: duckdb.DuckDBPyConnection, catalogue: str, folder: Path) -> int:
    """The version of the lake's schema, 0 while it is being made."""
    if not _has_tables(connection):
        raise no_lake(catalogue)
    found = connection.execute(
        "SELECT (SELECT name FROM lake.lake_name), (SELECT coalesce(max(number), 0) FROM lake.schema_steps)"
    ).fetchone()
    name, version = found or ("", 0)
    if version > steps()[-1].number:
        raise StoreError(
            f"the lake in {masked(catalogue)} was written by a newer tttlab (schema {version}, this one reads up to "
            f"{steps()[-1].number}): upgrade tttlab"
        )
    if not _mark(folder, name).is_file():
        raise StoreError(
            f"{folder} does not hold the files of the lake in {masked(catalogue)}: mount the folder that the other "
            "machines use, or say with --data where it is here"
        )
    return int(version)


def folder_of(connection: duckdb.DuckDBPyConnection, data: Path | None) -> Path:
    """Where the attached lake's files lie: `data` if given, else where they lay when it was made."""
    if data is not None:
        return data
    found = connection.execute(f"SELECT value FROM {METADATA}.ducklake_metadata WHERE key = 'data_path'").fetchone()
    folder = checked_folder(found[0] if found else "")
    assert folder is not None  # noqa: S101 - it is only None for None
    return folder


def table_folder(folder: Path, kind: Kind) -> Path:
    """Where the files of a table lie: there, and only there, DuckLake knows them by names without the folder."""
    return folder / "main" / f"stored_{kind}"


def _has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'lake_name'"
    ).fetchone()
    return bool(found and found[0])


def _mark(folder: Path, name: str) -> Path:
    return folder / f"lake-{name}.txt"


def _with_text(step: Step) -> Step:
    """Parquet has no JSON, and DuckLake takes no file whose columns have other types than the table's."""
    return replace(step, sql=re.sub(r"\bJSON\b", "VARCHAR", step.sql))
