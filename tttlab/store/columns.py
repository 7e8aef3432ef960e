"""How spans and deliveries become columns. `schema/0001_spans_and_tokens.sql` says what each column means."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, zip_longest
from operator import attrgetter
from typing import Any, cast

import pyarrow as pa
from pyarrow import compute

from tttlab.events import NO_ALTERNATIVES, Alternatives, ChunkDelta, Delta, TokenDelta
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

PROMOTED: tuple[tuple[str, pa.DataType, tuple[str, ...]], ...] = (
    ("run_id", pa.string(), (names.RUN_ID,)),
    ("operation", pa.string(), (names.OPERATION,)),
    ("strategy", pa.string(), (names.STRATEGY_NAME,)),
    ("model", pa.string(), (names.MODEL_NAME, names.REQUEST_MODEL)),
    ("role", pa.string(), (names.CALL_ROLE,)),
    ("branch", pa.string(), (names.BRANCH_PATH,)),
    ("status", pa.string(), (names.RUN_STATUS, names.CALL_STATUS, names.BRANCH_STATE)),
    ("cancelled_by", pa.string(), (names.CALL_CANCELLED_BY,)),
    ("digest", pa.string(), (names.CALL_DIGEST,)),
    ("ordinal", pa.int64(), (names.CALL_ORDINAL,)),
    ("sequence", pa.int64(), (names.CALL_DELIVERED, names.ANSWER_SEQUENCE, names.VERDICT_SEQUENCE)),
    ("seed", pa.int64(), (names.RUN_SEED, names.REQUEST_SEED)),
    ("temperature", pa.float64(), (names.REQUEST_TEMPERATURE,)),
    ("max_tokens", pa.int64(), (names.REQUEST_MAX_TOKENS,)),
    ("finish_reason", pa.string(), (names.RESPONSE_FINISH_REASONS,)),
    ("prompt_tokens", pa.int64(), (names.USAGE_INPUT, f"{names.SPENT_PREFIX}prompt_tokens")),
    ("cached_tokens", pa.int64(), (names.USAGE_CACHED, f"{names.SPENT_PREFIX}cached_tokens")),
    ("output_tokens", pa.int64(), (names.USAGE_OUTPUT, f"{names.SPENT_PREFIX}output_tokens")),
    ("thinking_tokens", pa.int64(), (names.USAGE_THINKING, f"{names.SPENT_PREFIX}thinking_tokens")),
    ("calls", pa.int64(), (names.USAGE_CALLS, f"{names.SPENT_PREFIX}calls")),
    ("dollars", pa.float64(), (names.USAGE_DOLLARS, f"{names.SPENT_PREFIX}dollars")),
    ("basis_prompt_tokens", pa.int64(), (f"{names.BASIS_PREFIX}prompt_tokens",)),
    ("basis_output_tokens", pa.int64(), (f"{names.BASIS_PREFIX}output_tokens",)),
    ("basis_thinking_tokens", pa.int64(), (f"{names.BASIS_PREFIX}thinking_tokens",)),
    ("basis_calls", pa.int64(), (f"{names.BASIS_PREFIX}calls",)),
    ("basis_dollars", pa.float64(), (f"{names.BASIS_PREFIX}dollars",)),
    ("seconds_to_first", pa.float64(), (names.RESPONSE_TIME_TO_FIRST_CHUNK,)),
    ("visibility", pa.string(), (names.REASONING_VISIBILITY,)),
    ("channel_source", pa.string(), (names.REASONING_SOURCE,)),
    ("granularity", pa.string(), (names.TOKENS_GRANULARITY,)),
    ("logprob_stage", pa.string(), (names.LOGPROB_STAGE,)),
    ("mean_logprob", pa.float64(), (names.LOGPROB_MEAN,)),
    ("answer", pa.string(), (names.ANSWER_VALUE,)),
    ("confidence", pa.float64(), (names.ANSWER_CONFIDENCE,)),
    ("correct", pa.bool_(), (names.ANSWER_CORRECT,)),
    ("verifier", pa.string(), (names.VERIFIER_NAME,)),
    ("candidate", pa.string(), (names.VERDICT_CANDIDATE,)),
    ("score", pa.float64(), (names.VERDICT_SCORE, names.BRANCH_SCORE)),
    ("passed", pa.bool_(), (names.VERDICT_PASSED,)),
)
"""Columns with a type of their own, each with the attributes it is taken from; the first that is there counts."""

_OWN: tuple[tuple[str, pa.DataType, Callable[[SpanRow], Any]], ...] = (
    ("trace_id", pa.string(), attrgetter("trace_id")),
    ("span_key", pa.uint64(), lambda row: int(row.span_id, 16)),
    ("parent_key", pa.uint64(), lambda row: int(row.parent_span_id, 16) if row.parent_span_id else None),
    ("name", pa.string(), attrgetter("name")),
    ("kind", pa.string(), attrgetter("kind")),
    ("start_ns", pa.int64(), attrgetter("start_ns")),
    ("end_ns", pa.int64(), attrgetter("end_ns")),
    ("status_code", pa.string(), attrgetter("status_code")),
    ("status_message", pa.string(), attrgetter("status_message")),
    ("attributes", pa.string(), lambda row: as_json(row.attributes)),
    ("events", pa.string(), lambda row: as_json([event._asdict() for event in row.events]) if row.events else None),
    ("links", pa.string(), lambda row: as_json([link._asdict() for link in row.links]) if row.links else None),
    ("resource", pa.string(), lambda row: as_json(row.resource)),
    ("scope_name", pa.string(), attrgetter("scope_name")),
    ("scope_version", pa.string(), attrgetter("scope_version")),
    ("trace_state", pa.string(), attrgetter("trace_state")),
    ("flags", pa.int32(), attrgetter("flags")),
    ("dropped_attributes", pa.int32(), attrgetter("dropped_attributes")),
    ("dropped_events", pa.int32(), attrgetter("dropped_events")),
    ("dropped_links", pa.int32(), attrgetter("dropped_links")),
)

DEEPEST = 50
"""How many levels of a nested attribute are kept, where not all can be."""

SPANS = pa.schema([(name, kind) for name, kind, _ in (*_OWN, *PROMOTED)])


def _always(name: str, kind: pa.DataType) -> pa.Field:
    """A column without NULLs, since tttlab itself gives its values: Parquet then keeps no levels for it."""
    return pa.field(name, kind, nullable=False)


_TOP = pa.list_(
    _always(
        "element",
        pa.struct([("token_id", pa.int32()), ("text", pa.string()), ("logprob", pa.float32())]),
    )
)
TOKENS = pa.schema(
    [
        _always("run_id", pa.string()),
        _always("span_key", pa.uint64()),
        _always("position", pa.int32()),
        _always("sequence", pa.int64()),
        ("channel", pa.string()),
        ("text", pa.string()),
        ("token_id", pa.int32()),
        ("logprob", pa.float32()),
        ("top", _TOP),
        ("time_ns", pa.int64()),
        _always("granularity", pa.string()),
        ("merged", pa.bool_()),
        ("chunk_tokens", pa.int32()),
    ]
)


def spans_table(rows: Sequence[SpanRow]) -> pa.Table:
    """Spans as columns."""
    columns = [_column([of(row) for row in rows], kind) for _, kind, of in _OWN]
    attributes = [row.attributes for row in rows]
    columns += [_column([_first(each, keys) for each in attributes], kind) for _, kind, keys in PROMOTED]
    return pa.Table.from_arrays(columns, schema=SPANS)


def tokens_table(run_id: str, span_key: int, first: int, sequences: Sequence[int], events: Sequence[Delta]) -> pa.Table:
    """Deliveries of one call as columns; `first` is the position of the first of them."""
    kinds = [isinstance(event, TokenDelta) for event in events]
    if kinds.count(kinds[0]) < len(kinds):
        return _mixed(run_id, span_key, first, sequences, events, kinds)
    if kinds[0]:
        return _table(run_id, span_key, first, sequences, _of_tokens(cast("Sequence[TokenDelta]", events)))
    return _table(run_id, span_key, first, sequences, _of_chunks(cast("Sequence[ChunkDelta]", events)))


def _table(run_id: str, span_key: int, first: int, sequences: Sequence[int], columns: dict[str, pa.Array]) -> pa.Table:
    count = len(sequences)
    columns |= {
        "run_id": pa.repeat(pa.scalar(run_id, pa.string()), count),
        "span_key": pa.repeat(pa.scalar(span_key, pa.uint64()), count),
        "position": _counting(first, count),
        "sequence": pa.array(sequences, pa.int64()),
    }
    return pa.Table.from_arrays([columns[name] for name in TOKENS.names], schema=TOKENS)


def _of_tokens(events: Sequence[TokenDelta]) -> dict[str, pa.Array]:
    # A comprehension a column is several times faster here than one transposition of all.
    return {
        "channel": _same_or_each([event.channel for event in events]),
        "text": _column([event.text for event in events], pa.string()),
        "token_id": _column([event.token_id for event in events], pa.int32()),
        "logprob": _column([event.logprob for event in events], pa.float32()),
        "top": _top([event.top for event in events]),
        "time_ns": _column([event.time_ns for event in events], pa.int64()),
        "granularity": pa.repeat(pa.scalar("token"), len(events)),
        "merged": _column([event.merged for event in events], pa.bool_()),
        "chunk_tokens": pa.nulls(len(events), pa.int32()),
    }


def _of_chunks(events: Sequence[ChunkDelta]) -> dict[str, pa.Array]:
    count = len(events)
    return {
        "channel": _same_or_each([event.channel for event in events]),
        "text": _column([event.text for event in events], pa.string()),
        "token_id": pa.nulls(count, pa.int32()),
        "logprob": pa.nulls(count, pa.float32()),
        "top": pa.nulls(count, _TOP),
        "time_ns": _column([event.time_ns for event in events], pa.int64()),
        "granularity": pa.repeat(pa.scalar("chunk"), count),
        "merged": pa.repeat(pa.scalar(value=False), count),
        "chunk_tokens": _column([event.tokens for event in events], pa.int32()),
    }


def _mixed(
    run_id: str, span_key: int, first: int, sequences: Sequence[int], events: Sequence[Delta], kinds: Sequence[bool]
) -> pa.Table:
    """A stream of both kinds is rare: one table for each stretch of one kind."""
    tables, start = [], 0
    for index in range(1, len(events) + 1):
        if index == len(events) or kinds[index] != kinds[start]:
            tables.append(tokens_table(run_id, span_key, first + start, sequences[start:index], events[start:index]))
            start = index
    return pa.concat_tables(tables)


def _same_or_each(values: Sequence[str]) -> pa.Array:
    """Nearly every batch is of one channel: repeating it costs nothing a token."""
    first = values[0]
    if isinstance(first, str) and values.count(first) == len(values):
        return pa.repeat(_column([first], pa.string())[0], len(values))
    return _column(values, pa.string())


def _top(tops: Sequence[Alternatives]) -> pa.Array:
    if tops.count(NO_ALTERNATIVES) == len(tops):
        return pa.nulls(len(tops), _TOP)
    fields = list(_TOP.value_type)
    try:
        lists = [_lists([top[number] for top in tops], field.type) for number, field in enumerate(fields)]
    except (TypeError, LookupError):
        return _top([_even(top) for top in tops])
    offsets = lists[0].offsets
    if not all(each.offsets.equals(offsets) for each in lists):
        return _top([_even(top) for top in tops])
    values = pa.StructArray.from_arrays([each.values for each in lists], fields=fields)
    return pa.ListArray.from_arrays(offsets, values, type=_TOP)


def _lists(values: Sequence[Sequence[Any]], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, pa.list_(kind))
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        offsets = pa.array(accumulate(map(len, values), initial=0), pa.int32())
        return pa.ListArray.from_arrays(offsets, _column(list(chain.from_iterable(values)), kind))


def _counting(first: int, count: int, step: int = 1) -> pa.Array:
    """`first`, `first + step` ... as many as `count`: without a Python integer for each."""
    return compute.cumulative_sum(pa.repeat(pa.scalar(step, pa.int32()), count), start=first - step)


def _even(top: Any) -> Alternatives:
    """Alternatives whose columns have one length. What is no alternatives at all counts as none."""
    try:
        ids, texts, logprobs = top
        rows = list(zip_longest(ids, texts, logprobs))
    except (TypeError, ValueError):
        return NO_ALTERNATIVES
    return Alternatives(*zip(*rows, strict=True)) if rows else NO_ALTERNATIVES


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    """A value that its column takes: what does not fit is NULL there, and an attribute of a span is still whole."""
    try:
        pa.scalar(value, kind)
    except UnicodeEncodeError:
        return storable(value)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return storable(str(value)) if kind == pa.string() else None
    return value


def _first(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        if (value := attributes.get(key)) is not None:
            return next(iter(value), None) if key == names.RESPONSE_FINISH_REASONS and _is_listed(value) else value
    return None


def _is_listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a surrogate pair that stand alone become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_json(value: Any) -> str:
    """JSON that DuckDB reads: no NaN, no lone surrogates, and whatever OpenTelemetry allows in an attribute."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(_tame(value), ensure_ascii=False, default=_plain)
    return text if text.isascii() else storable(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return list(value) if isinstance(value, Sequence) else str(value)


def _tame(value: Any, depth: int = 0) -> Any:
    """The same without NaN, without keys that are no text, and cut where it is too deep or holds itself."""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _tame(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tame(inner, depth + 1) for inner in value]
    return value
