"""Questions to the store in SQL."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from tttlab.errors import QueryError, StoreError
from tttlab.store.database import mend


def query(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
) -> pa.Table:
    """The rows that a statement gives, as an Arrow table; of several statements, those of the last.

    A statement that gives none gives an empty table. `parameters` are bound to `$name` or `?`. A file of the store that
    was damaged since it was opened is set aside with a warning, and a single statement is asked again. Raises
    `QueryError` with DuckDB's message and the statement's place.
    """
    if not sql.strip():
        raise QueryError("there is no SQL statement: write one, such as SELECT * FROM runs")
    try:
        try:
            return _rows(connection, sql, parameters)
        except duckdb.Error as error:
            if not _may_be_of_a_file(error) or not _mended(connection, sql):
                raise
            return _rows(connection, sql, parameters)
    except duckdb.Error as error:
        raise QueryError(_said(error)) from error


def _may_be_of_a_file(error: duckdb.Error) -> bool:
    """Whether DuckDB raises this, among other things, for a damaged file; of a damaged archive it has no kind."""
    kinds = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException, duckdb.InternalException)
    return type(error) is duckdb.Error or isinstance(error, kinds)


def _mended(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether the statement can be asked once more: of several, the first may have done something already."""
    try:
        return mend(connection) and len(connection.extract_statements(sql)) == 1
    except (duckdb.Error, StoreError):
        return False


def _rows(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None
) -> pa.Table:
    open_result: Any = connection.execute(sql, parameters)
    if open_result.description is None:
        return pa.table({})
    # The first from DuckDB 2 on, the second before.
    fetch = getattr(open_result, "to_arrow_table", None) or open_result.fetch_arrow_table
    with warnings.catch_warnings():
        # `sql()` would save the copy that DuckDB 2 warns of, but its errors have lost their place.
        warnings.simplefilter("ignore", UserWarning)
        table: pa.Table = fetch()
        return table


def _said(error: duckdb.Error) -> str:
    """DuckDB's own message, which shows the line and the column, without the blank lines."""
    return re.sub(r"\n\s*\n", "\n", str(error)).strip()
