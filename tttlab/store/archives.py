"""Archives: DuckDB files that are published whole, by rename, and never written to again.

An archive's name carries the size and the checksum of its bytes, so damage is known before any query meets it. Its
table `sources` names the segments and archives that went into it, so a manifest that is lost can be made anew; its
table `schema_steps` names the steps of the schema that it was made with.
"""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import duckdb

from tttlab.errors import StoreError
from tttlab.store.checksums import checksum, is_unchanged
from tttlab.store.layout import steps

SOURCES_SQL = "CREATE TABLE sources (name VARCHAR)"
STEPS_SQL = "CREATE TABLE schema_steps (number INTEGER, name VARCHAR, tttlab VARCHAR, taken TIMESTAMP)"
CHECKED_BYTES = 256 * 2**20
"""Up to this size an archive is read through once a process, about 40 ms for 64 MB; of a larger one the size counts."""

_SIZE_AND_CHECKSUM = re.compile(r"-(\d+)-([0-9a-f]{8})\.duckdb$")
_versions: dict[Path, int] = {}


def archive_folder(store: Path) -> Path:
    """Where the archives lie."""
    return store / "archives"


def archives_in(store: Path) -> list[str]:
    """The names of all published archives, oldest first, whether a manifest names them or not."""
    return sorted(path.name for path in archive_folder(store).glob("*.duckdb"))


def publish_archive(temporary: Path) -> str:
    """Put a finished, synced file in its place; returns its name."""
    size, digest = temporary.stat().st_size, checksum(temporary)
    name = f"{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}-{size}-{digest:08x}.duckdb"
    temporary.replace(temporary.with_name(name))
    return name


def damage(path: Path, *, again: bool = False) -> str | None:
    """What is wrong with an archive's file, None for nothing; `again` reads it whatever is known and its size."""
    try:
        size = path.stat().st_size
        if not (found := _SIZE_AND_CHECKSUM.search(path.name)):
            return None
        if size != int(found[1]):
            return f"it has {size:,} bytes instead of {int(found[1]):,}"
        if size > CHECKED_BYTES and not again:
            return None
        whole = is_unchanged(path, int(found[2], 16), again=again)
    except OSError as error:
        return error.strerror or str(error)
    return None if whole else "its bytes are not those that were written"


def sources_of(path: Path) -> set[str]:
    """The names of the segments and archives whose rows an archive holds; none where it cannot be read."""
    if damage(path):
        return set()
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute(f"ATTACH {quoted(path)} AS archive (READ_ONLY)")
        return {name for (name,) in connection.execute("SELECT name FROM archive.sources").fetchall()}
    except duckdb.Error:
        return set()
    finally:
        connection.close()


def schema_version(connection: duckdb.DuckDBPyConnection, alias: str) -> int:
    """The version of the schema of an attached archive: the last step that it was made with. Raises `duckdb.Error`."""
    try:
        found = connection.execute(f"SELECT max(number) FROM {alias}.schema_steps").fetchone()
    except duckdb.CatalogException:  # From before steps were recorded, when there was one.
        return 1
    return (found and found[0]) or 1


def version_of(path: Path) -> int | None:
    """The version of an archive's schema; None where it cannot be read. Each is opened once a process."""
    if path not in _versions:
        connection = duckdb.connect(config={"threads": 1})
        try:
            connection.execute(f"ATTACH {quoted(path)} AS archive (READ_ONLY)")
            _versions[path] = schema_version(connection, "archive")
        except duckdb.Error:
            return None
        finally:
            connection.close()
    return _versions[path]


def refuse_newer(path: Path, version: int, newest: int | None = None) -> None:
    """Raise `StoreError` for an archive whose schema is newer than `newest`, this tttlab's own unless given."""
    newest = newest or steps()[-1].number
    if version > newest:
        raise StoreError(
            f"the archive {path} was written by a newer tttlab (schema {version}, this one reads up to {newest}): "
            "upgrade tttlab to read it"
        )


def quoted(value: str | Path) -> str:
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"
