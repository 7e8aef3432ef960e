"""Asking a lake: the views of a store, over the segments of all machines."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from tttlab.errors import QueryError
from tttlab.store.database import JSON_COLUMNS
from tttlab.store.lake.catalogue import said_plainly
from tttlab.store.lake.extensions import connection_with_extensions
from tttlab.store.lake.secrecy import masked, plain
from tttlab.store.lake.tables import checked_folder, open_to_read
from tttlab.store.layout import filled_sql, tables_sql, views_sql
from tttlab.store.queries import query
from tttlab.store.segments import KINDS


def connect_lake(catalogue: str, data: str | Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection with the views of `tttlab.connect()`, over what all machines have registered in this catalogue.

    What is registered while it is open appears by itself. The lake is attached read-only, as `lake`; its table
    `registered` says what came from where. `data` is the folder of its files where this machine sees it elsewhere than
    the one that made it. Raises `OptionError` and `StoreError`.
    """
    folder = checked_folder(data)
    connection = connection_with_extensions()
    try:
        with said_plainly(catalogue, f"the lake in {masked(catalogue)} cannot be read"):
            open_to_read(connection, catalogue, folder)
            connection.execute(f"CREATE SCHEMA nothing; USE nothing; {tables_sql()}; USE memory.main")
            for kind in KINDS:
                connection.execute(_rows_sql(kind))
            for statement in views_sql():
                connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def ask(catalogue: str, statement: str, data: str | Path | None = None) -> pa.Table:
    """The rows that a statement gives. Raises as `connect_lake` does, and `QueryError`, without a password."""
    with connect_lake(catalogue, data) as lake:
        try:
            return query(lake, statement)
        except QueryError as error:
            raise QueryError(plain(str(error), catalogue)) from None


def _rows_sql(kind: str) -> str:
    typed = f" REPLACE ({', '.join(f'{name}::JSON AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    # An empty table first: it has all columns of the newest version, which an earlier lake and segments have not.
    return (
        f"CREATE VIEW memory.main.stored_{kind} AS SELECT {filled_sql(kind)} FROM ("
        f"SELECT * FROM memory.nothing.stored_{kind} UNION ALL BY NAME SELECT *{typed} FROM lake.stored_{kind})"
    )
