"""The tracer of a store: real OpenTelemetry spans, every one sampled, no limit on attributes, events or links.

tttlab owns its `TracerProvider` and never sets the global one. Spans go to the store when they start and again when
they end, because the SDK's exporters are given ended spans only and a killed kernel ends none.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, set_span_in_context

from tttlab.errors import StoreError
from tttlab.masking import masked
from tttlab.tracing import names
from tttlab.tracing.attributes import known
from tttlab.tracing.hiding import without_secrets
from tttlab.tracing.rows import SpanEvent, SpanLink, SpanRow

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tttlab.store.journal import Journal

_UNLIMITED = SpanLimits(
    max_events=SpanLimits.UNSET,
    max_links=SpanLimits.UNSET,
    max_span_attributes=SpanLimits.UNSET,
    max_event_attributes=SpanLimits.UNSET,
    max_link_attributes=SpanLimits.UNSET,
    max_attributes=SpanLimits.UNSET,
    max_attribute_length=SpanLimits.UNSET,
    max_span_attribute_length=SpanLimits.UNSET,
)


class Recorder:
    """Makes spans and hands them, with the token buffers that belong to them, to a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            warnings.warn(
                "OTEL_SDK_DISABLED is set: OpenTelemetry makes no spans, so tttlab records none; unset it and restart",
                stacklevel=2,
            )
        self.provider = TracerProvider(
            sampler=ALWAYS_ON,
            span_limits=_UNLIMITED,
            shutdown_on_exit=False,
            resource=Resource.create({"service.name": "tttlab", "service.version": version("tttlab")}),
        )
        self.provider.add_span_processor(StoreProcessor(journal))
        self._tracer = self.provider.get_tracer("tttlab", version("tttlab"), schema_url=names.SCHEMA_URL)

    def start(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        parent: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[str] = (),
        elsewhere: Sequence[tuple[str, int]] = (),
        start_ns: int | None = None,
    ) -> Any:
        """Start a span below `parent`, or a new trace. `links` are span ids (hex) of the same trace.

        `elsewhere` are links to other traces: a trace id (hex) and a span id. The span starts now unless `start_ns`
        says when.
        """
        context = set_span_in_context(parent) if parent is not None else _no_parent()
        linked = [Link(_context_of(parent, span_id)) for span_id in links] if parent is not None else []
        linked += [Link(SpanContext(int(trace, 16), span, is_remote=True)) for trace, span in elsewhere]
        return self._tracer.start_span(
            masked(name),
            context=context,
            kind=kind,
            attributes=without_secrets(known(attributes)),
            links=linked,
            start_time=start_ns,
        )

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        parent: Any,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[str] = (),
    ) -> Iterator[Any]:
        """A span around a block, with its status set for every way of leaving it, cancellation included."""
        span = self.start(name, attributes, parent=parent, kind=kind, links=links)
        try:
            yield span
        except BaseException as error:
            mark_error(span, error)
            raise
        finally:
            span.end()


def mark_error(span: Any, error: BaseException) -> None:
    """Set a span's status from an exception. The SDK itself leaves cancellation and interrupts unmarked."""
    span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, masked(str(error)) or type(error).__name__))


def set_known(span: Any, attributes: Mapping[str, Any]) -> None:
    """Set those attributes that have a value; an absent attribute says that nothing is known."""
    before = getattr(span, "attributes", None) or {}
    span.set_attributes(without_secrets(known(attributes), before.get(names.MASKED, 0)))


def span_id_of(span: Any) -> str:
    """The span's id as 16 hex digits."""
    return format(span.get_span_context().span_id, "016x")


class StoreProcessor(SpanProcessor):
    """Hands each span to the journal at its start and at its end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Record that the span has begun."""
        self._journal.span(span_row(span))

    def on_end(self, span: ReadableSpan) -> None:
        """Record the whole span."""
        self._journal.span(span_row(span))

    def shutdown(self) -> None:
        """Nothing to do: the journal has its own end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Write what was handed over."""
        self._journal.flush()
        return True


def span_row(span: ReadableSpan) -> SpanRow:
    """The stored form of a span, started or ended."""
    context, scope, status = span.get_span_context(), span.instrumentation_scope, span.status
    if context is None:  # The SDK allows for it in its types alone.
        raise StoreError(f"the span {span.name!r} has no context, so it cannot be recorded")
    return SpanRow(
        trace_id=format(context.trace_id, "032x"),
        span_id=format(context.span_id, "016x"),
        parent_span_id=format(span.parent.span_id, "016x") if span.parent else None,
        name=span.name,
        kind=span.kind.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time,
        status_code=status.status_code.name,
        status_message=status.description,
        attributes=_copied(span.attributes),
        events=[SpanEvent(event.timestamp, event.name, dict(event.attributes or {})) for event in span.events],
        links=[
            SpanLink(
                format(link.context.trace_id, "032x"), format(link.context.span_id, "016x"), dict(link.attributes or {})
            )
            for link in span.links
        ],
        resource=_copied(span.resource.attributes),
        scope_name=scope.name if scope else "",
        scope_version=scope.version if scope else None,
        trace_state=context.trace_state.to_header(),
        flags=int(context.trace_flags),
        dropped_attributes=span.dropped_attributes,
        dropped_events=span.dropped_events,
        dropped_links=span.dropped_links,
    )


def _copied(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    # The SDK's mappings are written in Python: to iterate over one costs ten times as much as its own copy.
    copied = attributes.copy() if isinstance(attributes, MappingProxyType | BoundedAttributes) else attributes
    return copied if isinstance(copied, dict) else dict(copied or {})


def _no_parent() -> Context:
    from opentelemetry.context import Context

    return Context()


def _context_of(sibling: Any, span_id: str) -> SpanContext:
    near = sibling.get_span_context()
    return SpanContext(near.trace_id, int(span_id, 16), is_remote=False, trace_flags=near.trace_flags)
