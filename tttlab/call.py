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
from tttlab.tracing.recorder import Recorder, mark_error, set_known, span_id_of
from tttlab.types import CallIdentity, Channel, Completion, Message, Price, Problem, Request, Sampling


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
        self, context: CallContext, *, request: Request, identity: CallIdentity, role: str, channel: Channel | None,
        meter: Meter, parent: Any,
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
        self._span = context.recorder.start(
            f"{names.OPERATION_CHAT} {context.model.name}", self._opening(role), parent=parent,
            kind=SpanKind.CLIENT if getattr(context.model, "remote", False) else SpanKind.INTERNAL,
        )
        self.span_id = span_id_of(self._span)
        self._started_ns = time.time_ns()
        context.tell(CallStarted(self.span_id, identity, role, identity.branch))

    async def run(self) -> Completion:
        """Stream the call to its end. Raises `CallError` where it fails, `BudgetExhausted` where it may not start."""
        buffer = self._context.recorder.journal.token_buffer(self._context.run_id, self.span_id)
        status = "failed"
        try:
            self._meter.start_call()
            async with aclosing(self._context.model.stream(self._clipped())) as stream:  # type: ignore[type-var]
                async for event in stream:
                    if self._meter.stopping:
                        # The scope is cancelled already; what is queued behind must not be delivered any more.
                        await anyio.sleep_forever()
                    self._take(event, buffer.record)
            if self._fold.finish is None:
                raise CallError(f"{self._context.model.name}: the stream ended without saying that it had finished")
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
        if self._span.is_recording():
            self._span.set_attribute(names.CALL_DELIVERED, sequence)
        self.discard()

    def discard(self) -> None:
        """Hand the span to the store, ended when the stream ended. Harmless when done already."""
        if self._ended_ns is not None and self._span.is_recording():
            self._span.end(self._ended_ns)

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
            now[0] - old[0], now[1] - old[1], now[2] - old[2], now[3] - old[3],
            dollars - old[4] if price else None,
        )

    def _clipped(self) -> Request:
        """The request as it is sent: its tokens are capped one above what the budget leaves, so that it is seen to end."""
        left = self._meter.remaining().tokens
        sampling = self._asked.sampling
        if left is None or left + 1 >= sampling.max_tokens:
            return self._asked
        return replace(self._asked, sampling=replace(sampling, max_tokens=left + 1))

    def _completion(self) -> Completion:
        whole = self._fold.completion(self._context.price)
        return replace(whole, identity=self._identity, span_id=self.span_id)

    def _opening(self, role: str) -> dict[str, Any]:
        model, sampling = self._context.model, self._asked.sampling
        return {
            names.RUN_ID: self._context.run_id,
            names.OPERATION: names.OPERATION_CHAT,
            names.PROVIDER: getattr(model, "provider", "tttlab"),
            names.REQUEST_MODEL: model.name,
            names.REQUEST_STREAM: True,
            names.REQUEST_SEED: self._asked.seed,
            names.CALL_ROLE: role,
            names.CALL_DIGEST: self._identity.digest,
            names.CALL_ORDINAL: self._identity.ordinal,
            names.BRANCH_PATH: self._identity.branch,
            names.REASONING_SOURCE: "strategy" if self._channel else "model",
            names.INPUT_MESSAGES: [_message(message) for message in self._asked.messages],
            **sampling_attributes(sampling),
        }

    def _close(self, status: str) -> None:
        fold, context, span = self._fold, self._context, self._span
        self._ended_ns = time.time_ns()
        completion = self._completion()
        answer = context.problem.extract(completion.text) if status == "ok" and completion.text else None
        finish = fold.finish
        set_known(span, {
            names.CALL_STATUS: status,
            names.RESPONSE_FINISH_REASONS: [completion.finish_reason if finish else "error"],
            names.RESPONSE_MODEL: completion.served_model,
            names.RESPONSE_TIME_TO_FIRST_CHUNK: self._time_to_first(),
            names.USAGE_INPUT: fold.prompt_tokens, names.USAGE_OUTPUT: fold.output_tokens,
            names.USAGE_CACHED: fold.cached_tokens, names.USAGE_THINKING: fold.thinking_tokens,
            names.USAGE_DOLLARS: completion.usage.dollars,
            names.REASONING_VISIBILITY: self._visibility(completion),
            names.TOKENS_GRANULARITY: self._granularity,
            names.LOGPROB_STAGE: finish.logprob_stage if finish else None,
            names.LOGPROB_MEAN: completion.mean_logprob,
            names.CALL_NOTES: list(finish.notes) if finish and finish.notes else None,
            names.OUTPUT_MESSAGES: [_output(completion)],
            names.ANSWER_VALUE: answer,
            names.PROBLEM_EXTRACTOR: f"{context.problem.extractor.name}@{context.problem.extractor.version}",
        })
        context.tell(CallEnded(self.span_id, status, completion, answer))

    def _visibility(self, completion: Completion) -> str:
        return "full" if self._channel == "thinking" else completion.visibility

    def _time_to_first(self) -> float | None:
        return None if self._first_ns is None else max(0.0, (self._first_ns - self._started_ns) / 1e9)


def sampling_attributes(sampling: Sampling) -> dict[str, Any]:
    """The sampling options under their names in the conventions."""
    return {
        names.REQUEST_TEMPERATURE: sampling.temperature, names.REQUEST_MAX_TOKENS: sampling.max_tokens,
        names.REQUEST_TOP_P: sampling.top_p, names.REQUEST_TOP_K: sampling.top_k,
        names.SAMPLING_MIN_P: sampling.min_p, names.SAMPLING_LOGPROBS: sampling.logprobs,
        names.REQUEST_STOP: list(sampling.stop) or None, names.SAMPLING_GRAMMAR: sampling.grammar,
    }


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [{"type": "text", "content": message.text}]}


def _output(completion: Completion) -> dict[str, Any]:
    parts = []
    if completion.thinking:
        parts.append({"type": "reasoning", "content": completion.thinking})
    if completion.text or not parts:
        parts.append({"type": "text", "content": completion.text})
    return {"role": "assistant", "parts": parts, "finish_reason": completion.finish_reason}
