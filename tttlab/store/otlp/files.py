"""OTLP/JSON files, one request a line as the collector's file exporter writes them: spans go out to one and come in."""

from __future__ import annotations

import gzip
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

import duckdb
import pyarrow as pa

from tttlab.errors import StoreError
from tttlab.store.columns import spans_table, tokens_table
from tttlab.store.otlp.decode import span_rows
from tttlab.store.otlp.encode import log_requests, trace_requests
from tttlab.store.otlp.json_form import as_request, loaded, write_json
from tttlab.store.otlp.selection import Form, portions
from tttlab.store.otlp.tokens import TOKENS, from_attribute
from tttlab.store.segments import SCHEMAS, SegmentWriter
from tttlab.store.upkeep import taking_in
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

LARGEST = 128 * 2**20
"""Bytes of one line, or of a file that is one document."""

_Call = tuple[str, int]
"""Its run's id and its span's: other programs may choose an id of a span that another run has too."""
_NEW = """
    SELECT * FROM incoming WHERE NOT EXISTS (
        FROM stored_spans AS there
        WHERE there.trace_id = incoming.trace_id AND there.span_key = incoming.span_key
            AND (there.end_ns IS NOT NULL OR incoming.end_ns IS NULL)
    )
    QUALIFY row_number() OVER (PARTITION BY trace_id, span_key, end_ns IS NULL) = 1
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file brought: how many spans it has, how many of these are new, and its lines that hold no spans."""

    spans: int
    new: int
    other_lines: int


