"""Which error an answer of a host is: by its status, its code or type, and, where those say little, its words.

Nothing here raises, whatever a host says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from tttlab.errors import (
    ContextLengthError,
    CredentialError,
    HostError,
    OverloadedError,
    ParameterError,
    RateLimitError,
    UnknownModelError,
)
from tttlab.models.wire import Named

Kinds = Mapping[str, type[HostError]]
NO_KINDS: Kinds = MappingProxyType({})

_FAILED = range(400, 600)
_LONGEST = 300
"""Characters of a host's message that an error says."""
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_CREDIT_CODES = frozenset(
    {"insufficient_quota", "billing_error", "insufficient_balance", "payment_required", "enforced_spend_limit_reached"}
)
_CODES: Kinds = {
    **dict.fromkeys(
        ("rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "quota_exceeded"), RateLimitError
    ),
    **dict.fromkeys(("too_many_requests", "rate_limited", "429"), RateLimitError),
    **dict.fromkeys(("invalid_api_key", "authentication_error", "unauthenticated", "unauthorized"), CredentialError),
    **dict.fromkeys(("permission_error", "permission_denied", "forbidden", "access_denied"), CredentialError),
    **dict.fromkeys(("model_not_found", "not_found_error", "not_found", "unknown_model"), UnknownModelError),
    **dict.fromkeys(("overloaded_error", "api_error", "server_error", "internal_server_error"), OverloadedError),
    **dict.fromkeys(("internal", "unavailable", "unavailable_error", "server_is_overloaded"), OverloadedError),
    **dict.fromkeys(("service_unavailable", "timeout_error", "deadline_exceeded", "bad_gateway"), OverloadedError),
    **dict.fromkeys(("invalid_argument", "unsupported_parameter", "unsupported_value", "bad_request"), ParameterError),
}
_VAGUE_CODES: Kinds = dict.fromkeys(("invalid_request_error", "badrequesterror", "failed_precondition"), ParameterError)
"""What hosts call several kinds of refusal: their words go first."""
_WORDS: tuple[tuple[re.Pattern[str], type[HostError]], ...] = (
    (re.compile(r"api[ _-]?key.{0,40}(not valid|invalid|incorrect|missing|expired)"), CredentialError),
    (re.compile(r"(not valid|invalid|incorrect|missing|no|expired) api[ _-]?key"), CredentialError),
    (re.compile(r"model\b.{0,120}(not found|does not exist|not exist\b|is not supported for)"), UnknownModelError),
    (re.compile(r"(unknown|invalid|no such) model\b|not a valid model|model_not_found"), UnknownModelError),
    (re.compile(r"overloaded|over capacity|try again later|temporarily unavailable"), OverloadedError),
    (re.compile(r"rate limit|too many requests|quota"), RateLimitError),
)
_CONTEXT_WORDS = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|(prompt|input|request) (is |was |are )?too (long|large)"
    r"|(too many|exceeds?.{0,40}|maximum.{0,20}number of) (input |prompt )?tokens|token count.{0,40}exceeds"
    r"|larger than the context|max_model_len|longer than the model"
)
_BINDING: Mapping[int, type[HostError]] = {401: CredentialError, 403: CredentialError, 429: RateLimitError}
"""Statuses that no words go before."""
_STATUSES: Mapping[int, type[HostError]] = {
    **dict.fromkeys((400, 405, 413, 415, 422), ParameterError),
    404: UnknownModelError,
    408: OverloadedError,
}


class _Said(NamedTuple):
    """What is found in an error: its words, and its codes and types in lower case."""

    message: str
    codes: tuple[str, ...] = ()
    status: int | None = None
    retry_after: float | None = None


