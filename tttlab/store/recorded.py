"""What earlier runs of the same problem and seed recorded: the runs, their calls, and what each call streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tttlab.events import NO_ALTERNATIVES, Alternatives, ChunkDelta, Delta, Finish, TokenDelta, UsageUpdate
from tttlab.store.bundles import is_bundle
from tttlab.tracing import names
from tttlab.types import Answer, CallIdentity, Ran, ReasoningItem, Usage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_WITHOUT_DOLLARS = 6
Ranked = tuple[int, Delta | UsageUpdate]
"""What a call streamed, with its number among all that happened in the run."""

# Asked of the stored spans themselves: to plan queries over the views would cost more than to answer these.
_RUNS = """
SELECT run_id, trace_id, span_key, status, strategy, model, start_ns, end_ns, prompt_tokens, cached_tokens,
    output_tokens, thinking_tokens, calls, dollars, attributes
FROM stored_spans
WHERE operation = 'invoke_workflow' AND seed = $seed AND attributes ->> '$."tttlab.problem.prompt"' = $prompt
ORDER BY start_ns, run_id, end_ns NULLS FIRST
"""
_CALLS = """
SELECT run_id, span_key, digest, branch, ordinal, seed, status, cancelled_by, status_message, finish_reason,
    prompt_tokens, cached_tokens, output_tokens, thinking_tokens, start_ns, end_ns, sequence, model, logprob_stage,
    attributes
FROM stored_spans
WHERE operation = 'chat' AND end_ns IS NOT NULL AND list_contains($runs, run_id)
"""
_PROGRAMS = """
SELECT run_id, branch, attributes FROM stored_spans
WHERE list_contains($runs, run_id) AND operation = 'execute_tool' AND end_ns IS NOT NULL
    AND (attributes ->> '$."tttlab.code.outcome"') IS NOT NULL
ORDER BY run_id, start_ns
"""
_ANSWERS = """
SELECT answer, confidence, attributes FROM stored_spans
WHERE run_id = $run AND name = 'propose' AND scope_name = 'tttlab' AND end_ns IS NOT NULL
    AND (attributes ->> '$."tttlab.answer.nested"') IS NULL
ORDER BY sequence
"""
_TOKENS = "SELECT * EXCLUDE (entropy_topk) FROM stored_tokens WHERE run_id = $run ORDER BY span_key, position"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run, as its root span says it. One without an end still runs, or was killed: its status is `incomplete`."""

    run_id: str
    trace_id: str
    span_key: int
    status: str
    start_ns: int
    seconds: float
    plan: Mapping[str, Any]
    """What makes another run the same run: see `tttlab.plan.Plan.identity`."""
    sources: Mapping[str, Mapping[str, str]]
    """Where each option came from: see `tttlab.plan.Plan.sources`."""
    model_facts: Mapping[str, Any]
    model_digest: str | None
    calls: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """A call that has ended: what it was, and how it ended. What it streamed is in `Records.events`."""

    run_id: str
    span_key: int
    identity: CallIdentity
    seed: int
    status: str
    cancelled_by: str | None
    error: str | None
    finish: Finish | None
    usage: Usage
    reports: Sequence[Sequence[float | None]] | None
    """The host's own counts: (number in the run, deltas before it, prompt, cached, output, thinking, dollars).

    None in what was recorded before they were noted.
    """
    start_ns: int
    end_ns: int
    delivered: int | None
    ended: int
    model: str
    model_digest: str | None
    reasoning: Sequence[ReasoningItem]
    attributes: Mapping[str, Any]


