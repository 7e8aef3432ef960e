"""Asking the store in SQL from a cell: a connection that is kept, `$name` from variables, rows as a data frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from tttlab.errors import OptionError, nearest
from tttlab.notebook.table import SHOWN_ROWS, table_bundle
from tttlab.notebook.variables import variables
from tttlab.options import store_folder
from tttlab.portal import POLL_SECONDS
from tttlab.recording import connect, flush
from tttlab.run import Run
from tttlab.store.layout import views_sql
from tttlab.store.queries import query

if TYPE_CHECKING:
    from types import ModuleType

_VIEW = re.compile(r"--\s*(?P<what>.+)\s*\nCREATE VIEW (?P<name>\w+)")


@dataclass(slots=True)
class KeptConnection:
    """One connection to the store, kept as long as the options name the same store."""

    _folder: Path | None = None
    _connection: duckdb.DuckDBPyConnection | None = None

    def get(self) -> duckdb.DuckDBPyConnection:
        """The connection, which sees all that this process recorded until now. Raises `StoreError`."""
        folder = store_folder()
        if self._connection is not None and self._folder == folder:
            flush()
            return self._connection
        self.close()
        self._folder, self._connection = folder, connect()
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one, so that the store can give up files held for it."""
        if self._connection is not None:
            self._connection.close()
        self._folder = self._connection = None


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave. Shows itself as a table; `pandas`, `polars` and `pyarrow` take it as it is."""

    table: pa.Table
    shown: int = field(default=SHOWN_ROWS, repr=False)
    note: str = field(default="", repr=False)
    """What is said below the rows."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return table_bundle(self.table, self.shown, self.note)["text/plain"]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return table_bundle(self.table, self.shown, self.note)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def ask(connection: duckdb.DuckDBPyConnection, sql: str, namespace: Mapping[str, Any]) -> pa.Table:
    """The rows that SQL gives; each `$name` in it is bound to the variable of that name, and a run to its id.

    Raises `QueryError`, and `OptionError` where there is no such variable. An interrupt stops the query.
    """
    answer: Future[pa.Table] = Future()

    def work() -> None:
        if answer.set_running_or_notify_cancel():
            try:
                answer.set_result(_answer(connection, sql, namespace))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
                answer.set_exception(error)

    try:
        # In a thread, since DuckDB does not hear an interrupt while it works.
        Thread(target=work, name="tttlab-query", daemon=True).start()
        while not answer.done():
            wait([answer], timeout=POLL_SECONDS)
        return answer.result()
    except KeyboardInterrupt:
        while not (answer.cancel() or answer.done()):  # Again, since DuckDB hears one only while a query runs.
            connection.interrupt()
            wait([answer], timeout=POLL_SECONDS)
        raise KeyboardInterrupt("the query was stopped") from None


def _answer(connection: duckdb.DuckDBPyConnection, sql: str, namespace: Mapping[str, Any]) -> pa.Table:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error:
        return query(connection, sql)  # It fails again, and says where.
    if not any(statement.named_parameters for statement in statements):
        return query(connection, sql)
    if len(statements) == 1:
        return query(connection, sql, _bound(statements[0].named_parameters, namespace))
    answer = pa.table({})
    for statement in statements:
        answer = query(connection, statement.query, _bound(statement.named_parameters, namespace))
    return answer


def _bound(parameters: set[str], namespace: Mapping[str, Any]) -> dict[str, Any] | None:
    for name in sorted(parameters):
        if name.isdecimal():
            raise OptionError("`?` and `$1` are bound to nothing here: write $name, the name of a variable")
        if name not in namespace:
            close = nearest(name, variables(namespace))
            hint = close if "did you mean" in close else ": set it in a cell before"
            raise OptionError(f"the statement asks for ${name}, and there is no variable {name}{hint}")
    values = {name: namespace[name] for name in parameters}
    return {name: value.id if isinstance(value, Run) else value for name, value in values.items()} or None


def why_empty(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> str:
    """That no run is recorded in the store yet, and which store that is; empty where rows were found or runs are."""
    if table.num_rows or not table.num_columns or query(connection, "SELECT 1 FROM runs LIMIT 1").num_rows:
        return ""
    return f"no run is recorded yet in {store_folder()} (TTTLAB_TRACES or tttlab.configure(traces=...) name another)"


def views() -> pa.Table:
    """The store's views, each with what a row of it is."""
    found = [match for text in views_sql() if (match := _VIEW.search(text))]
    public = [match for match in found if not match["what"].startswith("Internal")]
    return pa.table({"view": [match["name"] for match in public], "what it holds": [match["what"] for match in public]})


DATA_FRAMES = ("pandas", "polars", "arrow")


def as_data_frame(table: pa.Table, kind: str | None = None) -> Any:
    """The table as a data frame of that kind; of the first that is installed unless given. Raises `OptionError`."""
    chosen = kind or next(name for name in DATA_FRAMES if name == "arrow" or find_spec(name))
    if chosen == "arrow":
        return table
    if find_spec(chosen) is None:
        raise OptionError(f"{chosen} is not installed: pip install {chosen}, or ask for --as arrow")
    if chosen == "pandas":
        return table.to_pandas()
    polars: ModuleType = __import__("polars")
    return polars.from_arrow(table)
