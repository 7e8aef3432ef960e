"""Spans of the store sent to a collector over OTLP/HTTP: protobuf, with gzip, some hundred a request."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import unquote

import duckdb
import httpx
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tttlab.errors import OptionError, StoreError
from tttlab.store.otlp.encode import log_requests, trace_requests
from tttlab.store.otlp.selection import Form, Portion, portions

ENDPOINT = "http://127.0.0.1:4318"
SECONDS = 60.0
"""How long a host may take over one request."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try, where the host does not say how many."""
_AGAIN = (429, 502, 503, 504)
"""The answers after which OTLP lets a sender try again."""
_LONGEST_PAUSE = 30.0
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, and what came of it."""

    spans: int = 0
    tokens: int = 0
    """As log records."""
    open_spans: int = 0
    """Had not ended and were left out: a collector that has a span takes no second one of its id."""
    rejected: int = 0
    said: tuple[str, ...] = ()
    """The host's own words, each once."""


def send(
    connection: duckdb.DuckDBPyConnection,
    runs: Sequence[str],
    to: str | None = None,
    form: Form | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send the runs of these ids or beginnings of ids (none: all spans of the store).

    `to` is the collector's address, with or without `/v1/traces`; else `OTEL_EXPORTER_OTLP_ENDPOINT` says it, else it
    is `http://127.0.0.1:4318`. `OTEL_EXPORTER_OTLP_HEADERS` is sent along. Raises `OptionError` for an address that is
    none, and `StoreError` with the host's words where it takes nothing.
    """
    address, form, sent = _address(to), form or Form(), Sent()
    with httpx.Client(timeout=SECONDS, headers=_checked({**_headers_of_environment(), **(headers or {})})) as client:
        host = _Host(client, address, pause)
        try:
            for portion in portions(connection, runs, form):
                sent = _send_portion(host, portion, form, sent)
        except StoreError as error:
            if not host.requests:
                raise
            raise StoreError(
                f"{error}; it took {sent.spans:,} spans or more before, which are sent again next time"
            ) from error
    return replace(sent, rejected=host.rejected, said=tuple(host.said))


def _send_portion(host: _Host, portion: Portion, form: Form, sent: Sent) -> Sent:
    ended = [row for row in portion.rows if row.end_ns is not None]
    for request in trace_requests(ended):
        host.post("traces", request.SerializeToString())
    calls = [(row, tokens) for row, tokens in portion.calls() if row.end_ns is not None and form.tokens == "logs"]
    for records in log_requests(calls):
        host.post("logs", records.SerializeToString())
    return replace(
        sent,
        spans=sent.spans + len(ended),
        tokens=sent.tokens + sum(len(tokens) for _, tokens in calls),
        open_spans=sent.open_spans + len(portion.rows) - len(ended),
    )


class _Address(NamedTuple):
    """Where to send to; `shown` has no user, password or query, which may hold a key."""

    base: str
    query: str
    shown: str


@dataclass(slots=True)
class _Host:
    """Where it goes, and what it said."""

    client: httpx.Client
    address: _Address
    pause: Callable[[float], None]
    requests: int = 0
    """Taken."""
    rejected: int = 0
    said: dict[str, None] = field(default_factory=dict)

    def post(self, signal: str, data: bytes) -> None:
        answer = self._answer(f"/v1/{signal}", gzip.compress(data, 6))
        if answer.status_code // 100 != 2:  # noqa: PLR2004 - HTTP's classes
            raise StoreError(f"{self.address.shown}/v1/{signal} answered {answer.status_code}: {words_of(answer)}")
        self.requests += 1
        self._note(signal, answer)

    def _answer(self, path: str, data: bytes) -> httpx.Response:
        base, query, shown = self.address
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        for number in range(len(PAUSES) + 1):
            try:
                answer = self.client.post(f"{base}{path}{query}", content=data, headers=headers)
            except httpx.InvalidURL:
                raise OptionError(f"{shown}{path} is no address to send to") from None
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise StoreError(f"nothing could be sent to {shown}{path}: {_line(reason)}") from error
            if answer.status_code not in _AGAIN or number == len(PAUSES):
                return answer
            self.pause(_asked_pause(answer, PAUSES[number]))
        raise AssertionError

    def _note(self, signal: str, answer: httpx.Response) -> None:
        """Take down what a host took only in part. One that answers otherwise than OTLP says took it."""
        kind = ExportTraceServiceResponse if signal == "traces" else ExportLogsServiceResponse
        response: Any = kind()
        try:
            if "json" in answer.headers.get("content-type", ""):
                from google.protobuf.json_format import ParseDict

                ParseDict(answer.json(), response, ignore_unknown_fields=True)
            else:
                response.ParseFromString(answer.content)
        except Exception:  # noqa: BLE001 - whatever a host writes after "200"
            return
        partial = response.partial_success
        self.rejected += partial.rejected_spans if signal == "traces" else partial.rejected_log_records
        if partial.error_message:
            self.said[_line(partial.error_message)] = None


def words_of(answer: httpx.Response) -> str:
    """What a host says to its refusal, in one line: the message of a protobuf `Status`, of JSON, or its text."""
    if "protobuf" in answer.headers.get("content-type", ""):
        status = Status()
        try:
            status.ParseFromString(answer.content)
        except DecodeError:
            status.message = ""
        return _line(status.message) or answer.reason_phrase
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        # Not by the charset that it names: Python has some that are no texts'.
        return _line(answer.content.decode("utf-8", "replace")) or answer.reason_phrase
    for key in ("error", "detail", "message"):  # An error may be an object that has a message.
        if isinstance(said, dict) and said.get(key):
            said = said[key]
    return _line(said if isinstance(said, str) else json.dumps(said))


def _line(text: str) -> str:
    """A host's words in one line, without what a terminal could take for a command."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:300]


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    try:
        asked = float(answer.headers["retry-after"])
    except (KeyError, ValueError):
        return otherwise
    return min(max(asked, 0.0), _LONGEST_PAUSE) if asked == asked else otherwise  # noqa: PLR0124 - not if it is NaN


def _address(to: str | None) -> _Address:
    said = (to or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ENDPOINT).strip()
    address, sign, query = said.partition("#")[0].partition("?")
    base = address.rstrip("/").removesuffix("/v1/traces")
    # To the last one, and before anything is cut: a password may hold any character, written as it should be or not.
    hidden = re.sub(r"^(\w+://)?.*@", r"\1…@", said, flags=re.DOTALL)
    shown = re.split(r"[?#]", hidden, maxsplit=1)[0].rstrip("/").removesuffix("/v1/traces")
    if not re.match(r"https?://[^/]", base):
        raise OptionError(f"{shown!r} is no address to send to: write one such as {ENDPOINT}")
    return _Address(base, sign + query, shown)


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers. Raises `OptionError` for one that cannot be sent, without its value, which may be a key."""
    for key, value in headers.items():
        name = _TOKEN.match(key)
        if name is None or name[0] != key:  # What follows may be the value: who writes `name: value` means one.
            raise OptionError(
                f"a header that begins with {name[0] if name else ''!r} has no name of HTTP: write name=value"
            )
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise OptionError(f"the header {key!r} cannot be sent: its value holds signs that HTTP has not")
    return headers


def _headers_of_environment() -> dict[str, str]:
    headers = {}
    for pair in os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(","):
        key, sign, value = pair.partition("=")
        if sign and key.strip():
            headers[unquote(key.strip())] = unquote(value.strip())
    return headers