def failure_of(status: int, body: str, named: Named, *, kinds: Kinds = NO_KINDS) -> HostError:
    """The error that an answer of another status than 200 says; `kinds` are codes or types of the host's own."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _error(_Said(_of_page(body), status=status), named, kinds)
    said = _said(found)
    return _error(said._replace(status=status, message=said.message or _one_line(body)), named, kinds)


def said_error(error: object, named: Named, kinds: Kinds = NO_KINDS) -> HostError:
    """The error that an event inside a stream says: an object with a message and codes, or its text."""
    return _error(_said({"error": error}), named, kinds)


def _error(said: _Said, named: Named, kinds: Kinds) -> HostError:
    spent = said.status == HTTPStatus.PAYMENT_REQUIRED or any(code in _CREDIT_CODES for code in said.codes)
    kind: type[HostError] = RateLimitError if spent else _kind(said, kinds)
    advice = None
    if spent:
        advice = "its credit or quota is spent: see the account there"
    elif kind is CredentialError:
        advice = "check the key and what it may do"
    return kind(
        said.message or "it gave no reason",
        provider=named.provider,
        model=named.model,
        status=said.status,
        retry_after=said.retry_after,
        advice=advice,
        passing=False if spent else None,
    )


def _kind(said: _Said, kinds: Kinds) -> type[HostError]:
    candidates = (
        _coded(said, kinds),
        _BINDING.get(said.status or 0),
        ContextLengthError if _is_context(said) else None,
        *_by_status(said),
        HostError,
    )
    return next(kind for kind in candidates if kind is not None)


def _is_context(said: _Said) -> bool:
    if any(code in _CONTEXT_CODES for code in said.codes):
        return True
    # A limit of tokens in a minute speaks of too many tokens too.
    return _coded(said, _CODES) is not RateLimitError and _CONTEXT_WORDS.search(said.message.lower()) is not None


def _by_status(said: _Said) -> Iterator[type[HostError] | None]:
    status = said.status or 0
    worded = next((kind for pattern, kind in _WORDS if pattern.search(said.message.lower())), None)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        yield OverloadedError
    if status == HTTPStatus.BAD_REQUEST and worded in (CredentialError, UnknownModelError):
        yield worded
    yield _coded(said, _CODES)
    yield _STATUSES.get(status)
    yield worded
    yield _coded(said, _VAGUE_CODES)


def _coded(said: _Said, kinds: Kinds) -> type[HostError] | None:
    return next((kinds[code] for code in said.codes if code in kinds), None)


def _said(found: object) -> _Said:
    if isinstance(found, list):
        found = found[0] if found else None
    if not isinstance(found, dict):
        return _Said(_one_line(found) if isinstance(found, str) else "")
    inner = found.get("error", found)
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    outer = {key: value for key, value in found.items() if key != "error"}
    if not isinstance(inner, dict):
        return _Said(_one_line(inner) if isinstance(inner, str) else _message(outer), _codes(outer))
    code = inner.get("code")
    status = code if type(code) is int and code in _FAILED else None
    return _Said(_message(inner) or _message(outer), _codes(inner), status, _delay(inner))


def _message(error: dict[str, Any]) -> str:
    """The words of an error, with those that a router passes on from the host behind it."""
    for name in ("message", "detail", "msg", "error", "description"):
        value = error.get(name)
        if isinstance(value, list):  # As web frameworks say which fields are wrong.
            value = "; ".join(_of_field(each) for each in value[:3])
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value:
            metadata = error.get("metadata")
            raw = metadata.get("raw") if isinstance(metadata, dict) else None
            return _one_line(f"{value}: {raw}" if isinstance(raw, str) else value)
    return ""


def _of_field(wrong: object) -> str:
    if not isinstance(wrong, dict):
        return str(wrong)[:_LONGEST]
    place = wrong.get("loc")
    at = ".".join(str(step)[:40] for step in place[:6]) if isinstance(place, list) else ""
    return f"{at}: {str(wrong.get('msg', ''))[:_LONGEST]}" if at else str(wrong.get("msg", ""))[:_LONGEST]


def _codes(error: dict[str, Any]) -> tuple[str, ...]:
    details = error.get("details")
    values = [error.get(name) for name in ("code", "type", "status")]
    values.append(details.get("error_code") if isinstance(details, dict) else None)
    return tuple(value.lower() for value in values if isinstance(value, str))


def _delay(error: dict[str, Any]) -> float | None:
    """Seconds, where the details name a time in the way of Google's APIs (`"retryDelay": "12s"`)."""
    details = error.get("details")
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, dict) else None
        if isinstance(delay, str) and re.fullmatch(r"\d{1,6}(\.\d{1,9})?s", delay):
            return float(delay[:-1])
    return None


def _of_page(body: str) -> str:
    """The message of an answer that is no JSON: a page's title, or the text."""
    if body.lstrip()[:1] != "<":
        return _one_line(body)
    title = re.search(r"<title[^>]*>([^<]{1,300})", body[:20_000], re.IGNORECASE)
    return f"a page {_one_line(title[1])!r}" if title else "a page that is no API's answer"


def _one_line(text: str) -> str:
    line = " ".join(text[: 4 * _LONGEST].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