class Records:
    """What a store holds of runs of one problem with one seed, read once; tokens are read when they are asked for."""

    def __init__(self, store: Path, prompt: str, seed: int) -> None:
        """Read it. Raises `StoreError`."""
        self._store = store
        self._connection: DuckDBPyConnection | None = None
        self._events: dict[str, dict[int, list[Delta]]] = {}
        self._sequences: dict[int, list[int]] = {}
        self.runs: dict[str, RecordedRun] = {}
        self.calls: list[RecordedCall] = []
        if not store.is_dir() and not is_bundle(store.parent):
            return
        from tttlab.store.columns import storable

        rows = self._ask(_RUNS, {"prompt": storable(prompt), "seed": seed})
        # Of a run's two rows, that of its end is the later one.
        self.runs = {row["run_id"]: recorded_run(row) for row in rows}
        if self.runs:
            place = {run_id: index for index, run_id in enumerate(self.runs)}
            calls = [_call(row) for row in self._ask(_CALLS, {"runs": list(self.runs)})]
            self.calls = sorted(calls, key=lambda call: place[call.run_id])

    @cached_property
    def programs(self) -> Mapping[tuple[str, str], Sequence[Ran]]:
        """How programs ended that runs ran, in order: by run and `program_key`."""
        found: dict[tuple[str, str], list[Ran]] = {}
        for row in self._ask(_PROGRAMS, {"runs": list(self.runs)}) if self.runs else ():
            said = json.loads(row["attributes"])
            key = program_key(row["branch"] or "", said[names.TOOL_ARGUMENTS], said.get(names.CODE_LIMITS) or {})
            found.setdefault((row["run_id"], key), []).append(_ran(said))
        return found

    @cached_property
    def by_identity(self) -> Mapping[tuple[CallIdentity, int], Sequence[RecordedCall]]:
        """The calls of an identity and a seed, the latest run's last."""
        found: dict[tuple[CallIdentity, int], list[RecordedCall]] = {}
        for call in self.calls:
            found.setdefault((call.identity, call.seed), []).append(call)
        return found

    def answers(self, run_id: str) -> list[tuple[str, Answer]]:
        """What a run proposed, without its votes, first to last, each with the path of the branch that did."""
        return [_answer(row) for row in self._ask(_ANSWERS, {"run": run_id})]

    def events(self, call: RecordedCall) -> Iterator[Ranked]:
        """What a call streamed, in order, and the host's counts between."""
        deltas = self._deltas(call)
        sequences = self._sequences.get(call.span_key, [])
        reports = _guessed(call, len(deltas)) if call.reports is None else list(call.reports)
        for position in range(len(deltas) + 1):
            while reports and (reports[0][1] or 0) <= position:
                report = reports.pop(0)
                yield int(report[0] or 0), reported(report)
            if position < len(deltas):
                yield sequences[position], deltas[position]

    def is_whole(self, call: RecordedCall) -> bool:
        """Whether the tokens of the call are all there: those of a file that was damaged are not."""
        [said] = call.attributes.get(names.OUTPUT_MESSAGES) or [{"parts": ()}]
        lengths = {"reasoning": 0, "text": 0} | {part["type"]: _length(part["content"]) for part in said["parts"]}
        texts: dict[str, list[str]] = {"thinking": [], "answer": []}
        for delta in self._deltas(call):
            texts["thinking" if delta.channel == "thinking" else "answer"].append(delta.text)
        found = {channel: _length("".join(parts)) for channel, parts in texts.items()}
        return found == {"thinking": lengths["reasoning"], "answer": lengths["text"]}

    def _deltas(self, call: RecordedCall) -> list[Delta]:
        if call.run_id not in self._events:
            self._read_tokens(call.run_id)
        return self._events[call.run_id].get(call.span_key, [])

    def _read_tokens(self, run_id: str) -> None:
        calls: dict[int, list[Delta]] = {}
        for row in self._ask(_TOKENS, {"run": run_id}):
            calls.setdefault(row["span_key"], []).append(_delta(row))
            self._sequences.setdefault(row["span_key"], []).append(row["sequence"])
        self._events[run_id] = calls

    def close(self) -> None:
        """Give up the connection: one that stays open keeps the files that it sees from being removed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        from tttlab.store.database import connect
        from tttlab.store.queries import query

        if self._connection is None:
            self._connection = connect(self._store, views=False)
        rows: list[dict[str, Any]] = query(self._connection, sql, parameters).to_pylist()
        return rows


_WHERE_GIVEN = {"thinking": names.RUN_THINKING, "labels": names.RUN_LABELS, "check": names.PROBLEM_CHECK}


def recorded_run(row: Mapping[str, Any]) -> RecordedRun:
    """The run of a root span's row."""
    said = json.loads(row["attributes"])
    return RecordedRun(
        run_id=row["run_id"],
        trace_id=row["trace_id"],
        span_key=row["span_key"],
        status="incomplete" if row["end_ns"] is None else row["status"],
        start_ns=row["start_ns"],
        seconds=((row["end_ns"] or row["start_ns"]) - row["start_ns"]) / 1e9,
        plan={
            "strategy": row["strategy"],
            "parameters": said.get(names.STRATEGY_PARAMETERS, {}),
            "model": row["model"],
            "budget": said.get(names.RUN_BUDGET),
            "extractor": said.get(names.PROBLEM_EXTRACTOR),
            "reference": said.get(names.PROBLEM_REFERENCE),
            "problem": said.get(names.PROBLEM_ID),
            **{name: told for name, where in _WHERE_GIVEN.items() if (told := said.get(where))},
        },
        sources=said.get(names.RUN_OPTIONS) or {},
        model_facts=said.get(names.MODEL_FACTS) or {},
        model_digest=(said.get(names.MODEL_IDENTITY) or {}).get("digest"),
        calls=row["calls"] or 0,
        usage=Usage(
            prompt_tokens=row["prompt_tokens"] or 0,
            cached_tokens=row["cached_tokens"] or 0,
            output_tokens=row["output_tokens"] or 0,
            thinking_tokens=row["thinking_tokens"] or 0,
            calls=row["calls"] or 0,
            dollars=row["dollars"],
        ),
    )


