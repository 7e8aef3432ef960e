"""Collectors, hosts that are sent to, and machines that share a lake, for the tests of a store."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.store import postgres
from tests.store.recorded import record, span
from tttlab.store.journal import Journal


@pytest.fixture
def serving():
    """A function that serves until its block ends."""
    return _serving


@contextmanager
def _serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def collector(tmp_path):
    from tttlab.store.otlp.receive import Collector

    with _serving(Collector(tmp_path / "collected" / "store", port=0)) as opened:
        yield opened
    opened.close()


class Host(BaseHTTPRequestHandler):
    """A host that answers as the test says, and remembers what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status, kind, data = self.server.replies.pop(0) if self.server.replies else (200, "application/x-protobuf", b"")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.got, server.replies = [], []
    server.address = f"http://127.0.0.1:{server.server_port}"
    with _serving(server):
        yield server
    server.server_close()


@pytest.fixture
def recorded(own_store):
    from tttlab.store.database import connect

    journal = Journal(own_store)
    record(journal, count=2)
    journal.span(span(2))
    journal.span(span(3, ended=False))
    journal.close()
    return connect(own_store)


@pytest.fixture(scope="session")
def server():
    """The folder of the socket of a PostgreSQL."""
    with postgres.running() as folder:
        yield folder


@pytest.fixture
def catalogue(server):
    yield f"postgresql://lake@/postgres?host={server}"
    # Rather than a database for each test, whose hundreds of files take longer to make and remove than the test itself.
    postgres.sql(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid(); DROP SCHEMA IF EXISTS tttlab CASCADE",
    )


@pytest.fixture
def shared(tmp_path):
    return tmp_path / "shared [1]"  # Names that DuckDB could take for wildcards.


@pytest.fixture
def machine(tmp_path):
    """A function that gives the journal of a machine's store."""
    opened = {}

    def journal(name="one"):
        if name not in opened:
            opened[name] = Journal(tmp_path / name / "traces" / "store")
        return opened[name]

    yield journal
    for each in opened.values():
        each.close()
