"""What recording a token costs, beside an OpenTelemetry span event that holds the same.

Whole path: from a token's arrival to its row in a segment, encoded and compressed as the journal does it (writing the
file is left to `flushing.py`). Hot path: what the run itself waits for. All in one process, the best of fifteen.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from tttlab.events import NO_ALTERNATIVES, Alternatives, TokenDelta
from tttlab.store.columns import tokens_table
from tttlab.store.segments import encode
from tttlab.tracing.tokens import TokenBuffer

TOKENS = 20_000


def tokens(alternatives: int) -> list[TokenDelta]:
    """Tokens of a Zipf vocabulary with random log-probabilities, which do not compress: the hard case."""
    rng = random.Random(0)
    words = [f" w{int(rng.paretovariate(0.8)) % 50_000}" for _ in range(TOKENS)]
    return [
        TokenDelta(
            word,
            1_700_000_000_000_000_000 + index * 11_000_003,
            hash(word) % 50_000,
            -rng.expovariate(1),
            _alternatives(rng, words, alternatives),
        )
        for index, word in enumerate(words)
    ]


def _alternatives(rng: random.Random, words: list[str], count: int) -> Alternatives:
    if not count:
        return NO_ALTERNATIVES
    return Alternatives(
        tuple(rng.randrange(50_000) for _ in range(count)),
        tuple(rng.choice(words) for _ in range(count)),
        tuple(-rng.expovariate(1) for _ in range(count)),
    )


def main() -> None:
    """Print the costs side by side."""
    for alternatives in (0, 5):
        events = tokens(alternatives)
        event = _best(partial(_span_events, events))
        hot = _best(partial(_hot, events))
        whole, size = whole_path(events)
        print(f"with {alternatives} alternatives a token:")
        print(f"  span.add_event, same columns  {event:8.3f} us/token")
        print(f"  whole path                    {whole:8.3f} us/token   1/{event / whole:.1f}   {size:.1f} bytes/token")
        print(f"  hot path                      {hot:8.3f} us/token   1/{event / hot:.1f}")


def _span_events(events: Sequence[TokenDelta]) -> None:
    limits = SpanLimits(max_events=SpanLimits.UNSET, max_event_attributes=SpanLimits.UNSET)
    span = TracerProvider(span_limits=limits).get_tracer("benchmark").start_span("call")
    for position, event in enumerate(events):
        attributes: dict[str, str | int | float | bool | list[str] | list[int] | list[float]] = {
            "position": position,
            "sequence": position,
            "channel": event.channel,
            "text": event.text,
            "token_id": event.token_id or 0,
            "logprob": event.logprob or 0.0,
            "merged": event.merged,
        }
        if event.top.token_ids:
            attributes["top.token_id"] = [each or 0 for each in event.top.token_ids]
            attributes["top.text"] = list(event.top.texts)
            attributes["top.logprob"] = list(event.top.logprobs)
        span.add_event("token", attributes, event.time_ns)


def _hot(events: Sequence[TokenDelta]) -> None:
    record = TokenBuffer("run", "0" * 16).record
    for position, event in enumerate(events):
        record(position, event)


def whole_path(events: Sequence[TokenDelta]) -> tuple[float, float]:
    """From arrival to the encoded segment: microseconds of processor time a token, and bytes a token."""
    size = 0

    def whole() -> None:
        nonlocal size
        buffer = TokenBuffer("20261124-120000-abcdef", "00f067aa0ba902b7")
        record = buffer.record
        for position, event in enumerate(events):
            record(position, event)
        size = encode("tokens", tokens_table(buffer.run_id, buffer.span_key, *buffer.take())).size

    return _best(whole), size / len(events)


def _best(work: Callable[[], None]) -> float:
    """Microseconds of processor time a token."""
    taken = []
    for _ in range(15):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken) / TOKENS * 1e6


if __name__ == "__main__":
    main()
