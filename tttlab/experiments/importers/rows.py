"""Logged runs as the rows of the store: the same spans under the same names that tttlab's own runs have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from tttlab.experiments.importers.logged import LoggedAnswer, LoggedBranch, LoggedCall, LoggedRun, LoggedVerdict
from tttlab.tracing import names
from tttlab.tracing.attributes import known, of_message, tally
from tttlab.tracing.rows import SpanRow

UNKNOWN_NS = 0
"""The start of a span whose times the log does not say: NULL in the store."""
_VERSION = version("tttlab")
_RESOURCE = {"service.name": "tttlab", "service.version": _VERSION}
_USAGE = {
    "prompt_tokens": names.USAGE_INPUT,
    "cached_tokens": names.USAGE_CACHED,
    "output_tokens": names.USAGE_OUTPUT,
    "thinking_tokens": names.USAGE_THINKING,
    "calls": names.USAGE_CALLS,
    "dollars": names.USAGE_DOLLARS,
}


class RunRows:
    """The rows of one run. Its ids follow from the run's own id alone, so that the same run has the same ones again.

    The ids of its spans count up in the order of the log, which is their order where no times are known.
    """

    def __init__(self, run: LoggedRun, run_id: str, facts: Mapping[str, Any], now_ns: int) -> None:
        """`facts` are recorded with the run; `now_ns` is the end of spans whose times are unknown."""
        digest = hashlib.sha256(run_id.encode()).hexdigest()
        self._run = run
        self._run_id = run_id
        self._facts = facts
        self._now_ns = now_ns
        self._trace = digest[:32]
        self._key = int(digest[32:48], 16) >> 1 or 1
        self._sequence = 0
        self._spans: dict[str, str] = {}

    def __iter__(self) -> Iterator[SpanRow]:
        run = self._run
        self._spans[""] = self._peek()
        yield self._row(f"{names.OPERATION_RUN} {run.strategy}", self._of_run(), times=run.times, parent=None)
        for branch in run.branches:
            self._spans[branch.path] = self._peek()
            above = branch.path.rpartition(".")[0]
            yield self._row(f"{names.SPAN_BRANCH} {branch.path}", self._of_branch(branch), parent=above)
        for ordinal, call in enumerate(run.calls):
            name = f"{names.OPERATION_CHAT} {call.model or run.model}"
            yield self._row(name, self._of_call(call, ordinal), parent=call.branch, times=call.times, error=call.error)
        for verdict in run.verdicts:
            name = f"{names.SPAN_VERIFY} {verdict.verifier}"
            yield self._row(name, self._of_verdict(verdict), parent=verdict.branch)
        for answer in run.answers:
            yield self._row(names.SPAN_PROPOSE, self._of_answer(answer), parent=answer.branch)

    def _of_run(self) -> dict[str, Any]:
        run, last = self._run, self._run.answers[-1] if self._run.answers else None
        return {
            names.OPERATION: names.OPERATION_RUN,
            names.WORKFLOW_NAME: run.strategy,
            names.STRATEGY_NAME: run.strategy,
            names.STRATEGY_PARAMETERS: dict(run.parameters),
            names.MODEL_NAME: run.model,
            names.PROBLEM_ID: run.problem,
            names.PROBLEM_PROMPT: run.prompt,
            names.PROBLEM_REFERENCE: run.reference,
            names.PROBLEM_EXTRACTOR: run.extractor,
            names.PROBLEM_CHECK: run.check,
            names.RUN_STATUS: run.status,
            names.RUN_ERROR: run.error,
            names.ANSWER_VALUE: last.value if last else None,
            names.ANSWER_CONFIDENCE: last.confidence if last else None,
            names.ANSWER_CORRECT: last.correct if last else None,
            names.IMPORTED_PLACE: run.place,
            **self._facts,
            **{name: getattr(run.usage, field) for field, name in _USAGE.items()},
        }

    def _of_branch(self, branch: LoggedBranch) -> dict[str, Any]:
        above, _, index = branch.path.rpartition(".")
        return {
            names.BRANCH_PATH: branch.path,
            names.BRANCH_PARENT: above,
            names.BRANCH_INDEX: int(index),
            names.BRANCH_DEPTH: branch.path.count(".") + 1,
            names.BRANCH_STATE: branch.state,
            names.BRANCH_SCORE: branch.score,
            **{names.BRANCH_PREFIX + name: value for name, value in branch.facts.items()},
        }

    def _of_call(self, call: LoggedCall, ordinal: int) -> dict[str, Any]:
        return {
            names.OPERATION: names.OPERATION_CHAT,
            names.REQUEST_MODEL: call.model or self._run.model,
            names.CALL_ROLE: call.role,
            names.CALL_STATUS: call.status,
            names.CALL_ORDINAL: ordinal,
            names.CALL_DELIVERED: self._next() if call.status == "ok" else None,
            names.BRANCH_PATH: call.branch,
            names.REASONING_SOURCE: "model",
            names.REQUEST_TEMPERATURE: call.temperature,
            names.REQUEST_MAX_TOKENS: call.max_tokens,
            names.REQUEST_SEED: call.seed,
            names.RESPONSE_FINISH_REASONS: [call.finish_reason] if call.finish_reason else None,
            names.INPUT_MESSAGES: [of_message(message) for message in call.messages] or None,
            names.OUTPUT_MESSAGES: [_said(call)],
            names.LOGPROB_MEAN: call.mean_logprob,
            names.ANSWER_VALUE: call.answer,
            names.ANSWER_RAW: call.raw_answer,
            names.ANSWER_CORRECT: call.correct,
            names.PROBLEM_EXTRACTOR: self._run.extractor,
            **{name: getattr(call.usage, field) for field, name in _USAGE.items()},
        }

    def _of_verdict(self, verdict: LoggedVerdict) -> dict[str, Any]:
        return {
            names.VERIFIER_NAME: verdict.verifier,
            names.VERDICT_CANDIDATE: verdict.candidate,
            names.VERDICT_SCORE: verdict.score,
            names.VERDICT_PASSED: verdict.passed,
            names.VERDICT_EXPLANATION: verdict.explanation,
            names.VERDICT_ERROR: verdict.error,
            names.VERDICT_SEQUENCE: self._next(),
            names.BRANCH_PATH: verdict.branch,
        }

    def _of_answer(self, answer: LoggedAnswer) -> dict[str, Any]:
        return {
            names.ANSWER_VALUE: answer.value,
            names.ANSWER_CORRECT: answer.correct,
            names.ANSWER_CONFIDENCE: answer.confidence,
            names.ANSWER_SEQUENCE: self._next(),
            names.VOTE_TALLY: None if answer.votes is None else tally(answer.votes),
            names.BRANCH_PATH: answer.branch,
            **{names.SPENT_PREFIX + field: value for field, value in asdict(answer.usage).items()},
        }

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _peek(self) -> str:
        return format(self._key, "016x")

    def _row(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        parent: str | None,
        times: tuple[int, int] | None = None,
        error: str | None = None,
    ) -> SpanRow:
        span, self._key = self._peek(), self._key + 1
        start_ns, end_ns = times or (UNKNOWN_NS, self._now_ns)
        return SpanRow(
            trace_id=self._trace,
            span_id=span,
            # What stands in a branch that the log does not show is below the run itself.
            parent_span_id=None if parent is None else self._spans.get(parent, self._spans[""]),
            name=name,
            kind="INTERNAL",
            start_ns=start_ns,
            end_ns=end_ns,
            status_code="ERROR" if error else "UNSET",
            status_message=error,
            attributes=known({names.RUN_ID: self._run_id, **attributes}),
            events=(),
            links=(),
            resource=_RESOURCE,
            scope_name="tttlab",
            scope_version=_VERSION,
            trace_state="",
            flags=1,
            dropped_attributes=0,
            dropped_events=0,
            dropped_links=0,
        )


def _said(call: LoggedCall) -> dict[str, Any]:
    parts = [{"type": "reasoning", "content": call.thinking}] if call.thinking else []
    return {"role": "assistant", "parts": [*parts, {"type": "text", "content": call.text}]}
