"""Rows of whatever holds problems: a file, a query, a table or a list, each row with its place for messages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tttlab.errors import OptionError, nearest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

Row = Mapping[str, Any]
_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_TABLES = {
    # All as text: a reference of 007 or 1.50 would not be the same as a number.
    ".csv": """read_csv(?, all_varchar = true, header = true, delim = ',', quote = '"', escape = '"')""",
    ".tsv": """read_csv(?, all_varchar = true, header = true, delim = '\t', quote = '"', escape = '"')""",
    ".parquet": "read_parquet(?)",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows from one source. `unit` is what the source calls a row: a line of a file of lines, a sample, else a row."""

    name: str
    rows: tuple[Row, ...]
    places: tuple[int, ...]
    """The number of each, from 1."""
    unit: str = "row"
    called: str = "task"
    """A name for a task that is made of them."""

    def place(self, index: int) -> str:
        """Where a row is, as a message says it: `line 17 of problems.jsonl`."""
        return f"{self.unit} {self.places[index]:,} of {self.name}"

    @property
    def columns(self) -> list[str]:
        """All names that any row has."""
        return list(dict.fromkeys(str(name) for row in self.rows for name in row))

    def have(self, name: str) -> bool:
        """Whether any row has it: that some lack it is told of each where it is read."""
        return any(name in row for row in self.rows)


def rows_of(source: Any) -> Rows:
    """The rows of a file, a DuckDB relation or executed query, a data frame, an Arrow table, or a list of mappings.

    Files are JSONL, JSON, CSV, TSV or Parquet, by their names; data frames are pandas' or polars'.

    Raises `OptionError` for what is none of these or cannot be read, with the line where it is one.
    """
    if isinstance(source, Rows):
        return source
    if isinstance(source, str | Path):
        found = _rows_of_file(Path(source).expanduser())
        return replace(found, called=found.name.partition(".")[0])
    held = _held(source)
    if held is None:
        raise OptionError(
            f"{type(source).__name__} holds no problems: give a file, a query, a data frame or a list of dicts"
        )
    return _numbered(*held)


def _held(source: Any) -> tuple[str, Iterable[Any]] | None:
    """What a source in memory is called, and its rows."""
    library = type(source).__module__.partition(".")[0]
    if library in ("duckdb", "_duckdb"):
        return "the query", _queried(source)
    if library == "pandas":
        # Whatever a missing value is called there, it is None here; and a whole number stays one.
        frame = source.astype(object).where(source.notna(), None)
        columns = [str(column) for column in frame.columns]
        return "the data frame", (dict(zip(columns, row, strict=True)) for row in frame.to_numpy())
    if library == "polars":
        return "the data frame", (source.collect() if hasattr(source, "collect") else source).to_dicts()
    if library == "pyarrow" and hasattr(source, "to_pylist"):
        return "the table", source.to_pylist()
    return ("the list", source) if isinstance(source, Iterable) else None


def _numbered(name: str, found: Iterable[Any]) -> Rows:
    rows = tuple(found)
    for place, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise OptionError(f"row {place:,} of {name} is {type(row).__name__} {row!r:.60}, and must be a mapping")
    return Rows(name, rows, tuple(range(1, len(rows) + 1)))


def _queried(source: DuckDBPyRelation | DuckDBPyConnection) -> Iterator[Row]:
    columns = [column[0] for column in source.description or ()]
    if not columns:
        raise OptionError("this connection has no result to read: give connection.sql('SELECT ...')")
    return (dict(zip(columns, row, strict=True)) for row in source.fetchall())


def _rows_of_file(path: Path) -> Rows:
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind.lower() not in _KINDS:
        raise OptionError(f"{path.name} is of no kind that holds problems{nearest(kind or path.name, _KINDS)}")
    if not path.is_file():
        there = [each.name for each in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise OptionError(f"there is no file {path}{nearest(path.name, there) if there else ''}")
    kind = kind.lower()
    if kind in _TABLES:
        return _read_table(path, _TABLES[kind])
    try:
        return _read_array(path) if kind == ".json" else _read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path.name} cannot be read: {error}") from error


def _read_table(path: Path, reader: str) -> Rows:
    import duckdb

    try:
        with duckdb.connect() as connection:
            found = list(_queried(connection.execute(f"SELECT * FROM {reader}", [str(path)])))  # noqa: S608 - a constant
    except duckdb.Error as error:
        raise OptionError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    return _numbered(path.name, found)


def _read_lines(path: Path) -> Rows:
    rows, places = [], []
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise OptionError(f"line {number:,} of {path.name} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise OptionError(f"line {number:,} of {path.name} is no JSON object, but {row!r:.60}")
            rows.append(row)
            places.append(number)
    return Rows(path.name, tuple(rows), tuple(places), "line")


def _read_array(path: Path) -> Rows:
    with _opened(path) as file:
        try:
            found = json.load(file)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise OptionError(f"{path.name} holds one {type(found).__name__}, and must hold an array of objects")
    return _numbered(path.name, found)


def _opened(path: Path) -> IO[str]:
    # A file from Windows may begin with a mark of its byte order.
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
