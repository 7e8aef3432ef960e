"""Which files of a store hold a text: in their bytes, or as DuckDB reads them."""

from __future__ import annotations

import duckdb

from tttlab.store.archives import quoted


def holding(folder, text):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and _holds(path, text))


def _holds(path, text):
    if text.encode() in path.read_bytes():
        return True
    if path.suffix not in (".parquet", ".duckdb"):
        return False
    with duckdb.connect() as connection:
        tables = [f"read_parquet({quoted(path)})"]
        if path.suffix == ".duckdb":
            connection.execute(f"ATTACH {quoted(path)} AS held (READ_ONLY)")
            names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'held'").fetchall()
            tables = [f"held.{name}" for (name,) in names]
        return any(
            connection.execute(f"SELECT count(*) FROM {table} AS t WHERE contains(t::VARCHAR, ?)", [text]).fetchone()[0]
            for table in tables
        )
