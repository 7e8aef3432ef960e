"""Bundles: some runs in a small folder of their own, to be kept with a notebook, sent, and replayed without a model.

A bundle is a folder of traces whose runs are Parquet files that nobody writes to; `bundle.json` says which runs they
are, which schema they have, and the digests of the files. What is recorded while a bundle is in use goes into `store/`
inside it.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tttlab.errors import QueryError, StoreError
from tttlab.store.archives import quoted
from tttlab.store.segments import KINDS, SCHEMAS, Kind, SegmentWriter, pattern
from tttlab.store.upkeep import taking_in

FORMAT = 1
"""Of `bundle.json` and of the columns; a bundle of a later one is refused."""
MANIFEST = "bundle.json"
MANIFEST_BYTES = 64 * 2**20
"""A manifest has about 300 bytes a run; one larger than this is not read."""
_ORDER = {"spans": "run_id, start_ns, span_key", "tokens": "run_id, span_key, position"}
_RUNS = "SELECT run_id, trace_id, strategy, model, status, answer, calls, tokens FROM runs ORDER BY run_id"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read and found whole."""

    folder: Path
    runs: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any]

    def file(self, kind: Kind) -> Path:
        """The Parquet file of a kind."""
        return self.folder / f"{kind}.parquet"


def is_bundle(folder: Path) -> bool:
    """Whether the folder says that it is a bundle."""
    return (folder / MANIFEST).is_file()


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, its files compared with their digests.

    Raises `StoreError` where it is no bundle, of a later format, cut or changed.
    """
    if not is_bundle(folder):
        raise StoreError(f"{folder} is no bundle: it has no {MANIFEST}")
    try:
        said = _said(folder / MANIFEST)
        written, runs = int(said["format"]), [{**run, "run_id": _text(run["run_id"])} for run in said["runs"]]
        files = {name: (int(of["bytes"]), str(of["digest"])) for name, of in dict(said["files"]).items()}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise StoreError(f"the bundle {folder} cannot be read: its {MANIFEST} is damaged ({error})") from error
    if written > FORMAT:
        raise StoreError(
            f"the bundle {folder} has format {written} and this tttlab reads up to {FORMAT}: upgrade tttlab"
        )
    for kind in KINDS:
        _check(folder / f"{kind}.parquet", kind, files.get(f"{kind}.parquet"))
    provenance = {key: value for key, value in said.items() if key not in ("files", "runs")}
    return Bundle(folder, tuple(runs), provenance)


def _said(manifest: Path) -> dict[str, Any]:
    if manifest.stat().st_size > MANIFEST_BYTES:
        raise ValueError(f"it has more than {MANIFEST_BYTES:,} bytes")
    said: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    return said


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no run's id")
    return value


def export_bundle(connection: duckdb.DuckDBPyConnection, runs: Sequence[str], target: Path) -> Bundle:
    """Write the runs of these ids (or of these beginnings of ids; none: all runs) as a bundle.

    A bundle that is there is replaced. Raises `StoreError` for an id that there is not, and where it cannot be written.
    """
    if target.exists() and not is_bundle(target) and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is there already and is no bundle: choose another folder")
    chosen = chosen_runs(connection, runs)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        files = {f"{kind}.parquet": _write(connection, kind, chosen, temporary) for kind in KINDS}
        manifest = {
            "format": FORMAT,
            "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "tttlab": version("tttlab"),
            "duckdb": version("duckdb"),
            "runs": chosen,
            "files": files,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        _put(temporary, target)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"the bundle {target} could not be written: {str(error).splitlines()[0]}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_bundle(target)


def import_bundle(store: Path, bundle: Bundle) -> int:
    """Record a bundle's runs into a store; those that it has already are left as they are. Returns how many are new.

    Waits for another process that imports. Raises `StoreError` where they cannot be written; then none of them is
    there, or they are there on the next try.
    """
    with taking_in(store):
        return _import_new(store, bundle)


def _import_new(store: Path, bundle: Bundle) -> int:
    from tttlab.store.database import connect
    from tttlab.store.queries import query

    connection, writer = connect(store), SegmentWriter(store)
    try:
        # Nothing is added to a run, a trace or a span that is there, whatever the bundle calls its own.
        spans = f"FROM {_rows(bundle.file('spans'), 'spans')} WHERE " + " AND ".join(
            f"({name} IS NULL OR {name} NOT IN (SELECT {name} FROM stored_spans WHERE {name} IS NOT NULL))"
            for name in ("trace_id", "run_id", "span_key")
        )
        tokens = (
            f"SELECT told.* FROM {_rows(bundle.file('tokens'), 'tokens')} AS told SEMI JOIN ({spans}) AS call "
            "ON call.span_key = told.span_key AND call.run_id IS NOT DISTINCT FROM told.run_id "
            "WHERE told.span_key NOT IN (SELECT span_key FROM stored_tokens)"
        )
        found: dict[Kind, pa.Table] = {"tokens": query(connection, tokens), "spans": query(connection, spans)}
        ready = {kind: table.cast(SCHEMAS[kind]) for kind, table in found.items()}
        count = len({run for run in ready["spans"].column("run_id").to_pylist() if run is not None})
        # Tokens first: a call that is there is there with its tokens.
        for kind, table in ready.items():
            if table.num_rows:
                writer.write(kind, table)
    except (QueryError, pa.ArrowException) as error:
        raise StoreError(f"the bundle {bundle.folder} cannot be read: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise StoreError(f"the store in {store} cannot be written to: {error.strerror or error}") from error
    finally:
        connection.close()
    return count


def source(traces: Path, kind: Kind) -> str | None:
    """What a query reads a bundle's rows from, where `traces` is one. Raises `StoreError` for one that is damaged."""
    if not is_bundle(traces):
        return None
    status = (traces / MANIFEST).stat()
    return _rows(_known(traces, status.st_mtime_ns, status.st_size).file(kind), kind)


