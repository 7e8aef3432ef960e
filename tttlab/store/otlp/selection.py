"""Which spans of a store go out, and what is added to them on their way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from tttlab.errors import StoreError
from tttlab.store.archives import quoted
from tttlab.store.bundles import chosen_runs
from tttlab.store.otlp.openinference import with_openinference
from tttlab.store.otlp.tokens import TOKENS, Delivery, as_attribute
from tttlab.tracing.rows import SpanEvent, SpanLink, SpanRow

TokenForm = Literal["none", "attribute", "logs"]
TOKEN_FORMS: tuple[TokenForm, ...] = ("none", "attribute", "logs")

_AT_ONCE = 5_000
"""Spans that are read from the store with one query."""
_SENT = "operation IS DISTINCT FROM 'replay' AND trace_id IS NOT NULL AND span_key <> 0"
_SPANS = f"""
    SELECT trace_id, span_key, parent_key, name, kind, coalesce(start_ns, 0), end_ns, status_code, status_message,
        attributes::VARCHAR, events::VARCHAR, links::VARCHAR, resource::VARCHAR, scope_name, scope_version,
        coalesce(trace_state, ''), coalesce(flags, 0), coalesce(dropped_attributes, 0), coalesce(dropped_events, 0),
        coalesce(dropped_links, 0)
    FROM whole_spans WHERE {_SENT} AND trace_id IN (SELECT unnest($traces)) ORDER BY trace_id, start_ns, span_key
"""
_TOKENS = """
    SELECT span_key, position, sequence, channel, coalesce("text", ''), token_id, logprob, coalesce(time_ns, 0),
        granularity, merged, chunk_tokens
    FROM stored_tokens WHERE run_id IN (SELECT unnest($runs)) ORDER BY span_key, position
"""


@dataclass(frozen=True, slots=True)
class Form:
    """What is added to spans: their tokens, and the attributes under the names of OpenInference."""

    tokens: TokenForm = "none"
    openinference: bool = False


@dataclass(frozen=True, slots=True)
class Portion:
    """Some spans with all deliveries of their calls (by span id), where those are asked for."""

    rows: Sequence[SpanRow]
    tokens: Mapping[str, Sequence[Delivery]]

    def calls(self) -> Iterator[tuple[SpanRow, Sequence[Delivery]]]:
        """The spans that have deliveries."""
        return ((row, self.tokens[row.span_id]) for row in self.rows if row.span_id in self.tokens)


def portions(connection: duckdb.DuckDBPyConnection, runs: Sequence[str], form: Form) -> Iterator[Portion]:
    """The spans of the runs with these ids (or beginnings of ids), trace by trace; without any, all of the store.

    All are the spans of other programs too. Raises `StoreError` for an id that there is not, and where the store cannot
    be read.
    """
    for traces in _traces(connection, runs):
        rows = [_row(found) for found in _fetched(connection, _SPANS, {"traces": traces})]
        tokens = {} if form.tokens == "none" else _tokens(connection, rows)
        yield Portion([_formed(row, tokens, form) for row in rows], tokens)


def _fetched(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(sql, parameters).fetchall()
    except duckdb.Error as error:
        raise StoreError(f"the store cannot be read: {str(error).splitlines()[0]}") from error


def _traces(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Iterator[list[str]]:
    """Traces, some together, so that each query is worth its while and fits into memory."""
    wanted = _SENT
    if runs:
        wanted += f" AND trace_id IN ({', '.join(quoted(run['trace_id']) for run in chosen_runs(connection, runs))})"
    counted = f"SELECT trace_id, count(*) FROM whole_spans WHERE {wanted} GROUP BY trace_id ORDER BY min(start_ns), 1"
    together: list[str] = []
    spans = 0
    for trace_id, count in _fetched(connection, counted):
        together.append(trace_id)
        spans += count
        if spans >= _AT_ONCE:
            yield together
            together, spans = [], 0
    if together:
        yield together


def _tokens(connection: duckdb.DuckDBPyConnection, rows: Sequence[SpanRow]) -> dict[str, list[Delivery]]:
    keys = {int(row.span_id, 16) for row in rows}
    runs = sorted({run for row in rows if isinstance(run := row.attributes.get("tttlab.run.id"), str)})
    tokens: dict[str, list[Delivery]] = {}
    for key, *values in _fetched(connection, _TOKENS, {"runs": runs}):
        if key in keys:
            delivery = Delivery(*values)
            shortened = delivery.logprob if delivery.logprob is None else float(f"{delivery.logprob:.9g}")
            tokens.setdefault(f"{key:016x}", []).append(delivery._replace(logprob=shortened))
    return tokens


def _formed(row: SpanRow, tokens: Mapping[str, Sequence[Delivery]], form: Form) -> SpanRow:
    attributes = row.attributes
    if form.tokens == "attribute" and row.span_id in tokens:
        attributes = {**attributes, TOKENS: as_attribute(tokens[row.span_id])}
    if form.openinference:
        attributes = with_openinference(row.name, attributes)
    return row if attributes is row.attributes else row._replace(attributes=attributes)


def _row(found: tuple[Any, ...]) -> SpanRow:
    trace_id, span_key, parent_key, name, kind, start_ns, end_ns, code, message, *rest = found
    attributes, events, links, resource, scope_name, scope_version, *numbers = rest
    try:
        return SpanRow(
            trace_id,
            f"{span_key:016x}",
            None if parent_key is None else f"{parent_key:016x}",
            name or "",
            kind or "UNSPECIFIED",
            start_ns,
            end_ns,
            code or "UNSET",
            message,
            _mapping(attributes),
            [SpanEvent(**event) for event in json.loads(events or "[]")],
            [SpanLink(**link) for link in json.loads(links or "[]")],
            _mapping(resource),
            scope_name or "",
            scope_version,
            *numbers,
        )
    except (TypeError, ValueError) as error:
        raise StoreError(f"the span {span_key:016x} of trace {trace_id} cannot be read: {error}") from error


def _mapping(text: str | None) -> dict[str, Any]:
    said = json.loads(text or "{}")
    return said if isinstance(said, dict) else {}
