"""The store as a DuckDB database: an ordinary connection with the archives attached and the views defined."""

from __future__ import annotations

import warnings
import weakref
from contextlib import suppress
from pathlib import Path

import duckdb

from tttlab.store.archives import archive_folder, damage, quoted, refuse_newer, schema_version
from tttlab.store.bundles import source as bundle_source
from tttlab.store.damaged import damaged_folder, set_aside
from tttlab.store.layout import columns_sql, tables_sql, views_sql
from tttlab.store.manifest import Lease, Manifest, read_manifest
from tttlab.store.segments import (
    KINDS,
    SEED,
    VERSION,
    Kind,
    is_damaged,
    is_seed,
    is_whole,
    make_seed,
    pattern,
    segment_folder,
    segment_folders,
    segment_version,
    segments,
)

JSON_COLUMNS = ("attributes", "events", "links", "resource")
"""Parquet knows them as text."""


def connect(folder: Path, *, views: bool = True) -> duckdb.DuckDBPyConnection:
    """A connection that sees the whole store and, by itself, what is recorded while it is open.

    The store's files are only read. A damaged one is set aside with a warning. A folder that is not there, or empty, is
    an empty store. Without `views` there are the stored rows alone. Raises `StoreError` where a newer tttlab wrote the
    store.
    """
    folder = folder.absolute()
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    # Warnings go through Python; a progress bar would be drawn over a notebook's output.
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"CREATE SCHEMA nothing; USE nothing; {tables_sql()}; USE memory.main")
    # Where `mend` finds it, from any cursor of this connection.
    connection.execute(f"CREATE VIEW store_folder AS SELECT {quoted(folder)} AS folder")
    statements = views_sql() if views else []
    if not folder.is_dir():
        _define(connection, folder, Manifest())
        _define_views(connection, statements)
        return connection
    lease = Lease(folder)
    try:
        manifest = read_manifest(folder)
        _define(connection, folder, manifest)
        _define_views(connection, statements)
        lease.hold(manifest.generation)
    except BaseException:
        lease.release()
        connection.close()
        raise
    weakref.finalize(connection, lease.release)
    return connection


def mend(connection: duckdb.DuckDBPyConnection) -> bool:
    """Look for damage that came after `connect`, set it aside with a warning, and leave it out of the views.

    Reads every file of the store. Returns whether `connection` is one to a store; its lease stays as it is, which is
    the wider claim. Raises `duckdb.Error` and `StoreError`.
    """
    try:
        found = connection.cursor().execute("SELECT folder FROM memory.main.store_folder").fetchone()
    except duckdb.CatalogException:
        return False
    if found is None or not (folder := Path(found[0])).is_dir():
        return False
    _define(connection.cursor(), folder, read_manifest(folder), again=True)
    return True


def set_aside_damaged(folder: Path, manifest: Manifest, *, again: bool = False) -> set[str]:
    """Move segments whose bytes are not those that were written to `damaged/`; returns the names of all found."""
    damaged = set()
    for kind in KINDS:
        for path in segments(folder, kind):
            if path.name not in manifest.segments and not is_whole(path, again=again):
                damaged.add(path.name)
                _set_aside(folder, path)
    return damaged


def _set_aside(folder: Path, path: Path) -> None:
    what = f"{path.name} in {path.parent}"
    if not is_damaged(path):
        warnings.warn(f"{what} cannot be read now: it is left out until it can; everything else is read", stacklevel=5)
        return
    try:
        set_aside(folder, path)
        where = f"it was moved to {damaged_folder(folder)}"
    except OSError:
        where = "it is left out"
    warnings.warn(f"{what} is damaged: {where}; everything else is read", stacklevel=5)


def _define(connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest, *, again: bool = False) -> None:
    """Say what the stored rows are: those of the archives, and those of the segments that are there at each query."""
    attached = _attach(connection, folder, manifest, again=again)
    hidden = sorted({*manifest.segments, *set_aside_damaged(folder, manifest, again=again)})
    for kind in KINDS:
        # An empty table first: it has all columns of the newest version, which earlier archives have not.
        sources = [f"SELECT * FROM memory.nothing.stored_{kind}"]
        sources += [f"SELECT {columns_sql(kind, of)} FROM {alias}.stored_{kind}" for alias, of in attached]
        sources += _live(folder, kind, hidden)
        if bundled := bundle_source(folder.parent, kind):
            sources.append(f"SELECT {columns_sql(kind, VERSION)} FROM {bundled}")
        rows = " UNION ALL BY NAME ".join(sources)
        connection.execute(f"CREATE OR REPLACE VIEW memory.main.stored_{kind} AS {rows}")


def _define_views(connection: duckdb.DuckDBPyConnection, statements: list[str]) -> None:
    for statement in statements:
        connection.execute(statement)


_FOREIGN = "SELECT view_name FROM duckdb_views() WHERE database_name = $name AND NOT internal"
"""Archives have tables alone; a bundle of a stranger's may carry any DuckDB file as one."""


def _attach(
    connection: duckdb.DuckDBPyConnection, folder: Path, manifest: Manifest, *, again: bool
) -> list[tuple[str, int]]:
    """Attach the archives that can be read; returns their aliases, each with the version of its schema."""
    names = {name for (name,) in connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()}
    attached = []
    for name in manifest.archives:
        path, alias = archive_folder(folder) / name, f'"{name}"'
        if reason := damage(path, again=again):
            _leave_out_archive(path, reason)
            continue
        try:
            if name not in names:
                connection.execute(f"ATTACH {quoted(path)} AS {alias} (READ_ONLY)")
            if connection.execute(_FOREIGN, {"name": name}).fetchall():
                _leave_out_archive(path, "it holds views, which could read other files: tttlab did not make it")
                continue
            connection.execute(f"SELECT (SELECT count(*) FROM {alias}.stored_spans LIMIT 1)")
            version = schema_version(connection, alias)
            refuse_newer(path, version)
        except duckdb.Error as error:
            _leave_out_archive(path, str(error).splitlines()[0])
            continue
        attached.append((alias, version))
    return attached


def _leave_out_archive(path: Path, reason: str) -> None:
    warnings.warn(
        f"the archive {path} cannot be read and is left out ({reason}); everything else is read", stacklevel=5
    )


def _live(folder: Path, kind: Kind, hidden: list[str]) -> list[str]:
    """Queries over the segments that are there when they run, those left out that an archive holds."""
    if segment_folder(folder, kind).is_dir():
        with suppress(OSError):
            make_seed(folder, kind)
    there = {path.parent for path in segments(folder, kind)}
    found = []
    for here in segment_folders(folder, kind):
        if is_seed(here / SEED, kind):
            found.append(_segments_in(here, "*.parquet", kind, hidden))
        elif here in there:  # Segments begin with a time; the seed, which cannot be repaired here, does not.
            found.append(_segments_in(here, "[1-9]*.parquet", kind, hidden))
    return found


def _segments_in(here: Path, files: str, kind: Kind, hidden: list[str]) -> str:
    typed = f" REPLACE ({', '.join(f'{name}::JSON AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    columns = columns_sql(kind, segment_version(here / SEED)).replace("*", f"* EXCLUDE (filename){typed}", 1)
    query = f"SELECT {columns} FROM read_parquet({quoted(f'{pattern(here)}/{files}')}, filename = true)"
    if hidden:
        listed = ", ".join(map(quoted, hidden))
        query += f" WHERE parse_filename(filename) NOT IN ({listed})"
    return query
