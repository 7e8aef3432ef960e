"""A store of ten million tokens and a hundred thousand spans: what compacting it and asking it costs.

`python -m benchmarks.store_at_scale [tokens]` (ten million unless given; about 2 GB of disk and some minutes). The same
questions are asked of the compacted store through its views, and of the raw Parquet segments, whose SQL stands beside
theirs. Each is asked three times on a connection that is open; the best counts. The tokens have five alternatives each;
bytes a token are told without and with them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import compute

from tttlab.store.columns import TOKENS, spans_table
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.segments import SegmentWriter, segment_folder, segments
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

TOKENS_A_CALL = 500
CALLS_A_RUN = 10
SPANS_A_CALL = 5
"""The call itself, and four of its run's branches and proposals."""
CALLS_A_SEGMENT = 200
ALTERNATIVES = 5
START = 1_700_000_000_000_000_000

QUESTIONS = {
    "thinking tokens by strategy": (
        "SELECT strategy, count(*) FROM tokens JOIN runs USING (run_id) WHERE channel = 'thinking' GROUP BY ALL",
        """SELECT strategy, count(*) FROM {tokens} JOIN {spans} AS run USING (run_id)
        WHERE channel = 'thinking' AND operation = 'invoke_workflow' GROUP BY ALL""",
    ),
    "mean log-probability by position": (
        "SELECT position, avg(logprob) FROM tokens GROUP BY position",
        "SELECT position, avg(logprob) FROM {tokens} GROUP BY position",
    ),
    "the 20 highest entropy spikes": (
        "SELECT run_id, position, text, entropy_topk FROM tokens ORDER BY entropy_topk DESC NULLS LAST LIMIT 20",
        """SELECT run_id, position, text,
            -list_sum(list_transform(top, lambda t: exp(t.logprob) * t.logprob)) AS entropy
        FROM {tokens} ORDER BY entropy DESC NULLS LAST LIMIT 20""",
    ),
    "the text of one call": (
        "SELECT string_agg(text, '' ORDER BY position) FROM tokens WHERE span_key = {call}",
        "SELECT string_agg(text, '' ORDER BY position) FROM {tokens} WHERE span_key = {call}",
    ),
    "the branch tree of one run": (
        "SELECT path, parent_path, state, score FROM branches WHERE run_id = '{run}' ORDER BY path",
        "SELECT branch, status, score FROM {spans} WHERE run_id = '{run}' AND name LIKE 'branch %' ORDER BY branch",
    ),
}


