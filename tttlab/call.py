"""One model call inside a run: streamed, charged, recorded, and settled when the strategy has been given it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
from opentelemetry.trace import SpanKind, Status, StatusCode

from tttlab.errors import CallError
from tttlab.events import ChunkDelta, Delta, Finish, Fold, StreamEvent, TokenDelta, UsageUpdate
from tttlab.meter import Meter
from tttlab.progress import CallEnded, CallStarted, RunEvent, Streamed
from tttlab.protocols import Model, Watch, reports_dollars
from tttlab.store.recorded import reported
from tttlab.tracing import names
from tttlab.tracing.attributes import of_request, of_stream, rule_label
from tttlab.tracing.recorder import Recorder, mark_error, set_known, span_id_of
from tttlab.types import CallIdentity, Channel, Completion, Price, Problem, Request

if TYPE_CHECKING:
    from tttlab.replay import Replay
    from tttlab.store.recorded import RecordedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What the calls of one run share."""

    run_id: str
    model: Model
    price: Price | None
    problem: Problem
    recorder: Recorder
    next_sequence: Callable[[], int]
    tell: Callable[[RunEvent], None]
    stopped_by: Callable[[], str]
    """Why calls of this run are being cancelled now: `strategy`, `budget` or `user`."""
    model_digest: str | None = None
    model_facts: Mapping[str, Any] | None = None
    """Of another model than the run's, whose facts stand with the run."""
    reusable: bool = True
    """Whether what is recorded of this model may serve: an object that does not say what it is may have changed."""
    replay: Replay | None = None


