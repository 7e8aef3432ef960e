"""`tttlab collect`: an OTLP/HTTP receiver on this machine that records what other programs send."""

from __future__ import annotations

import gzip
import io
import ipaddress
import json
import re
import socket
import sys
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import BoundedSemaphore, Condition, Lock
from typing import Any
from urllib.parse import urlsplit

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
LARGEST = 20 * 2**20
"""Bytes of a request, packed and unpacked, as with OpenTelemetry's own collector; in memory it may be 50 times that."""
DECODED_AT_ONCE = 2
"""Requests, whoever sends how many."""
REMEMBERED = 200_000
"""Spans of which it is known that they came already: who got no answer sends them again."""
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_PATH = "/v1/traces"
_SECONDS = 60
"""How long a client may say nothing, and how long the body of its request may take."""
_LINGERING_SECONDS = 2.0
_PRIVATE_NAMES = (".localhost", ".internal")
"""Of no public DNS; containers know the machine below them by such a one."""
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_LATEST = f"""
    SELECT trace_id, span_key, end_ns IS NOT NULL FROM stored_spans
    ORDER BY coalesce(end_ns, start_ns) DESC LIMIT {REMEMBERED}
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
        except (OSError, OverflowError, TypeError) as error:
            said = getattr(error, "strerror", None) or error
            raise OptionError(f"{host}:{port} cannot be listened on: {said}; choose another --port") from error
        self.host = host
        self.journal = Journal(folder)
        self.recorded = 0
        self.decoding = BoundedSemaphore(DECODED_AT_ONCE)
        self._known = _Known(folder)
        self._taking = Lock()
        self._work = Condition()
        self._at_work = 0
        self._closing = False

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
        with self._working():
            if self.journal.waiting:
                # What came before is tried again first: more would be more than the journal keeps in memory.
                self._write()
            with self._taking:  # A span that is known is on its way, so whoever sends it again waits for it too.
                new = self._known.new_of(rows)
                for row in new:
                    self._take(row)
            self._write()
            self.recorded += len(new)

    def close(self) -> None:
        """Stop listening, and write what is left. Harmless when done already."""
        self.server_close()
        with self._work:
            self._closing = True
            self._work.wait_for(lambda: not self._at_work)
        self.journal.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Keep the journal open. Raises `Refusal` where it is being closed: it would forget what it is given."""
        with self._work:
            if self._closing:
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "this collector is ending")
            self._at_work += 1
        try:
            yield
        finally:
            with self._work:
                self._at_work -= 1
                self._work.notify_all()

    def _take(self, row: SpanRow) -> None:
        # A call that has not ended will come again, with these tokens and more.
        told, deliveries = with_tokens_apart(row) if row.end_ns is not None else (row, [])
        if deliveries:
            buffer = self.journal.token_buffer(str(row.attributes[names.RUN_ID]), row.span_id)
            for sequence, event in deliveries:
                buffer.record(sequence, event)
            buffer.close()
        self.journal.span(told)

    def _write(self) -> None:
        self.journal.flush()
        if self.journal.waiting:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, self.journal.trouble or "try again")


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach it."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Known:
    """Which spans came already: those of the store when it began, and the latest since, as many as are remembered."""

    def __init__(self, folder: Path) -> None:
        from tttlab.store.database import connect

        connection = connect(folder)
        found = connection.execute(_LATEST).fetchall()
        connection.close()
        self._keys: OrderedDict[tuple[str, int, bool], None] = OrderedDict.fromkeys(reversed(found))

    def new_of(self, rows: Sequence[SpanRow]) -> list[SpanRow]:
        """Those that have not come yet, which are known from now on."""
        new = []
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
    _until = 0.0
    _is_read = True

    def do_POST(self) -> None:
        """Record the spans of one request, and answer as OTLP says."""
        self._until = time.monotonic() + _SECONDS
        self._is_read = False
        try:
            data = self._body()
            self._is_read = True
            with self.server.decoding:  # Until they are written: so long are its rows in memory.
                self.server.record(self._rows(data))
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except StoreError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except OSError:  # The client is gone.
            raise
        except Exception as error:  # noqa: BLE001 - who sends learns that it was not taken, whatever it was
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"these spans could not be read: {type(error).__name__}")
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
        if is_loopback(self.server.host) and not self._is_meant():
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.address}, not {self.headers['Host']!r}"
            )
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
        return self._read(size)

    def _is_meant(self) -> bool:
        """Whether the name by which the client knows this machine is none of the internet, where anybody may own it."""
        try:
            name = urlsplit(f"//{self.headers.get('Host') or LOOPBACK}").hostname or ""
        except ValueError:
            return False
        return _is_address(name) or "." not in name or name.endswith(_PRIVATE_NAMES)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._check_time()
            piece = self.rfile.read1(min(size - len(data), 2**20))
            if not piece:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"the request ended after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, f"the request took longer than {_SECONDS} s")

    def _chunks(self) -> bytes:
        data = bytearray()
        while size := self._chunk_size():
            if len(data) + size > LARGEST:
                raise _too_large()
            data += self._read(size)
            self.rfile.readline(8)
        while self.rfile.readline(4096).strip():
            self._check_time()  # Trailers say nothing here.
        return bytes(data)

    def _chunk_size(self) -> int:
        self._check_time()
        line = self.rfile.readline(64).partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(line):  # `int` would take a sign too, and a negative size reads without end.
            raise Refusal(HTTPStatus.BAD_REQUEST, "the request's chunks are damaged")
        return int(line, 16)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # What is left of the request's body may not be taken for the next request.
        if self._kind() == _JSON:
            data = json.dumps({"message": message}).encode()
        else:
            data = Status(message=message).SerializeToString()
        self._answer(status, data)
        if not self._is_read:
            self._linger()

    def _linger(self) -> None:
        """Read on for a moment: who is still sending when the connection closes gets a reset instead of the answer."""
        until = time.monotonic() + _LINGERING_SECONDS
        self.connection.settimeout(_LINGERING_SECONDS)
        with suppress(OSError):
            while time.monotonic() < until and self.rfile.read1(2**20):
                pass

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