def main(tokens: int = 10_000_000) -> None:
    """Record, compact, ask."""
    calls = max(CALLS_A_RUN, tokens // TOKENS_A_CALL)
    with tempfile.TemporaryDirectory() as folder:
        for alternatives in (0, ALTERNATIVES):
            store = Path(folder) / f"store-{alternatives}"
            _record(store, calls if alternatives else min(calls, 2000), alternatives)
            files = segments(store, "tokens")
            raw = sum(path.stat().st_size for path in files)
            started = time.perf_counter()
            compact(store, kept_seconds=3600)
            taken = time.perf_counter() - started
            rows = connect(store).execute("SELECT count(*) FROM tokens").fetchall()[0][0]
            archived = sum(path.stat().st_size for path in store.rglob("*.duckdb"))
            print(
                f"{rows:,} tokens with {alternatives} alternatives: compacted at {rows / taken:,.0f} tokens/s; "
                f"{raw / rows:.1f} bytes/token in segments, {archived / rows:.1f} in the archive, spans included",
                flush=True,
            )
        _ask(store, calls)


def _ask(store: Path, calls: int) -> None:
    connection = connect(store)
    spans = connection.execute("SELECT count(*) FROM spans").fetchall()[0][0]
    print(f"{spans:,} spans\nquestion                              views   raw Parquet")
    named = {
        "tokens": f"read_parquet('{segment_folder(store, 'tokens')}/[1-9]*.parquet')",
        "spans": f"read_parquet('{segment_folder(store, 'spans')}/[1-9]*.parquet')",
        "call": _key(calls // 2),
        "run": _run(calls // 2 // CALLS_A_RUN),
    }
    for question, (viewed, raw) in QUESTIONS.items():
        best = [_best(connection, sql.format(**named)) for sql in (viewed, raw)]
        print(f"{question:34} {best[0]:7.3f} s {best[1]:9.3f} s", flush=True)


def _best(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        if not connection.execute(sql).fetchall():
            raise RuntimeError(f"no rows from: {sql}")
        taken.append(time.perf_counter() - started)
    return min(taken)


def _record(store: Path, calls: int, alternatives: int) -> None:
    writer = SegmentWriter(store)
    for first in range(0, calls, CALLS_A_SEGMENT):
        numbers = range(first, min(first + CALLS_A_SEGMENT, calls))
        writer.write("tokens", _tokens(numbers, alternatives))
        writer.write("spans", spans_table([row for number in numbers for row in _spans(number)]))


def _tokens(calls: range, alternatives: int) -> pa.Table:
    count = len(calls) * TOKENS_A_CALL
    words = pa.array([f" word{number}" for number in range(5000)])
    of_call = pa.array([number for number in calls for _ in range(TOKENS_A_CALL)], pa.int64())
    position = pa.array(list(range(TOKENS_A_CALL)) * len(calls), pa.int32())
    chosen = _drawn(count, 5000, calls.start)
    columns = {
        "run_id": pa.array([_run(number // CALLS_A_RUN) for number in calls for _ in range(TOKENS_A_CALL)]),
        "span_key": compute.add(of_call, 2**40).cast(pa.uint64()),
        "position": position,
        "sequence": compute.add(position.cast(pa.int64()), 1),
        "channel": compute.if_else(compute.less(position, 400), "thinking", "answer"),
        "text": words.take(chosen),
        "token_id": chosen,
        "logprob": _logprobs(count, calls.start + 1),
        "top": pa.nulls(count, TOKENS.field("top").type),
        "time_ns": compute.add(compute.multiply(position.cast(pa.int64()), 7_000_003), START),
        "granularity": pa.repeat(pa.scalar("token"), count),
        "merged": pa.repeat(pa.scalar(value=False), count),
        "chunk_tokens": pa.nulls(count, pa.int32()),
    }
    if alternatives:
        others = _drawn(count * alternatives, 5000, calls.start + 2)
        values = pa.StructArray.from_arrays(
            [others, words.take(others), _logprobs(count * alternatives, calls.start + 3)],
            fields=list(TOKENS.field("top").type.value_type),
        )
        offsets = pa.array(range(0, count * alternatives + 1, alternatives), pa.int32())
        columns["top"] = pa.ListArray.from_arrays(offsets, values, type=TOKENS.field("top").type)
    return pa.Table.from_arrays([columns[name] for name in TOKENS.names], schema=TOKENS)


def _drawn(count: int, most: int, seed: int) -> pa.Array:
    """Numbers below `most`, small ones more often, as words are."""
    drawn = compute.power(compute.random(count, initializer=seed), 4.0)
    return compute.floor(compute.multiply(drawn, float(most))).cast(pa.int32())


def _logprobs(count: int, seed: int) -> pa.Array:
    return compute.ln(compute.max_element_wise(compute.random(count, initializer=seed), 1e-6)).cast(pa.float32())


def _key(call: int) -> int:
    return 2**40 + call


def _run(number: int) -> str:
    return f"20261125-{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}-{number:06d}"


def _spans(call: int) -> Iterator[SpanRow]:
    run = call // CALLS_A_RUN
    about = {names.RUN_ID: _run(run), names.MODEL_NAME: "local:smollm2"}
    if call % CALLS_A_RUN == 0:
        strategy = ("self_consistency", "best_of_n", "tree_of_thought")[run % 3]
        told = {names.OPERATION: names.OPERATION_RUN, names.STRATEGY_NAME: strategy, names.RUN_STATUS: "ok"}
        yield _row(run + 2**50, f"invoke_workflow {strategy}", {**about, **told}, run)
    chat: dict[str, str | int] = {names.OPERATION: names.OPERATION_CHAT, names.CALL_STATUS: "ok"}
    chat[names.USAGE_OUTPUT] = TOKENS_A_CALL
    yield _row(_key(call), "chat local:smollm2", {**about, **chat}, run)
    for number in range(SPANS_A_CALL - 1):
        path = f"{call % CALLS_A_RUN}.{number}"
        branch = {names.BRANCH_PATH: path, names.BRANCH_PARENT: path[:1], names.BRANCH_STATE: "expanded"}
        yield _row(2**51 + call * SPANS_A_CALL + number, f"branch {path}", {**about, **branch}, run)


def _row(key: int, name: str, attributes: dict[str, str | int], run: int) -> SpanRow:
    return SpanRow(
        f"{run:032x}", f"{key:016x}", None, name, "INTERNAL", START, START + 10**9, "OK", None, attributes, [], [], {},
        "tttlab", "0", "", 1, 0, 0, 0,
    )  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
