"""The store as a DuckDB database: an ordinary connection with the archives attached and the views defined."""

from __future__ import annotations

import warnings
import weakref
from pathlib import Path

import duckdb

from tttlab.store.layout import tables_sql, views_sql
from tttlab.store.manifest import Lease, Manifest, read_manifest
from tttlab.store.segments import KINDS, SEED, Kind, is_whole, pattern, segment_folder, segments

JSON_COLUMNS = ("attributes", "events", "links", "resource")
"""Parquet knows them as text."""

_known_whole: set[Path] = set()


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection that sees the whole store and, by itself, what is recorded while it is open.

    The store's files are only read. A damaged one is set aside with a warning. A folder that is not there, or empty, is
    an empty store. Raises `StoreError` where a newer tttlab wrote the store.
    """
    folder = folder.absolute()
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    # Warnings go through Python; a progress bar would be drawn over a notebook's output.
    connection.execute("SET enable_progress_bar = false")
    if not folder.is_dir():
        _define(connection, folder, Manifest(), [], set())
        return connection
    lease = Lease(folder)
    try:
        manifest = read_manifest(folder)
        attached = _attach(connection, folder, manifest)
        _define(connection, folder, manifest, attached, set_aside_damaged(folder, manifest))
        lease.hold(manifest.generation)
    except BaseException:
        lease.release()
        connection.close()
        raise
    weakref.finalize(connection, lease.release)
    return connection


def set_aside_damaged(folder: Path, manifest: Manifest) -> set[str]:
    """Move segments whose bytes are not those that were written to `damaged/`; returns the names of all found."""
    damaged = set()
    archived = set(manifest.segments)
    for kind in KINDS:
        for path in segments(folder, kind):
            if path in _known_whole or path.name in archived:
                continue
            if is_whole(path):
                _known_whole.add(path)
                continue
            damaged.add(path.name)
            _set_aside(folder, path)
    return damaged


def _set_aside(folder: Path, path: Path) -> None:
    try:
        (folder / "damaged").mkdir(exist_ok=True)
        path.replace(folder / "damaged" / path.name)
        where = f"it was moved to {folder / 'damaged'}"
    except OSError:
        where = "it is left out"
    warnings.warn(f"{path.name} in {path.parent} is damaged: {where}; everything else is read", stacklevel=4)


def _attach(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest) -> list[str]:
    attached = []
    for number, name in enumerate(manifest.archives, 1):
        path, alias = folder / "archives" / name, f"archive_{number}"
        try:
            connection.execute(f"ATTACH {quoted(path)} AS {alias} (READ_ONLY)")
            connection.execute(f"SELECT (SELECT count(*) FROM {alias}.stored_spans LIMIT 1)")
        except duckdb.Error as error:
            _leave_out_archive(path, error)
            continue
        attached.append(alias)
    return attached


def _leave_out_archive(path: Path, error: duckdb.Error) -> None:
    reason = str(error).splitlines()[0]
    warnings.warn(
        f"the archive {path} cannot be read and is left out ({reason}); everything else is read",
        stacklevel=5,
    )


def _define(
    connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest, attached: list[str], damaged: set[str]
) -> None:
    hidden = sorted({*manifest.segments, *damaged})
    empty = not all((segment_folder(folder, kind) / SEED).is_file() for kind in KINDS)
    if empty:
        connection.execute(f"CREATE SCHEMA nothing; USE nothing; {tables_sql()}; USE memory.main")
    for kind in KINDS:
        sources = [f"SELECT * FROM {alias}.stored_{kind}" for alias in attached]
        sources.append(f"SELECT * FROM nothing.stored_{kind}" if empty else _live(folder, kind, hidden))
        connection.execute(f"CREATE VIEW stored_{kind} AS {' UNION ALL BY NAME '.join(sources)}")
    for statement in views_sql():
        connection.execute(statement)


def _live(folder: Path, kind: Kind, hidden: list[str]) -> str:
    """A query over the segments that are there when it runs, those that an archive holds left out."""
    here = segment_folder(folder, kind)
    typed = f" REPLACE ({', '.join(f'{name}::JSON AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    query = (
        f"SELECT * EXCLUDE (filename){typed} FROM read_parquet({quoted(pattern(here) + '/*.parquet')}, filename = true)"
    )
    if hidden:
        listed = ", ".join(map(quoted, hidden))
        query += f" WHERE parse_filename(filename) NOT IN ({listed})"
    return query


def quoted(value: str | Path) -> str:
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"
