"""Credentials hidden in what the journal is about to write. Where none is in it, that costs a search of each column.

The texts of a call's tokens lie one after the other in their column, so a credential that is split over several is
found there as a whole. A token that it touches keeps its length and its log-probability; its id and its alternatives
would tell what it was, and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

import pyarrow as pa

from tttlab.events import NO_ALTERNATIVES, Delta, TokenDelta
from tttlab.masking import hidden, known_secrets, places_in
from tttlab.store import columns
from tttlab.tracing.hiding import row_without_secrets
from tttlab.tracing.rows import SpanRow


def tokens_without_secrets(
    run_id: str, span_key: int, first: int, sequences: Sequence[int], events: Sequence[Delta]
) -> pa.Table:
    """As `tokens_table`, with all credentials hidden."""
    table = columns.tokens_table(run_id, span_key, first, sequences, events)
    secrets = known_secrets()
    if not secrets or not (_holds(_texts(table), secrets) or _is_mixed(table)):
        return table
    return columns.tokens_table(run_id, span_key, first, sequences, _hidden(events, secrets))


def spans_without_secrets(rows: Sequence[SpanRow]) -> pa.Table:
    """As `spans_table`, with all credentials hidden."""
    table = columns.spans_table(rows)
    secrets = known_secrets()
    if not secrets or not _holds((table[name] for name in table.schema.names), secrets):
        return table
    return columns.spans_table([row_without_secrets(row) for row in rows])


def _hidden(events: Sequence[Delta], secrets: Sequence[str]) -> Sequence[Delta]:
    """Found in the order of the stream, and in what each channel says for itself."""
    events = list(events)
    for channel in (None, *dict.fromkeys(event.channel for event in events)):
        of = [number for number, event in enumerate(events) if channel is None or event.channel == channel]
        text = "".join(str(events[number].text) for number in of)
        _hide(events, of, hidden(text, places_in(text, secrets)))
    return [_without_telling_alternatives(event, secrets) for event in events]


def _hide(events: list[Delta], of: Sequence[int], text: str) -> None:
    ends = list(accumulate(len(str(events[number].text)) for number in of))
    for number, start, end in zip(of, [0, *ends], ends):  # noqa: B905 - one beginning is left over
        event = events[number]
        if text[start:end] != str(event.text):
            events[number] = (
                replace(event, text=text[start:end], token_id=None, top=NO_ALTERNATIVES)
                if isinstance(event, TokenDelta)
                else replace(event, text=text[start:end])
            )


def _without_telling_alternatives(event: Delta, secrets: Sequence[str]) -> Delta:
    if not isinstance(event, TokenDelta) or not any(places_in(str(text), secrets) for text in event.top.texts):
        return event
    return replace(event, top=NO_ALTERNATIVES)


def _is_mixed(table: pa.Table) -> bool:
    return len(table["channel"].unique()) > 1


def _texts(table: pa.Table) -> Iterator[pa.ChunkedArray]:
    yield table["text"]
    yield pa.chunked_array([chunk.values.field("text") for chunk in table["top"].chunks], pa.string())


def _holds(texts: Iterator[pa.ChunkedArray], secrets: Sequence[str]) -> bool:
    forms = _forms(tuple(secrets))
    for column in texts:
        if column.type != pa.string():
            continue
        for chunk in column.chunks:
            data = chunk.buffers()[2]
            held = b"" if data is None else data.to_pybytes()
            if any(form in held for form in forms):
                return True
    return False


@lru_cache(maxsize=4)
def _forms(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """As they stand in a text, and as they stand in JSON."""
    both = [*secrets, *(json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets)]
    return tuple(dict.fromkeys(each.encode(errors="surrogatepass") for each in both))
