"""Stored spans and deliveries as OTLP messages, gathered into requests that a collector takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tttlab.store.columns import as_json, storable
from tttlab.store.otlp.tokens import Delivery
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

MOST_RECORDS = 512
"""Of one request."""
LARGEST = 4 * 2**20
"""Bytes of one request, but for a single record that is larger; collectors take 4 MiB at the least."""
DEEPEST = 16
"""Levels of a nested attribute; what lies deeper is sent as JSON text, since readers stop at 100 nested messages."""

_INT64 = range(-(2**63), 2**63)
_SCALARS: tuple[tuple[type, str], ...] = (
    (bool, "bool_value"),  # Before int, of which it is one.
    (int, "int_value"),
    (float, "double_value"),
    (str, "string_value"),
    (bytes, "bytes_value"),
)
_Request = TypeVar("_Request", ExportTraceServiceRequest, ExportLogsServiceRequest)


def trace_requests(rows: Iterable[SpanRow]) -> Iterator[ExportTraceServiceRequest]:
    """Requests that hold the spans in their order, each of at most `MOST_RECORDS` and about `LARGEST` bytes."""
    return _gathered(((row, span_message(row)) for row in rows), ExportTraceServiceRequest, "spans")


def log_requests(calls: Iterable[tuple[SpanRow, Sequence[Delivery]]]) -> Iterator[ExportLogsServiceRequest]:
    """Requests that hold a log record for each delivery of the calls."""
    records = ((row, log_message(row, delivery)) for row, deliveries in calls for delivery in deliveries)
    return _gathered(records, ExportLogsServiceRequest, "logs")


def span_message(row: SpanRow) -> Span:
    """The span; one that has not ended has the end 0, which OTLP has for an unknown time."""
    return Span(
        trace_id=bytes.fromhex(row.trace_id),
        span_id=bytes.fromhex(row.span_id),
        parent_span_id=bytes.fromhex(row.parent_span_id or ""),
        trace_state=storable(row.trace_state),
        flags=row.flags,
        name=storable(row.name),
        kind=Span.SpanKind.Value(f"SPAN_KIND_{row.kind}"),
        start_time_unix_nano=max(row.start_ns, 0),
        end_time_unix_nano=max(row.end_ns or 0, 0),
        attributes=key_values(row.attributes),
        events=[
            Span.Event(
                time_unix_nano=max(event.time_ns, 0), name=storable(event.name), attributes=key_values(event.attributes)
            )
            for event in row.events
        ],
        links=[
            Span.Link(
                trace_id=bytes.fromhex(link.trace_id),
                span_id=bytes.fromhex(link.span_id),
                attributes=key_values(link.attributes),
            )
            for link in row.links
        ],
        status=Status(
            code=Status.StatusCode.Value(f"STATUS_CODE_{row.status_code}"), message=storable(row.status_message or "")
        ),
        dropped_attributes_count=row.dropped_attributes,
        dropped_events_count=row.dropped_events,
        dropped_links_count=row.dropped_links,
    )


def log_message(row: SpanRow, delivery: Delivery) -> LogRecord:
    """A delivery of a call as a log record with the ids of its span; its body is the text."""
    said = {
        names.RUN_ID: row.attributes.get(names.RUN_ID),
        "tttlab.token.position": delivery.position,
        "tttlab.token.sequence": delivery.sequence,
        "tttlab.token.channel": delivery.channel,
        "tttlab.token.id": delivery.token_id,
        "tttlab.token.logprob": delivery.logprob,
        names.TOKENS_GRANULARITY: delivery.granularity,
    }
    return LogRecord(
        time_unix_nano=delivery.time_ns,
        observed_time_unix_nano=delivery.time_ns,
        severity_number=SEVERITY_NUMBER_INFO,
        event_name="tttlab.token",
        body=AnyValue(string_value=storable(delivery.text)),
        attributes=key_values({key: value for key, value in said.items() if value is not None}),
        flags=row.flags,
        trace_id=bytes.fromhex(row.trace_id),
        span_id=bytes.fromhex(row.span_id),
    )


def key_values(attributes: Mapping[str, Any], depth: int = 0) -> list[KeyValue]:
    """Attributes as OTLP has them."""
    return [KeyValue(key=storable(key), value=any_value(value, depth)) for key, value in attributes.items()]


def any_value(value: Any, depth: int = 0) -> AnyValue:
    """A value with its type; None is OTLP's empty value, and an integer of more than 64 bits its digits."""
    if value is None:
        return AnyValue()
    if isinstance(value, int) and value not in _INT64:
        value = str(value)
    for kind, field in _SCALARS:
        if isinstance(value, kind):
            said = AnyValue()
            setattr(said, field, storable(value) if isinstance(value, str) else value)
            return said
    return _nested(value, depth) if isinstance(value, (Mapping, Sequence)) else any_value(str(value))


def _nested(value: Mapping[str, Any] | Sequence[Any], depth: int) -> AnyValue:
    if depth >= DEEPEST:
        return AnyValue(string_value=as_json(value))
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value, depth + 1)))
    return AnyValue(array_value=ArrayValue(values=[any_value(each, depth + 1) for each in value]))


def _gathered(
    records: Iterable[tuple[SpanRow, Any]], kind: type[_Request], signal: Literal["spans", "logs"]
) -> Iterator[_Request]:
    gathering = _Gathering(kind(), signal)
    for row, record in records:
        if gathering.is_full_for(record):
            yield gathering.request
            gathering = _Gathering(kind(), signal)
        gathering.add(row, record)
    if gathering.count:
        yield gathering.request


class _Gathering(Generic[_Request]):
    """A request that fills: each resource stands in it once, with its scopes below, and in those their records."""

    def __init__(self, request: _Request, signal: Literal["spans", "logs"]) -> None:
        self.request: _Request = request
        self.count = 0
        self._size = 0
        self._signal = signal
        self._resources: dict[str, Any] = {}
        self._scopes: dict[tuple[str, str, str | None], Any] = {}

    def is_full_for(self, record: Any) -> bool:
        too_many = self.count >= MOST_RECORDS or self._size + record.ByteSize() > LARGEST
        return self.count > 0 and too_many

    def add(self, row: SpanRow, record: Any) -> None:
        scope = self._scope(row)
        (scope.spans if self._signal == "spans" else scope.log_records).append(record)
        self.count += 1
        self._size += record.ByteSize()

    def _scope(self, row: SpanRow) -> Any:
        resource_key = json.dumps(row.resource, sort_keys=True, default=str)
        key = (resource_key, row.scope_name, row.scope_version)
        if key not in self._scopes:
            scope = getattr(self._resource(row, resource_key), f"scope_{self._signal}").add()
            scope.scope.name, scope.scope.version = storable(row.scope_name), storable(row.scope_version or "")
            if row.scope_name == "tttlab":
                scope.schema_url = names.SCHEMA_URL
            self._scopes[key] = scope
        return self._scopes[key]

    def _resource(self, row: SpanRow, key: str) -> Any:
        if key not in self._resources:
            resource = getattr(self.request, f"resource_{self._signal}").add()
            resource.resource.attributes.extend(key_values(row.resource))
            self._resources[key] = resource
        return self._resources[key]
