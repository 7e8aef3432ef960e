"""OTLP messages as the rows that the store keeps. What no row can hold is told with its place in the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tttlab.errors import StoreError
from tttlab.tracing.rows import SpanEvent, SpanLink, SpanRow

_TRACE_FLAGS = 0xFF
"""The bits of OTLP's flags that are W3C's; the others say where a parent was."""
_LATEST = 2**63 - 1_000
"""Nanoseconds; the last of 64 bits are DuckDB's infinity, and its views have microseconds too."""
_MOST_REPEATED = 64 * 2**20
"""Bytes of resources and scopes as rows have them, each with its own."""
_MOST_DROPPED = 2**31 - 1


def read_protobuf(data: bytes) -> ExportTraceServiceRequest:
    """The request in these bytes. Raises `StoreError` for bytes that are none, or are nested too deeply."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError as error:
        reason = str(error).rpartition(": ")[2] or "it cannot be parsed"
        raise StoreError(f"this is no ExportTraceServiceRequest in protobuf: {reason}") from None
    return request


def span_rows(request: ExportTraceServiceRequest) -> list[SpanRow]:
    """The spans of a request. Raises `StoreError` that names the field which a span cannot have as it is."""
    rows = []
    repeated = 0
    for number, of_resource in enumerate(request.resource_spans):
        size = of_resource.resource.ByteSize()
        repeated += sum(len(each.spans) * (size + each.scope.ByteSize()) for each in of_resource.scope_spans)
        if repeated > _MOST_REPEATED:
            raise StoreError(
                f"resourceSpans[{number}] has a resource or scopes too large for that many spans: "
                "send fewer at once, or less of them"
            )
        resource = attributes(of_resource.resource.attributes)
        for inner, of_scope in enumerate(of_resource.scope_spans):
            scope = (of_scope.scope.name, of_scope.scope.version or None)
            for place, span in enumerate(of_scope.spans):
                where = f"resourceSpans[{number}].scopeSpans[{inner}].spans[{place}]"
                rows.append(_row(span, resource, scope, where))
    return rows


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a mapping; of a key that is there twice, the last counts."""
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    """A value as Python has it; an empty one is None."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def _row(span: Span, resource: dict[str, Any], scope: tuple[str, str | None], where: str) -> SpanRow:
    return SpanRow(
        trace_id=_id(span.trace_id, 16, f"{where}.traceId"),
        span_id=_id(span.span_id, 8, f"{where}.spanId"),
        parent_span_id=_id(span.parent_span_id, 8, f"{where}.parentSpanId") if any(span.parent_span_id) else None,
        name=span.name,
        kind=_name(Span.SpanKind, span.kind, "SPAN_KIND_", "UNSPECIFIED"),
        start_ns=_time(span.start_time_unix_nano, f"{where}.startTimeUnixNano"),
        end_ns=_time(span.end_time_unix_nano, f"{where}.endTimeUnixNano") or None,
        status_code=_name(Status.StatusCode, span.status.code, "STATUS_CODE_", "UNSET"),
        status_message=span.status.message or None,
        attributes=attributes(span.attributes),
        events=[
            SpanEvent(
                _time(event.time_unix_nano, f"{where}.events[{number}].timeUnixNano"),
                event.name,
                attributes(event.attributes),
            )
            for number, event in enumerate(span.events)
        ],
        links=[
            # OpenTelemetry lets a link point nowhere, if it has attributes.
            SpanLink(link.trace_id.hex(), link.span_id.hex(), attributes(link.attributes))
            for link in span.links
        ],
        resource=resource,
        scope_name=scope[0],
        scope_version=scope[1],
        trace_state=span.trace_state,
        flags=span.flags & _TRACE_FLAGS,
        dropped_attributes=min(span.dropped_attributes_count, _MOST_DROPPED),
        dropped_events=min(span.dropped_events_count, _MOST_DROPPED),
        dropped_links=min(span.dropped_links_count, _MOST_DROPPED),
    )


def _id(value: bytes, size: int, where: str) -> str:
    if len(value) != size or not any(value):
        raise StoreError(f"{where} must be {2 * size} hex digits that are not all 0, not {value.hex()[:40]!r}")
    return value.hex()


def _time(value: int, where: str) -> int:
    if value > _LATEST:
        raise StoreError(f"{where} must be nanoseconds since 1970 before the year 2262, not {value}")
    return value


def _name(kind: Any, number: int, prefix: str, unknown: str) -> str:
    try:
        return str(kind.Name(number)).removeprefix(prefix)
    except ValueError:  # A later version of OTLP may have more.
        return unknown
