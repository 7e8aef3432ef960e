"""What the tracing layer hands to the store: one row for a span's start, one for its end, and buffers of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class SpanEvent(NamedTuple):
    """An OpenTelemetry span event."""

    time_ns: int
    name: str
    attributes: Mapping[str, Any]


class SpanLink(NamedTuple):
    """An OpenTelemetry span link."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


class SpanRow(NamedTuple):
    """An OpenTelemetry span as it is stored; `end_ns` is None for a span that has only started.

    Ids are lower-case hex (32 digits a trace, 16 a span), times are nanoseconds since the epoch, attributes keep the
    types that OpenTelemetry gives them (structured ones too).
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int | None
    status_code: str
    status_message: str | None
    attributes: Mapping[str, Any]
    events: Sequence[SpanEvent]
    links: Sequence[SpanLink]
    resource: Mapping[str, Any]
    scope_name: str
    scope_version: str | None
    trace_state: str
    flags: int
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