def export_file(
    connection: duckdb.DuckDBPyConnection, runs: Sequence[str], target: Path, form: Form | None = None
) -> int:
    """Write the runs of these ids or beginnings of ids (none: all spans) to a file, by gzip if its name ends in `.gz`.

    Returns how many spans it has. Raises `StoreError` for an id that there is not, or where it cannot be written.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    form = form or Form()
    count = 0
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with _opened(temporary, "wb", packed=target.suffix == ".gz") as file:
            for portion in portions(connection, runs, form):
                count += len(portion.rows)
                for request in trace_requests(portion.rows):
                    file.write(write_json(request).encode() + b"\n")
                for records in log_requests(portion.calls()) if form.tokens == "logs" else ():
                    file.write(write_json(records).encode() + b"\n")
        temporary.replace(target)
    except OSError as error:
        raise StoreError(f"{target} could not be written: {_first_line(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return count


def import_file(store: Path, source: Path) -> Imported:
    """Record the spans of a file into a store, those that it has already (by trace and span id) left as they are.

    Tokens that were sent with a call as its attribute `tttlab.tokens` become rows of the view `tokens` again. Raises
    `StoreError` with the file, the line and the field for what cannot be read; nothing of the file is recorded then.
    """
    spans: list[pa.Table] = []
    tokens: dict[_Call, pa.Table] = {}
    others = 0
    for line, said in _documents(source):
        try:
            if not (isinstance(said, dict) and ("resourceSpans" in said or "resource_spans" in said)):
                others += _is_of_another_signal(said)
                continue
            rows = []
            for row in span_rows(as_request(said)):
                told, deliveries = with_tokens_apart(row)
                rows.append(told)
                if deliveries:
                    call = run, key = str(row.attributes[names.RUN_ID]), int(row.span_id, 16)
                    told_before = tokens.get(call)
                    # A call that stands in the file open and ended has more tokens where it has ended.
                    if told_before is None or told_before.num_rows < len(deliveries):
                        tokens[call] = tokens_table(run, key, 0, *zip(*deliveries, strict=True))
            if rows:
                spans.append(spans_table(rows))
        except StoreError as error:
            raise StoreError(f"{source}, line {line}: {error}; nothing of it was imported") from None
    count = sum(table.num_rows for table in spans)
    if not spans:
        return Imported(0, 0, others)
    with taking_in(store):
        return Imported(count, _record(store, spans, tokens), others)


def with_tokens_apart(row: SpanRow) -> tuple[SpanRow, list[Any]]:
    """A span without its attribute of tokens, and those; with it where it is none of ours."""
    run = row.attributes.get(names.RUN_ID)
    if not isinstance(run, str) or not (deliveries := from_attribute(row.attributes.get(TOKENS))):
        return row, []
    return row._replace(attributes={k: v for k, v in row.attributes.items() if k != TOKENS}), deliveries


def _record(store: Path, spans: Sequence[pa.Table], tokens: dict[_Call, pa.Table]) -> int:
    """Write what the store has not, tokens first: a call that is there is there with them. Returns how many spans."""
    from tttlab.store.database import connect
    from tttlab.store.queries import query

    connection, writer = connect(store), SegmentWriter(store)
    try:
        connection.register("incoming", pa.concat_tables(spans))
        new = query(connection, _NEW).cast(SCHEMAS["spans"])
        calls = set(zip(*(new.column(name).to_pylist() for name in ("run_id", "span_key")), strict=True)) & set(tokens)
        there = _with_tokens(connection, calls)
        # A call that came while it was open has its first ones.
        if missing := [rest for call in sorted(calls) if (rest := tokens[call].slice(there.get(call, 0))).num_rows]:
            writer.write("tokens", pa.concat_tables(missing))
        if new.num_rows:
            writer.write("spans", new)
    except OSError as error:
        raise StoreError(f"the store in {store} cannot be written to: {error.strerror or error}") from error
    finally:
        connection.close()
    return int(new.num_rows)


def _with_tokens(connection: duckdb.DuckDBPyConnection, calls: set[_Call]) -> dict[_Call, int]:
    """How many deliveries the store has of each of these calls."""
    sql = (
        "SELECT run_id, span_key, max(position) + 1 FROM stored_tokens "
        "WHERE span_key IN (SELECT unnest($keys::UBIGINT[])) GROUP BY run_id, span_key"
    )
    found = connection.execute(sql, {"keys": sorted(key for _, key in calls)}).fetchall()
    return {(run, key): count for run, key, count in found}


def _documents(source: Path) -> Iterator[tuple[int, Any]]:
    """Each JSON document of a file with the line on which it begins. Raises `StoreError` that names the file."""
    try:
        with source.open("rb") as head:
            packed = head.read(2) == b"\x1f\x8b"
        with _opened(source, "rb", packed=packed) as file:
            yield from _lines(source, file)
    except (OSError, EOFError, zlib.error) as error:
        raise StoreError(f"{source} cannot be read: {_first_line(error)}; nothing of it was imported") from error


def _lines(source: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        if not line.strip():
            continue
        _check_size(source, number, line)
        try:
            said = loaded(line.rstrip(b"\r\n"))
        except StoreError as error:
            if number > 1:
                raise _with_place(source, number, error) from None
            # A document may be written over many lines.
            whole = line + file.read(LARGEST + 1 - len(line))
            _check_size(source, number, whole)
            try:
                said = loaded(whole)
            except StoreError as of_all:
                raise _with_place(source, None, of_all) from None
        yield number, said


def _check_size(source: Path, number: int, data: bytes) -> None:
    if len(data) > LARGEST:
        raise StoreError(
            f"{source}, line {number}: it is larger than {LARGEST // 2**20} MiB, so nothing was imported; "
            "write one request a line"
        )


def _with_place(source: Path, line: int | None, error: StoreError) -> StoreError:
    said = str(error) if line is None else str(error).replace("at line 1, column", "at column")
    place = f"{source}" if line is None else f"{source}, line {line}"
    return StoreError(f"{place}: {said}; nothing of it was imported")


def _is_of_another_signal(said: Any) -> int:
    """1 for logs and metrics, which a collector may write to the same file. Raises `StoreError` for anything else."""
    if isinstance(said, dict) and (said.keys() & {"resourceLogs", "resourceMetrics", "resourceProfiles"} or not said):
        return 1
    if isinstance(said, dict):
        raise StoreError(f"it has no field resourceSpans, but {', '.join(map(repr, list(said)[:3]))}")
    as_request(said)
    return 0


def _opened(path: Path, mode: Literal["rb", "wb"], *, packed: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, mode)) if packed else path.open(mode)


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
