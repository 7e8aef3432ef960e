"""What the files of a store hold, asked file by file. Nothing in the store is touched, no lease is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tttlab.store.archives import archive_folder, quoted
from tttlab.store.database import JSON_COLUMNS
from tttlab.store.layout import tables_sql
from tttlab.store.segments import KINDS, Kind, pattern


def open_files(
    folder: Path, archives: Sequence[str], segments: Mapping[Kind, Sequence[Path]]
) -> duckdb.DuckDBPyConnection:
    """A connection with the views `held_spans` and `held_tokens`: the rows of these files, each with its `file`'s name.

    Raises `duckdb.Error` where one of them cannot be read.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"CREATE SCHEMA nothing; USE nothing; {tables_sql()}; USE memory.main")
        for name in archives:
            connection.execute(f'ATTACH {quoted(archive_folder(folder) / name)} AS "{name}" (READ_ONLY)')
        for kind in KINDS:
            rows = [f"SELECT *, '' AS file FROM memory.nothing.stored_{kind}"]
            rows += [f'SELECT *, {quoted(name)} AS file FROM "{name}".stored_{kind}' for name in archives]
            if files := segments.get(kind):
                rows.append(_of_segments(kind, files))
            connection.execute(f"CREATE VIEW held_{kind} AS {' UNION ALL BY NAME '.join(rows)}")
    except BaseException:
        connection.close()
        raise
    return connection


def rows_in(path: Path) -> int | None:
    """How many rows a segment or an archive says that it has, even a damaged one; None where it cannot say now."""
    if not path.is_file():
        return None
    try:
        if path.suffix == ".parquet":
            return int(pq.read_metadata(path).num_rows)
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute(f"ATTACH {quoted(path)} AS archive (READ_ONLY)")
            counts = [connection.execute(f"SELECT count(*) FROM archive.stored_{kind}").fetchone() for kind in KINDS]
            return sum(int(count[0]) for count in counts if count)
    except (OSError, pa.ArrowException, duckdb.Error):
        return None


def _of_segments(kind: Kind, files: Sequence[Path]) -> str:
    typed = f" REPLACE ({', '.join(f'{name}::JSON AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    listed = ", ".join(quoted(pattern(path)) for path in files)
    return (
        f"SELECT * EXCLUDE (filename){typed}, parse_filename(filename) AS file "
        f"FROM read_parquet([{listed}], filename = true)"
    )
