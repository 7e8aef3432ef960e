"""One model call inside a run: streamed, charged, recorded, and settled when the strategy has been given it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import anyio
from opentelemetry.trace import SpanKind, Status, StatusCode

from tttlab.errors import CallError
from tttlab.events import ChunkDelta, Delta, Finish, Fold, StreamEvent, TokenDelta, UsageUpdate
from tttlab.meter import Meter
from tttlab.progress import CallEnded, CallStarted, RunEvent, Streamed
from tttlab.protocols import Model
from tttlab.tracing import names
from tttlab.tracing.attributes import extractor_label, of_request, of_stream
from tttlab.tracing.recorder import Recorder, mark_error, set_known, span_id_of
from tttlab.types import CallIdentity, Channel, Completion, Price, Problem, Request


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
    ) -> None:
        self._context = context
        self._asked = request
        self._identity = identity
        self._channel = channel
        self._meter = meter
        self._fold = Fold()
        self._first_ns: int | None = None
        self._ended_ns: int | None = None
        self._charged = (0, 0, 0, 0, 0.0)
        self._granularity: str | None = None
        self._role = role
        self._parent = parent
        self._span: Any = None
        self.span_id = ""

    async def run(self) -> Completion:
        """Stream the call to its end. Raises `CallError` where it fails, `BudgetExhausted` where it may not start."""
        # A call that may not start, or is cancelled before it does, has no span: nothing was asked.
        self._meter.start_call()
        self._begin()
        buffer = self._context.recorder.journal.token_buffer(self._context.run_id, self.span_id)
        status = "failed"
        try:
            await self._stream(buffer.record)
            status = "ok"
        except BaseException as error:
            if isinstance(error, Exception):
                mark_error(self._span, error)
            else:
                status = "cancelled"
                self._span.set_status(Status(StatusCode.ERROR, f"cancelled by {self._context.stopped_by()}"))
                self._span.set_attribute(names.CALL_CANCELLED_BY, self._context.stopped_by())
            raise
        finally:
            buffer.close()
            self._close(status)
            if status != "ok":
                self.discard()
        return self._completion()

    def deliver(self, sequence: int) -> None:
        """Say that the strategy was given the completion, as the run's delivery number `sequence`."""
        if self._span is not None and self._span.is_recording():
            self._span.set_attribute(names.CALL_DELIVERED, sequence)
        self.discard()

    def discard(self) -> None:
        """Hand the span to the store, ended when the stream ended. Harmless when done already."""
        if self._ended_ns is not None and self._span is not None and self._span.is_recording():
            self._span.end(self._ended_ns)

    def _begin(self) -> None:
        context, identity = self._context, self._identity
        self._span = context.recorder.start(
            f"{names.OPERATION_CHAT} {context.model.name}",
            self._opening(self._role),
            parent=self._parent,
            kind=SpanKind.CLIENT if getattr(context.model, "remote", False) else SpanKind.INTERNAL,
        )
        self.span_id = span_id_of(self._span)
        self._started_ns = time.time_ns()
        context.tell(CallStarted(self.span_id, identity, self._role, identity.branch))

    async def _stream(self, record: Callable[[int, Delta], None]) -> None:
        async with aclosing(self._context.model.stream(self._clipped())) as stream:  # type: ignore[type-var]
            async for event in stream:
                if self._meter.stopping:
                    # The scope is cancelled already: text queued behind is not delivered any more, spend is counted.
                    if isinstance(event, (UsageUpdate, Finish)):
                        self._take(event, record)
                    await anyio.sleep_forever()
                self._take(event, record)
        if self._fold.finish is None:
            raise CallError(f"{self._context.model.name}: the stream ended without saying that it had finished")

    def _take(self, event: StreamEvent, record: Callable[[int, Delta], None]) -> None:
        if self._channel is not None and not isinstance(event, (UsageUpdate, Finish)):
            event = replace(event, channel=self._channel)
        self._fold.add(event)
        self._charge()
        if isinstance(event, (TokenDelta, ChunkDelta)):
            if self._first_ns is None:
                self._first_ns = event.time_ns
                self._granularity = "token" if isinstance(event, TokenDelta) else "chunk"
            sequence = self._context.next_sequence()
            record(sequence, event)
            self._context.tell(Streamed(self.span_id, event, sequence))

    def _charge(self) -> None:
        fold, price = self._fold, self._context.price
        dollars = price.dollars(fold.usage()) if price else 0.0
        now = (fold.prompt_tokens, fold.cached_tokens, fold.output_tokens, fold.thinking_tokens, dollars)
        old = self._charged
        self._charged = now
        self._meter.charge(
            now[0] - old[0],
            now[1] - old[1],
            now[2] - old[2],
            now[3] - old[3],
            dollars - old[4] if price else None,
        )

    def _clipped(self) -> Request:
        """The request as it is sent: capped one token above what the budget leaves, so that it is seen to end."""
        left = self._meter.remaining().tokens
        sampling = self._asked.sampling
        if left is None or left + 1 >= sampling.max_tokens:
            return self._asked
        return replace(self._asked, sampling=replace(sampling, max_tokens=left + 1))

    def _completion(self) -> Completion:
        whole = self._fold.completion(self._context.price)
        return replace(whole, identity=self._identity, span_id=self.span_id)

    def _opening(self, role: str) -> dict[str, Any]:
        return {
            names.RUN_ID: self._context.run_id,
            names.PROVIDER: getattr(self._context.model, "provider", "tttlab"),
            names.REQUEST_MODEL: self._context.model.name,
            names.MODEL_PARAMETERS: getattr(self._context.model, "parameters", None),
            names.CALL_ROLE: role,
            names.CALL_DIGEST: self._identity.digest,
            names.CALL_ORDINAL: self._identity.ordinal,
            names.BRANCH_PATH: self._identity.branch,
            names.REASONING_SOURCE: "strategy" if self._channel else "model",
            **of_request(self._asked),
        }

    def _close(self, status: str) -> None:
        self._ended_ns = time.time_ns()
        problem, completion = self._context.problem, self._completion()
        answer = problem.extract(completion.text) if status == "ok" and completion.text else None
        set_known(
            self._span,
            {
                **of_stream(self._fold, completion),
                names.CALL_STATUS: status,
                names.RESPONSE_TIME_TO_FIRST_CHUNK: self._time_to_first(),
                names.REASONING_VISIBILITY: self._visibility(completion),
                names.TOKENS_GRANULARITY: self._granularity,
                names.ANSWER_VALUE: answer,
                names.ANSWER_RAW: problem.extractor.find(completion.text) if answer is not None else None,
                names.PROBLEM_EXTRACTOR: extractor_label(problem.extractor),
            },
        )
        self._context.tell(CallEnded(self.span_id, status, completion, answer))

    def _visibility(self, completion: Completion) -> str:
        return "full" if self._channel == "thinking" else completion.visibility

    def _time_to_first(self) -> float | None:
        return None if self._first_ns is None else max(0.0, (self._first_ns - self._started_ns) / 1e9)