@lru_cache(maxsize=64)
def _known(folder: Path, _changed: int, _size: int) -> Bundle:
    """Read once a process, and again when it was written anew."""
    return read_bundle(folder)


def _rows(file: Path, kind: Kind) -> str:
    from tttlab.store.database import JSON_COLUMNS

    typed = f" REPLACE ({', '.join(f'{name}::JSON AS {name}' for name in JSON_COLUMNS)})" if kind == "spans" else ""
    return f"(SELECT *{typed} FROM read_parquet({quoted(pattern(file))}))"


def _check(file: Path, kind: Kind, said: tuple[int, str] | None) -> None:
    if said is None:
        raise StoreError(f"the bundle {file.parent} cannot be read: its {MANIFEST} does not name {file.name}")
    try:
        if file.exists() and not file.is_file():  # A pipe would be waited for.
            raise IsADirectoryError(errno.EISDIR, "it is no file")
        if (size := file.stat().st_size) != said[0]:
            raise StoreError(f"the bundle {file.parent} is damaged: {file.name} has {size:,} bytes, not {said[0]:,}")
        with file.open("rb") as opened:
            found = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    except OSError as error:
        raise StoreError(f"the bundle {file.parent} is not whole: {file.name}: {error.strerror or error}") from error
    if found != said[1]:
        raise StoreError(
            f"the bundle {file.parent} is damaged or was changed: {file.name} has not the digest it should"
        )
    if wrong := _wrong_columns(file, kind):
        raise StoreError(f"the bundle {file.parent} cannot be read: {file.name} {wrong}")


def _wrong_columns(file: Path, kind: Kind) -> str | None:
    """What is wrong with a file whose digest is right: whoever made the bundle may have made it of anything."""
    try:
        found = pq.read_schema(file)
    except (OSError, pa.ArrowException):
        return "is no Parquet"
    for name in dict.fromkeys((*SCHEMAS[kind].names, *found.names)):
        if name not in SCHEMAS[kind].names:
            return f"has a column {name!r:.40}, which there is not"
        if found.names.count(name) != 1:
            return f"has {'no' if name not in found.names else 'more than one'} column {name!r}"
        if _plain(found.field(name).type) != _plain(SCHEMAS[kind].field(name).type):
            return f"has in column {name!r} no {SCHEMAS[kind].field(name).type}"
    return None


def _plain(kind: pa.DataType) -> str:
    """As DuckDB writes it as well: it marks JSON, and no element as never missing."""
    return str(getattr(kind, "storage_type", kind)).replace(" not null", "")


def chosen_runs(connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The runs of these ids or beginnings of ids (none: all). Raises `StoreError` for one that there is not."""
    open_result = connection.execute(_RUNS)
    columns = [column[0] for column in open_result.description or ()]
    there = [dict(zip(columns, row, strict=True)) for row in open_result.fetchall()]
    if not wanted:
        return there
    ids = [run["run_id"] for run in there]
    for word in wanted:
        if not any(each.startswith(word) for each in ids):
            near = difflib.get_close_matches(word, ids, n=1, cutoff=0.3)
            raise StoreError(
                f"there is no run {word!r}" + (f"; did you mean {near[0]!r}?" if near else " in the store")
            )
    return [run for run in there if run["run_id"].startswith(tuple(wanted))]


def _write(
    connection: duckdb.DuckDBPyConnection, kind: Kind, runs: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    traces = [run["trace_id"] for run in runs]
    # Without what is made of other columns: any tttlab that knows the format imports it.
    rows = "FROM whole_spans" if kind == "spans" else "SELECT * EXCLUDE (entropy_topk) FROM stored_tokens"
    which = "trace_id" if kind == "spans" else "run_id"
    listed = ", ".join(quoted(value) for value in (traces if kind == "spans" else [run["run_id"] for run in runs]))
    file = folder / f"{kind}.parquet"
    connection.execute(
        f"COPY ({rows} WHERE {which} IN ({listed or 'NULL'}) ORDER BY {_ORDER[kind]}) TO {quoted(file)} "
        "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 12)"
    )
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"digest": f"sha256:{digest}", "bytes": file.stat().st_size}


def _put(temporary: Path, target: Path) -> None:
    """Put the finished folder in its place; the store of one that was there goes with it."""
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    if target.exists():
        if (target / "store").is_dir():
            shutil.copytree(target / "store", temporary / "store")
        target.replace(old)
    temporary.replace(target)
    shutil.rmtree(old, ignore_errors=True)
