"""How fast a journal writes what waits in it, files and fsync included: tokens and spans a second, bytes a token."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.recording import TOKENS, tokens
from tttlab.store.journal import Journal
from tttlab.store.segments import segments
from tttlab.tracing.rows import SpanRow

SPANS = 20_000


def main() -> None:
    """Print the rates; the best of three each."""
    for alternatives in (0, 5):
        rate, size = max(_tokens(alternatives) for _ in range(3))
        print(f"tokens with {alternatives} alternatives  {rate:10,.0f} a second   {size:.1f} bytes/token")
    print(f"spans with 25 attributes    {max(_spans() for _ in range(3)):10,.0f} a second")


def _tokens(alternatives: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        events = tokens(alternatives)
        buffers = [journal.token_buffer("run", f"{number:016x}") for number in range(16)]
        for number, buffer in enumerate(buffers):
            for sequence, event in enumerate(events[number::16]):
                buffer.record(sequence, event)
        started = time.perf_counter()
        journal.flush()
        taken = time.perf_counter() - started
        size = sum(path.stat().st_size for path in segments(Path(folder), "tokens"))
        journal.close()
        return TOKENS / taken, size / TOKENS


def _spans() -> float:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        for number in range(SPANS):
            journal.span(_row(number))
        started = time.perf_counter()
        journal.flush()
        taken = time.perf_counter() - started
        journal.close()
        return SPANS / taken


def _row(number: int) -> SpanRow:
    attributes = {f"tttlab.attribute_{index}": f"value {number + index}" for index in range(22)}
    return SpanRow(
        trace_id=f"{number // 50:032x}",
        span_id=f"{number:016x}",
        parent_span_id=f"{number // 50:016x}",
        name="chat local:smollm2",
        kind="INTERNAL",
        start_ns=1_700_000_000_000_000_000 + number,
        end_ns=1_700_000_000_100_000_000 + number,
        status_code="UNSET",
        status_message=None,
        attributes={
            "tttlab.run.id": "run",
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.output_tokens": number,
            **attributes,
        },
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


if __name__ == "__main__":
    main()
