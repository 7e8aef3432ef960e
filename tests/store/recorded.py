"""Rows for tests of the store."""

from __future__ import annotations

from tttlab.events import Alternatives, TokenDelta
from tttlab.tracing.rows import SpanRow

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(number=1, *, ended=True, name="propose", attributes=None, run="run-1", **fields):
    row = SpanRow(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_span_id=None,
        name=name,
        kind="INTERNAL",
        start_ns=1_700_000_000_000_000_000 + number,
        end_ns=1_700_000_001_000_000_000 + number if ended else None,
        status_code="UNSET",
        status_message=None,
        attributes={"tttlab.run.id": run, **(attributes or {})},
        events=[],
        links=[],
        resource={"service.name": "tttlab"},
        scope_name="tttlab",
        scope_version="0",
        trace_state="",
        flags=1,
        dropped_attributes=0,
        dropped_events=0,
        dropped_links=0,
    )
    return row._replace(**fields)


def token(text="word", position=0):
    return TokenDelta(
        text,
        1_700_000_000_000_000_000 + position,
        position,
        -0.5,
        Alternatives((position, None), (text, "x"), (-0.5, -1.5)),
    )


def record(journal, count=3, number=1, run="run-1"):
    """Record a call of `count` tokens."""
    buffer = journal.token_buffer(run, f"{number:016x}")
    for position in range(count):
        buffer.record(position + 1, token(f" w{position}", position))
    buffer.close()
    journal.span(span(number, name="chat m", attributes={"gen_ai.operation.name": "chat"}, run=run))
