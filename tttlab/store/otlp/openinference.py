"""The same facts under the names of OpenInference, by which Phoenix and others show models, messages and tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tttlab.tracing import names

KIND = "openinference.span.kind"
_KINDS = {
    "chat": "LLM",
    "text_completion": "LLM",
    "generate_content": "LLM",
    "embeddings": "EMBEDDING",
    "retrieval": "RETRIEVER",
    "execute_tool": "TOOL",
    "create_agent": "AGENT",
    "invoke_agent": "AGENT",
    "invoke_workflow": "CHAIN",
}
_COUNTS = {
    "llm.token_count.prompt": names.USAGE_INPUT,
    "llm.token_count.completion": names.USAGE_OUTPUT,
    "llm.token_count.completion_details.reasoning": names.USAGE_THINKING,
    "llm.token_count.prompt_details.cache_read": names.USAGE_CACHED,
    "llm.cost.total": names.USAGE_DOLLARS,
}
_PARAMETERS = (
    names.REQUEST_TEMPERATURE,
    names.REQUEST_TOP_P,
    names.REQUEST_TOP_K,
    names.REQUEST_MAX_TOKENS,
    names.REQUEST_SEED,
    names.REQUEST_STOP,
    names.SAMPLING_MIN_P,
)
_INPUTS = (names.PROBLEM_PROMPT, names.VERDICT_CANDIDATE, names.TOOL_ARGUMENTS)
_OUTPUTS = (names.ANSWER_VALUE, names.VERDICT_SCORE, names.TOOL_RESULT)


def with_openinference(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with those of OpenInference added; what a span has under such a name already stays."""
    operation = attributes.get(names.OPERATION)
    kind = _KINDS.get(str(operation)) or ("EVALUATOR" if name.partition(" ")[0] == names.SPAN_VERIFY else "CHAIN")
    added: dict[str, Any] = {KIND: kind}
    if kind in ("LLM", "EMBEDDING"):
        added |= _of_call(attributes)
    added |= _valued("input", _first(attributes, _INPUTS)) | _valued("output", _first(attributes, _OUTPUTS))
    if kind == "LLM":
        added |= _valued("input", _last_text(attributes.get(names.INPUT_MESSAGES)))
        added |= _valued("output", _last_text(attributes.get(names.OUTPUT_MESSAGES)))
    if kind == "TOOL":
        added["tool.name"] = attributes.get(names.TOOL_NAME)
    return {**{key: value for key, value in added.items() if value is not None}, **attributes}


def _of_call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    counts = {ours: attributes.get(theirs) for ours, theirs in _COUNTS.items()}
    asked = {key.rpartition(".")[2]: attributes[key] for key in _PARAMETERS if attributes.get(key) is not None}
    both = [counts[f"llm.token_count.{side}"] for side in ("prompt", "completion")]
    return {
        "llm.model_name": attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL),
        "llm.provider": attributes.get(names.PROVIDER),
        "llm.invocation_parameters": json.dumps(asked) if asked else None,
        **counts,
        "llm.token_count.total": sum(both) if all(isinstance(count, int) for count in both) else None,
        **dict(_flattened("llm.input_messages", attributes.get(names.INPUT_MESSAGES))),
        **dict(_flattened("llm.output_messages", attributes.get(names.OUTPUT_MESSAGES))),
    }


def _flattened(prefix: str, messages: Any) -> Iterator[tuple[str, Any]]:
    """Messages as attributes, one a field; one that has more than a text has each of its parts."""
    for number, message in enumerate(_messages(messages)):
        start = f"{prefix}.{number}.message"
        yield f"{start}.role", str(message.get("role", ""))
        parts = _parts(message)
        if [part.get("type") for part in parts] == ["text"]:
            yield f"{start}.content", parts[0].get("content")
            continue
        for place, part in enumerate(parts):
            kind = "reasoning" if part.get("type") in ("reasoning", "thinking") else str(part.get("type", "text"))
            content = part.get("content")
            yield f"{start}.contents.{place}.message_content.type", kind
            yield f"{start}.contents.{place}.message_content.text", content if isinstance(content, str) else str(part)


def _last_text(messages: Any) -> str | None:
    texts = [part.get("content") for message in _messages(messages)[-1:] for part in _parts(message)]
    return next((text for text in reversed(texts) if isinstance(text, str)), None)


def _messages(said: Any) -> list[Mapping[str, Any]]:
    """Messages as the GenAI conventions have them, structured or as JSON; what is shaped otherwise is none."""
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            return []
    return [message for message in said if isinstance(message, Mapping)] if isinstance(said, list) else []


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = message.get("parts")
    return [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []


def _first(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)


def _valued(side: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    kind = "text/plain" if isinstance(value, str) else "application/json"
    return {f"{side}.value": text, f"{side}.mime_type": kind}
