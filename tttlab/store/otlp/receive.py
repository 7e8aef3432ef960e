"""`tttlab collect`: an OTLP/HTTP receiver on this machine that records what other programs send."""

from __future__ import annotations

import gzip
import io
import ipaddress
import json
import socket
import sys
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import Lock
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tttlab.errors import OptionError, StoreError
from tttlab.store.journal import Journal
from tttlab.store.otlp.decode import read_protobuf, span_rows
from tttlab.store.otlp.files import with_tokens_apart
from tttlab.store.otlp.json_form import read_json
from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

LOOPBACK = "127.0.0.1"
PORT = 4318
LARGEST = 64 * 2**20
"""Bytes of a request, packed and unpacked."""
REMEMBERED = 200_000
"""Spans of which it is known that they came already: who got no answer sends them again."""
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_PATH = "/v1/traces"
_SECONDS = 60
_LATEST = f"""
    SELECT trace_id, span_key, true FROM stored_spans WHERE end_ns IS NOT NULL ORDER BY end_ns DESC LIMIT {REMEMBERED}
"""


class Refusal(Exception):
    """A request that is answered with an error of HTTP."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Collector(ThreadingHTTPServer):
    """Listens from its construction on, records from `serve_forever` on, and keeps everything that it answered for.

    `port` 0 takes a free one. Raises `OptionError` for a host that cannot be listened on, or a port that is taken.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, host: str = LOOPBACK, port: int = PORT) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise OptionError(f"{host}:{port} cannot be listened on: {said}; choose another --port") from error
        self.journal = Journal(folder)
        self.recorded = 0
        self._known = _Known(folder)

    @property
    def address(self) -> str:
        """What others send to."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking for the host's full name, which may take seconds where there is no network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no matter; whatever else was raised is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def record(self, rows: Sequence[SpanRow]) -> None:
        """Record the spans that are new, and return when they are written. Raises `Refusal` where they cannot be."""
        new = self._known.new_of(rows)
        for row in new:
            told, deliveries = with_tokens_apart(row)
            if deliveries:
                buffer = self.journal.token_buffer(str(row.attributes[names.RUN_ID]), row.span_id)
                for sequence, event in deliveries:
                    buffer.record(sequence, event)
                buffer.close()
            self.journal.span(told)
        self.journal.flush()
        if self.journal.waiting:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(self.journal.trouble))
        self.recorded += len(new)

    def close(self) -> None:
        """Stop listening, and write what is left. Harmless when done already."""
        self.server_close()
        self.journal.close()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Known:
    """Which spans came already: those of the store when it began, and the latest since, as many as are remembered."""

    def __init__(self, folder: Path) -> None:
        from tttlab.store.database import connect

        connection = connect(folder)
        found = connection.execute(_LATEST).fetchall()
        connection.close()
        self._keys: OrderedDict[tuple[str, int, bool], None] = OrderedDict.fromkeys(reversed(found))
        self._lock = Lock()

    def new_of(self, rows: Sequence[SpanRow]) -> list[SpanRow]:
        """Those that have not come yet, which are known from now on."""
        new = []
        with self._lock:
            for row in rows:
                name = row.trace_id, int(row.span_id, 16)
                ended = row.end_ns is not None
                if (*name, True) in self._keys or (*name, ended) in self._keys:
                    continue
                new.append(row)
                self._keys[*name, ended] = None
            while len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)
        return new


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Collector
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_POST(self) -> None:
        """Record the spans of one request, and answer as OTLP says."""
        try:
            rows = self._rows(self._body())
            self.server.record(rows)
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except StoreError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            data = b"{}" if self._kind() == _JSON else ExportTraceServiceResponse().SerializeToString()
            self._answer(HTTPStatus.OK, data)

    def do_GET(self) -> None:
        """Nothing is read here."""
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"send spans here with POST {_PATH}; read them with `tttlab sql`")

    def log_message(self, *_: Any) -> None:
        """Say nothing a request: the terminal is the user's."""

    def version_string(self) -> str:
        """The name of the server, without Python's version."""
        return "tttlab"

    def _kind(self) -> str:
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def _rows(self, data: bytes) -> list[SpanRow]:
        return span_rows(read_json(data) if self._kind() == _JSON else read_protobuf(data))

    def _body(self) -> bytes:
        """The request's body, unpacked. Raises `Refusal`, before the body is read where its head says enough."""
        if self.headers.get("Origin"):
            raise Refusal(HTTPStatus.FORBIDDEN, "web pages may not send here")
        if self.path.partition("?")[0] != _PATH:
            raise Refusal(HTTPStatus.NOT_FOUND, f"tttlab collects spans alone, at {_PATH}")
        if self._kind() not in (_JSON, _PROTOBUF):
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the Content-Type must be {_PROTOBUF} or {_JSON}, not {self._kind()!r}",
            )
        coding = (self.headers.get("Content-Encoding") or "identity").strip().lower()
        if coding not in ("gzip", "identity"):
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the Content-Encoding must be gzip or none, not {coding!r}"
            )
        data = self._chunks() if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower() else self._whole()
        return _unpacked(data) if coding == "gzip" else data

    def _whole(self) -> bytes:
        said = self.headers.get("Content-Length") or ""
        if not said.isdecimal():
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "the request must have a Content-Length")
        size = int(said[:20])
        if size > LARGEST:
            raise _too_large()
        data = self.rfile.read(size)
        if len(data) < size:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the request ended after {len(data)} of {size} bytes")
        return data

    def _chunks(self) -> bytes:
        data = bytearray()
        while size := self._chunk_size():
            if len(data) + size > LARGEST:
                raise _too_large()
            data += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(4096).strip():
            pass  # Trailers say nothing here.
        return bytes(data)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(64).partition(b";")[0].strip()
        try:
            return int(line[:16], 16)
        except ValueError:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the request's chunks are damaged") from None

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # What is left of the request's body may not be taken for the next request.
        if self._kind() == _JSON:
            data = json.dumps({"message": message}).encode()
        else:
            data = Status(message=message).SerializeToString()
        self._answer(status, data)

    def _answer(self, status: HTTPStatus, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", _JSON if self._kind() == _JSON else _PROTOBUF)
        self.send_header("Content-Length", str(len(data)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "5")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _too_large() -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the request is larger than {LARGEST // 2**20} MiB: send fewer spans at once",
    )


def _unpacked(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            unpacked = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the request is no gzip: {error}") from None
    if len(unpacked) > LARGEST:
        raise _too_large()
    return unpacked
