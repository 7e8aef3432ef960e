"""OTLP/JSON: protobuf's JSON form with rules of its own, ids in hex and enumerations as numbers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import Error, MessageToDict, ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tttlab.errors import StoreError
from tttlab.store.columns import storable

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_HALF, _HALF_IN_BYTES = re.compile(r"\\u[dD][89a-fA-F]"), re.compile(rb"\\u[dD][89a-fA-F]")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_PLACE = re.compile(r" at \"?Export\w+Request\.?([\w.\[\]]*)\"?\.?$")
_FIELD = re.compile(r"Failed to parse (\w+) field: ")


def write_json(request: Message) -> str:
    """A request as one line of OTLP/JSON."""
    said = MessageToDict(request, use_integers_for_enums=True)
    for holder, key, _ in _ids(said):
        holder[key] = base64.b64decode(holder[key]).hex()
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def read_json(text: str | bytes) -> ExportTraceServiceRequest:
    """The request in this text. Raises `StoreError` with the line and the column, or with the field."""
    return as_request(loaded(text))


def loaded(text: str | bytes) -> Any:
    """The JSON in a text. Raises `StoreError` with the line and the column where it is none.

    Halves of a surrogate pair, as programs write them that cut a text between two, become U+FFFD.
    """
    try:
        said = json.loads(text)
        halves = (_HALF_IN_BYTES if isinstance(text, bytes) else _HALF).search(text)  # type: ignore[arg-type]
        return json.loads(storable(json.dumps(said, ensure_ascii=False))) if halves else said
    except json.JSONDecodeError as error:
        raise StoreError(f"this is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise StoreError("this JSON is nested too deeply") from None
    except ValueError as error:  # Bytes that are no UTF-8, or a number of thousands of digits.
        raise StoreError(f"this is no JSON: {error}") from None


def as_request(said: Any) -> ExportTraceServiceRequest:
    """The request that JSON says. Raises `StoreError` with the field that it cannot have."""
    if not isinstance(said, dict):
        raise StoreError(f"an ExportTraceServiceRequest is a JSON object, not {_kind(said)}")
    request = ExportTraceServiceRequest()
    try:
        for holder, key, where in _ids(said):
            holder[key] = _base64(holder[key], where)
        ParseDict(said, request, ignore_unknown_fields=True)
    except (Error, RecursionError) as error:
        raise StoreError(_said(error)) from None
    except (TypeError, ValueError, AttributeError, OverflowError, SystemError) as error:
        raise StoreError(f"this is no ExportTraceServiceRequest: {error}") from None
    return request


def _ids(said: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every id of spans, their links and log records: what holds it, its key, and its place."""
    for holder, where in _records(said):
        for key in _IDS:
            if key in holder:
                yield holder, key, f"{where}.{key}"


def _records(said: Any) -> Iterator[tuple[dict[str, Any], str]]:
    steps = (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",))
    for span, where in _inside(said, "", *steps):
        yield span, where
        yield from _inside(span, f"{where}.", ("links",))
    yield from _inside(said, "", ("resourceLogs",), ("scopeLogs",), ("logRecords",))


def _inside(
    said: Any, where: str, step: tuple[str, ...], *more: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects that lie that deep. What is not shaped so is left to the parser, which says what is wrong."""
    if not isinstance(said, dict):
        return
    for key in step:
        entries = said.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            place = f"{where}{key}[{number}]"
            if more:
                yield from _inside(entry, f"{place}.", *more)
            elif isinstance(entry, dict):
                yield entry, place


def _base64(value: Any, where: str) -> Any:
    if value is None:
        return value
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise StoreError(f"{where} must be hex digits, not {str(value)[:40]!r}")
    try:
        return base64.b64encode(binascii.unhexlify(value)).decode()
    except ValueError as error:
        raise StoreError(f"{where} must be hex digits: {error}") from None


def _said(error: Exception) -> str:
    """The parser's message with the field first: it says its place in one of two ways."""
    if isinstance(error, RecursionError) or "too deep" in str(error):
        return "this ExportTraceServiceRequest is nested too deeply"
    message = str(error).rstrip(".")
    fields = _FIELD.findall(message)
    rest = _FIELD.sub("", message)
    place = found[1] if (found := _PLACE.search(rest)) else ""
    reason = _PLACE.sub("", rest)
    where = place if place.count(".") >= len(fields) - 1 and place else ".".join(fields)
    return f"{where or 'the request'}: {reason}"[:400]


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")