def _answer(row: Mapping[str, Any]) -> tuple[str, Answer]:
    said = json.loads(row["attributes"])
    answer = Answer(
        value=row["answer"],
        confidence=row["confidence"],
        spent=_usage(said, names.SPENT_PREFIX),
        basis=_usage(said, names.BASIS_PREFIX),
        sequence=said.get(names.ANSWER_SEQUENCE) or 0,
    )
    return said.get(names.BRANCH_PATH) or "", answer


def _usage(said: Mapping[str, Any], prefix: str) -> Usage:
    counts = {name: said.get(prefix + name) for name in asdict(Usage())}
    dollars = counts.pop("dollars")
    return Usage(**{name: count or 0 for name, count in counts.items()}, dollars=dollars)


def _call(row: Mapping[str, Any]) -> RecordedCall:
    said = json.loads(row["attributes"])
    usage = Usage(
        prompt_tokens=row["prompt_tokens"] or 0,
        cached_tokens=row["cached_tokens"] or 0,
        output_tokens=row["output_tokens"] or 0,
        thinking_tokens=row["thinking_tokens"] or 0,
    )
    return RecordedCall(
        run_id=row["run_id"],
        span_key=row["span_key"],
        identity=CallIdentity(row["digest"], row["branch"] or "", row["ordinal"]),
        seed=row["seed"],
        status=row["status"],
        cancelled_by=row["cancelled_by"],
        error=row["status_message"],
        finish=_finish(row, said),
        usage=usage,
        reports=json.loads(said[names.USAGE_REPORTS]) if names.USAGE_REPORTS in said else None,
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        delivered=row["sequence"],
        ended=said.get(names.CALL_ENDED, 0),
        model=row["model"],
        model_digest=said.get(names.MODEL_DIGEST),
        reasoning=[ReasoningItem(*each) for each in json.loads(said.get(names.REASONING_ITEMS, "[]"))],
        attributes=said,
    )


def reported(report: Sequence[float | None]) -> UsageUpdate:
    """A host's own count, as a call noted it; what was recorded before dollars were noted ends before them."""
    prompt, cached, output, thinking = (int(count or 0) for count in report[2:6])
    counted = Usage(prompt_tokens=prompt, cached_tokens=cached, output_tokens=output, thinking_tokens=thinking)
    return UsageUpdate(counted, report[6] if len(report) > _WITHOUT_DOLLARS else None)


def _guessed(call: RecordedCall, deltas: int) -> list[tuple[int, ...]]:
    """Counts for a call of which none were noted: its prompt first, the rest at its end."""
    usage = call.usage
    first = (0, 0, usage.prompt_tokens, usage.cached_tokens, 0, 0)
    last = (0, deltas, usage.prompt_tokens, usage.cached_tokens, usage.output_tokens, usage.thinking_tokens)
    return [first, last] if call.status == "ok" else [first]


def _length(text: str) -> int:
    # In UTF-16: a character whose halves came in two tokens is one in the whole and two there.
    return len(text.encode("utf-16-le", "surrogatepass"))


def _finish(row: Mapping[str, Any], said: Mapping[str, Any]) -> Finish | None:
    if row["status"] != "ok":
        return None
    return Finish(
        row["finish_reason"],
        visibility=said.get(names.REASONING_VISIBILITY, "none"),
        served_model=said.get(names.RESPONSE_MODEL),
        logprob_stage=row["logprob_stage"],
        notes=tuple(said.get(names.CALL_NOTES) or ()),
        response_id=said.get(names.RESPONSE_ID),
    )


def program_key(branch: str, arguments: str, limits: Mapping[str, Any]) -> str:
    """What makes a program the same program: where it was run, what was run, and within which limits."""
    return json.dumps([branch, arguments, dict(limits)], sort_keys=True)


def _ran(said: Mapping[str, Any]) -> Ran:
    printed = json.loads(said[names.TOOL_RESULT])
    return Ran(
        outcome=said[names.CODE_OUTCOME],
        stdout=printed["stdout"],
        stderr=printed["stderr"],
        exit_code=said.get(names.CODE_EXIT),
        seconds=said[names.CODE_SECONDS],
        isolation=said[names.CODE_ISOLATION],
    )


def _delta(row: Mapping[str, Any]) -> Delta:
    if row["granularity"] == "chunk":
        return ChunkDelta(row["text"], row["time_ns"], row["channel"], row["chunk_tokens"])
    top = row["top"]
    return TokenDelta(
        row["text"],
        row["time_ns"],
        row["token_id"],
        row["logprob"],
        Alternatives(
            tuple([each["token_id"] for each in top]),
            tuple([each["text"] for each in top]),
            tuple([each["logprob"] for each in top]),
        )
        if top
        else NO_ALTERNATIVES,
        row["channel"],
        row["merged"],
    )
