"""How values are written as span attributes. None is left out when a span is given them: absent says unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tttlab.answers import Check, Extractor
from tttlab.events import Fold
from tttlab.tracing import names
from tttlab.types import Answer, Completion, Message, Problem, Request, Sampling, Usage, Verdict

_EMPTY = "\u2400"


def of_request(request: Request) -> dict[str, Any]:
    """What a call asks: its messages, its seed, and how it is sampled."""
    return {
        names.OPERATION: names.OPERATION_CHAT,
        names.REQUEST_STREAM: True,
        names.REQUEST_SEED: request.seed,
        names.INPUT_MESSAGES: [of_message(message) for message in request.messages],
        **of_sampling(request.sampling),
    }


def of_sampling(sampling: Sampling) -> dict[str, Any]:
    """How a completion is drawn."""
    return {
        names.REQUEST_TEMPERATURE: sampling.temperature,
        names.REQUEST_MAX_TOKENS: sampling.max_tokens,
        names.REQUEST_TOP_P: sampling.top_p,
        names.REQUEST_TOP_K: sampling.top_k,
        names.SAMPLING_MIN_P: sampling.min_p,
        names.SAMPLING_LOGPROBS: sampling.logprobs,
        names.REQUEST_STOP: list(sampling.stop) or None,
        names.SAMPLING_GRAMMAR: sampling.grammar,
        names.SAMPLING_THINKING_BUDGET: sampling.thinking_budget,
        names.REQUEST_EFFORT: sampling.effort,
    }


def of_stream(fold: Fold, completion: Completion) -> dict[str, Any]:
    """What a call gave, whole or cut."""
    finish = fold.finish
    return {
        # The conventions have no reason for a choice that never finished but `error`.
        names.RESPONSE_FINISH_REASONS: [completion.finish_reason if finish else "error"],
        names.RESPONSE_ID: finish.response_id if finish else None,
        names.RESPONSE_MODEL: completion.served_model,
        names.OUTPUT_MESSAGES: [_output(completion)],
        names.LOGPROB_STAGE: finish.logprob_stage if finish else None,
        names.LOGPROB_MEAN: completion.mean_logprob,
        names.CALL_NOTES: list(finish.notes) if finish and finish.notes else None,
        names.REASONING_ITEMS: json.dumps([[item.wire, item.content] for item in completion.reasoning])
        if completion.reasoning
        else None,
        **of_usage(completion.usage),
    }


def of_usage(usage: Usage) -> dict[str, Any]:
    """What was spent, under the conventions' names."""
    return {
        names.USAGE_INPUT: usage.prompt_tokens,
        names.USAGE_CACHED: usage.cached_tokens,
        names.USAGE_OUTPUT: usage.output_tokens,
        names.USAGE_THINKING: usage.thinking_tokens,
        names.USAGE_CALLS: usage.calls,
        names.USAGE_DOLLARS: usage.dollars,
    }


def of_problem(problem: Problem) -> dict[str, Any]:
    """The problem, with its reference."""
    return {
        names.PROBLEM_ID: problem.id,
        names.PROBLEM_PROMPT: problem.prompt,
        names.PROBLEM_REFERENCE: problem.reference,
        names.PROBLEM_EXTRACTOR: rule_label(problem.extractor),
        names.PROBLEM_CHECK: rule_label(problem.check) if problem.check else None,
    }


def rule_label(rule: Extractor | Check) -> str:
    """`final_answer@1`: an extraction can be done again only by the same version of the same rule."""
    return f"{rule.name}@{rule.version}"


def of_answer(answer: Answer, problem: Problem) -> dict[str, Any]:
    """A proposal. Whether it is right is recorded here, and told to no strategy."""
    return {
        names.ANSWER_VALUE: answer.value,
        names.ANSWER_CONFIDENCE: answer.confidence,
        names.ANSWER_CORRECT: problem.correct(answer.value),
        names.ANSWER_SEQUENCE: answer.sequence,
        names.VOTE_TALLY: None if answer.votes is None else tally(answer.votes),
        **_prefixed(names.SPENT_PREFIX, _fields_of(answer.spent)),
        **_prefixed(names.BASIS_PREFIX, _fields_of(answer.basis)),
    }


def tally(votes: Mapping[str, float]) -> dict[str, float]:
    """The votes under names that OpenTelemetry keeps: it drops an empty one.

    The empty candidate is written `␀`; one that is made of these signs alone has one more, so that no two are the same.
    The view `votes` takes it away again.
    """
    return {candidate if candidate.strip(_EMPTY) else candidate + _EMPTY: weight for candidate, weight in votes.items()}


def of_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict, on the span of its verification."""
    return {
        names.VERDICT_SCORE: verdict.score,
        names.VERDICT_PASSED: verdict.passed,
        names.VERDICT_EXPLANATION: verdict.explanation or None,
        names.VERDICT_ERROR: verdict.error,
    }


def of_evaluation(verifier: str, verdict: Verdict) -> dict[str, Any]:
    """The same verdict as the conventions' evaluation event, for other tools."""
    label = {True: "pass", False: "fail", None: None}[verdict.passed]
    return known(
        {
            names.EVALUATION_NAME: verifier,
            names.EVALUATION_SCORE: verdict.score,
            names.EVALUATION_LABEL: label,
            names.EVALUATION_EXPLANATION: verdict.explanation or None,
            names.ERROR_TYPE: verdict.error.split(":")[0] if verdict.error else None,
        }
    )


def known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {key: value for key, value in attributes.items() if value is not None}


_USAGE = tuple(item.name for item in fields(Usage))


def _fields_of(usage: Usage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in _USAGE}  # `asdict` copies each number deeply.


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + key: value for key, value in values.items()}


def of_message(message: Message) -> dict[str, Any]:
    """A turn of a conversation, as the conventions have it."""
    items = [
        {"type": "reasoning", "content": "", "wire": item.wire, "item": item.content} for item in message.reasoning
    ]
    return {"role": message.role, "parts": [*items, {"type": "text", "content": message.text}]}


def _output(completion: Completion) -> dict[str, Any]:
    parts = []
    if completion.thinking:
        parts.append({"type": "reasoning", "content": completion.thinking})
    if completion.text or not parts:
        parts.append({"type": "text", "content": completion.text})
    return {"role": "assistant", "parts": parts, "finish_reason": completion.finish_reason}