class Call:
    """A model call in flight. `run` it once, then `deliver` or `discard` what it gave.

    Its span ends at the moment the stream ended, but is handed to the store only when it is known whether, and at
    which place in the run's order, the strategy was given the completion: replay needs that order.
    """

    def __init__(
        self,
        context: CallContext,
        *,
        request: Request,
        identity: CallIdentity,
        role: str,
        channel: Channel | None,
        meter: Meter,
        parent: Any,
        watch: Watch | None = None,
    ) -> None:
        """`watch` is asked about each delta, and ends the call where it says so."""
        self._context = context
        self._asked = request
        self._identity = identity
        self._channel = channel
        self._meter = meter
        self._fold = Fold()
        self._told_dollars = reports_dollars(context.model)
        self._first_ns: int | None = None
        self._ended_ns: int | None = None
        self._charged = (0, 0, 0, 0, 0.0)
        self._granularity: str | None = None
        self._role = role
        self._parent = parent
        self._watch = watch
        self._stopped = False
        self._span: Any = None
        self._record: RecordedCall | None = None
        self._deltas = 0
        self._reports: list[tuple[float | None, ...]] = []
        self.span_id = ""

    async def run(self) -> Completion:
        """Stream the call to its end, or to where its watch ends it: then it gives what it has, as `cancelled`.

        Raises `CallError` where it fails, `BudgetExhausted` where it may not start.
        """
        replay = self._context.replay if self._context.reusable else None
        if replay is not None:
            self._record = replay.find(self._identity, self._asked.seed, self._context.model_digest, self._channel)
            if self._record is None and replay.ends_here(self._identity, self._asked.seed):
                await anyio.sleep_forever()
        # A call that may not start, or is cancelled before it does, has no span: nothing was asked.
        self._meter.start_call(served=self._record is not None)
        if self._record is None and self._context.replay is not None:
            self._context.replay.begin_fresh(self._identity, self._asked)
        self._begin()
        buffer = self._context.recorder.journal.token_buffer(self._context.run_id, self.span_id)
        status, given = "failed", False
        try:
            await self._stream(buffer.record)
            given = True
            status = self._cancelled("strategy") if self._stopped else "ok"
        except BaseException as error:
            if isinstance(error, Exception):
                mark_error(self._span, error)
            else:
                status = self._cancelled(self._context.stopped_by())
            raise
        finally:
            buffer.close()
            completion = self._completion()
            self._close(status, completion, given=given)
            if not given:
                self.discard()
        return completion

    @property
    def record(self) -> RecordedCall | None:
        """What serves it; None before it began, and where nothing does."""
        return self._record

    async def turn_to_deliver(self) -> None:
        """In a replay: wait until all has happened that had happened before the strategy was given this call."""
        if self._context.replay and self._record:
            await self._context.replay.turn_to_deliver(self._record)

    def deliver(self, sequence: int) -> None:
        """Say that the strategy was given the completion, as the run's delivery number `sequence`."""
        if self._span is not None and self._span.is_recording():
            self._span.set_attribute(names.CALL_DELIVERED, sequence)
        self.discard()

    def discard(self) -> None:
        """Hand the span to the store, ended when the stream ended. Harmless when done already."""
        if self._ended_ns is not None and self._span is not None and self._span.is_recording():
            self._span.end(self._ended_ns)

    def _cancelled(self, by: str) -> str:
        self._charge_rest()
        self._span.set_status(Status(StatusCode.ERROR, f"cancelled by {by}"))
        self._span.set_attribute(names.CALL_CANCELLED_BY, by)
        return "cancelled"

    def _charge_rest(self) -> None:
        """Charge what the host had counted by the time a budget cut the call: it was spent, if nobody waits for it."""
        if self._record is None or not self._record.reports or not self._meter.stopping:
            return
        self._fold.add(reported(self._record.reports[-1]))
        self._charge()
        self._report()

    def _begin(self) -> None:
        context, identity, record = self._context, self._identity, self._record
        run = context.replay.run_of(record) if context.replay and record else None
        # A call that is served has the times at which it ran.
        self._started_ns = record.start_ns if record else time.time_ns()
        self._span = context.recorder.start(
            f"{names.OPERATION_CHAT} {context.model.name}",
            self._opening(self._role),
            parent=self._parent,
            kind=SpanKind.CLIENT if getattr(context.model, "remote", False) else SpanKind.INTERNAL,
            elsewhere=[(run.trace_id, record.span_key)] if run and record else [],
            start_ns=self._started_ns,
        )
        self.span_id = span_id_of(self._span)
        context.tell(CallStarted(self.span_id, identity, self._role, identity.branch))

    async def _stream(self, record: Callable[[int, Delta], None]) -> None:
        async with aclosing(self._source()) as stream:  # type: ignore[type-var]
            async for event in stream:
                if self._meter.stopping:
                    # The scope is cancelled already: text queued behind is not delivered any more, spend is counted.
                    if isinstance(event, (UsageUpdate, Finish)):
                        self._take(event, record)
                    await anyio.sleep_forever()
                self._take(event, record)
                if self._stopped:
                    return
        if self._fold.finish is None:
            raise CallError(f"{self._context.model.name}: the stream ended without saying that it had finished")

    def _source(self) -> AsyncIterator[StreamEvent]:
        if self._record is not None and self._context.replay is not None:
            return self._context.replay.stream(self._record)
        return self._context.model.stream(self._clipped())

    def _take(self, event: StreamEvent, record: Callable[[int, Delta], None]) -> None:
        if self._channel is not None and isinstance(event, (TokenDelta, ChunkDelta)):
            event = replace(event, channel=self._channel)
        self._fold.add(event)
        self._charge()
        if isinstance(event, UsageUpdate):
            self._report()
            return
        if isinstance(event, (TokenDelta, ChunkDelta)):
            self._deltas += 1
            if self._first_ns is None:
                self._first_ns = event.time_ns
                self._granularity = "token" if isinstance(event, TokenDelta) else "chunk"
            sequence = self._context.next_sequence()
            record(sequence, event)
            self._context.tell(Streamed(self.span_id, event, sequence))
            # A budget that is spent at this very token has ended the call already.
            if self._watch is not None and self._watch(event) and not self._meter.stopping:
                self._stopped = True

    def _report(self) -> None:
        """Note the host's own count, and when it came: a replay charges it at the same moment."""
        fold = self._fold
        counts = (fold.prompt_tokens, fold.cached_tokens, fold.output_tokens, fold.thinking_tokens, fold.dollars)
        if not self._reports or self._reports[-1][2:] != counts:
            self._reports.append((self._context.next_sequence(), self._deltas, *counts))

    def _charge(self) -> None:
        fold, price = self._fold, self._context.price
        known = price is not None or self._told_dollars
        dollars = fold.dollars if fold.dollars is not None else price.dollars(fold.usage()) if price else 0.0
        now = (fold.prompt_tokens, fold.cached_tokens, fold.output_tokens, fold.thinking_tokens, dollars)
        old = self._charged
        self._charged = now
        self._meter.charge(
            now[0] - old[0],
            now[1] - old[1],
            now[2] - old[2],
            now[3] - old[3],
            dollars - old[4] if known else None,
            served=self._record is not None,
        )

    def _clipped(self) -> Request:
        """The request as it is sent: capped one token above what the budget leaves, so that it is seen to end."""
        left = self._meter.remaining().tokens
        asked, thinking = self._asked, self._context.model.can.thinking
        if left is None or left + 1 >= asked.most_tokens(thinking=thinking):
            return asked
        sampling = replace(asked.sampling, max_tokens=min(left + 1, asked.sampling.max_tokens))
        return replace(asked, sampling=sampling, cap=left + 1)

    def _completion(self) -> Completion:
        whole = self._fold.completion(self._context.price)
        return replace(whole, identity=self._identity, span_id=self.span_id)

    def _opening(self, role: str) -> dict[str, Any]:
        server: tuple[str, int] | None = getattr(self._context.model, "server", None)
        return {
            names.RUN_ID: self._context.run_id,
            names.PROVIDER: getattr(self._context.model, "provider", "tttlab"),
            names.REQUEST_MODEL: self._context.model.name,
            names.SERVER_ADDRESS: server[0] if server else None,
            names.SERVER_PORT: server[1] if server else None,
            names.MODEL_PARAMETERS: getattr(self._context.model, "parameters", None),
            names.MODEL_DIGEST: self._context.model_digest,
            names.MODEL_FACTS: self._context.model_facts,
            names.CALL_BEGUN: self._context.next_sequence(),
            names.CALL_ROLE: role,
            names.CALL_DIGEST: self._identity.digest,
            names.CALL_ORDINAL: self._identity.ordinal,
            names.BRANCH_PATH: self._identity.branch,
            names.REASONING_SOURCE: "strategy" if self._channel else "model",
            **({names.REPLAY_OF: f"{self._record.span_key:016x}"} if self._record else {}),
            **({names.REPLAY_OF_RUN: self._record.run_id} if self._record else {}),
            **of_request(self._asked),
        }

    def _close(self, status: str, completion: Completion, *, given: bool) -> None:
        self._ended_ns = self._record.end_ns if self._record else time.time_ns()
        problem = self._context.problem
        answer = problem.extract(completion.text) if given and completion.text else None
        set_known(
            self._span,
            {
                **of_stream(self._fold, completion),
                names.CALL_STATUS: status,
                names.CALL_ENDED: self._context.next_sequence(),
                names.USAGE_REPORTS: json.dumps(self._reports),
                names.USAGE_ESTIMATED: self._fold.estimated or None,
                names.PRICE_SOURCE: self._price_source(),
                names.RESPONSE_TIME_TO_FIRST_CHUNK: self._time_to_first(),
                names.REASONING_VISIBILITY: self._visibility(completion),
                names.TOKENS_GRANULARITY: self._granularity,
                names.ANSWER_VALUE: answer,
                names.ANSWER_CORRECT: problem.correct(answer) if given else None,
                names.ANSWER_RAW: problem.extractor.find(completion.text) if answer is not None else None,
                names.PROBLEM_EXTRACTOR: rule_label(problem.extractor),
            },
        )
        if self._context.replay and self._record is None:
            self._context.replay.fresh += completion.usage
        self._context.tell(CallEnded(self.span_id, status, completion, answer))

    def _price_source(self) -> str | None:
        if self._fold.dollars is not None:
            return "reported by the host"
        return self._context.price.source if self._context.price else None

    def _visibility(self, completion: Completion) -> str:
        return "full" if self._channel == "thinking" else completion.visibility

    def _time_to_first(self) -> float | None:
        return None if self._first_ns is None else max(0.0, (self._first_ns - self._started_ns) / 1e9)
