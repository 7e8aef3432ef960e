"""OTLP over HTTP: what programs send is recorded before it is answered, and what is sent arrives or is told."""

import gzip
import json
import os
import signal
import socket
import struct
import subprocess
import sys

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

import tttlab
from tests.speaker import Speaker, answers
from tests.store.otlp_command import main
from tests.store.recorded import span
from tttlab.errors import OptionError, StoreError
from tttlab.store.database import connect
from tttlab.store.otlp import receive
from tttlab.store.otlp.encode import trace_requests
from tttlab.store.otlp.json_form import write_json
from tttlab.store.otlp.receive import Collector
from tttlab.store.otlp.selection import Form
from tttlab.store.otlp.send import send

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json; charset=utf-8"}


def request(*rows):
    [made] = trace_requests(rows or [span(1)])
    return made


def post(collector, data, headers, path="/v1/traces"):
    return httpx.post(collector.address + path, content=data, headers=headers)


def names(collector):
    found = connect(collector.journal.folder).execute("SELECT name FROM spans ORDER BY span_key").fetchall()
    return [name for (name,) in found]


def said(answer):
    return Status.FromString(answer.content).message


def chunks(data):
    yield from (data[:10], data[10:])


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (request().SerializeToString(), PROTOBUF),
        (gzip.compress(request().SerializeToString()), PROTOBUF | {"Content-Encoding": "gzip"}),
        (write_json(request()).encode(), JSON),
        (gzip.compress(write_json(request()).encode()), JSON | {"Content-Encoding": "gzip"}),
        (chunks(request().SerializeToString()), PROTOBUF),
    ],
    ids=["protobuf", "protobuf-gzip", "json", "json-gzip", "chunked"],
)
def test_what_was_answered_for_is_recorded(collector, data, headers):
    answer = post(collector, data, headers)
    assert answer.status_code == 200
    assert names(collector) == ["propose"]  # Read while the collector runs: written before it answered.
    assert answer.headers["Content-Type"] == headers["Content-Type"].partition(";")[0]
    if headers is PROTOBUF:
        assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    elif headers is JSON:
        assert answer.json() == {}


def test_what_is_sent_again_is_recorded_once_by_a_later_collector_too(collector, serving):
    started, ended, late = request(span(1, ended=False)), request(span(1), span(2)), request(span(2, ended=False))
    for each in (started, ended, ended, started, late):
        assert post(collector, each.SerializeToString(), PROTOBUF).status_code == 200
    with serving(Collector(collector.journal.folder, port=0)) as later:
        assert post(later, ended.SerializeToString(), PROTOBUF).status_code == 200
        assert later.recorded == 0
    later.close()
    [(stored,)] = connect(collector.journal.folder).execute("SELECT count(*) FROM stored_spans").fetchall()
    assert (stored, names(collector)) == (3, ["propose", "propose"])


def test_what_cannot_be_read_is_refused_with_the_reason_and_nothing_of_it_is_recorded(collector):
    bad = request(span(1), span(2))
    bad.resource_spans[0].scope_spans[0].spans[1].span_id = b"short"
    answer = post(collector, bad.SerializeToString(), PROTOBUF)
    assert (answer.status_code, "spans[1].spanId must be 16 hex digits" in said(answer)) == (400, True)
    answer = post(collector, b"{", JSON)
    assert (answer.status_code, "no JSON" in answer.json()["message"]) == (400, True)
    answer = post(collector, b"xyz", PROTOBUF | {"Content-Encoding": "gzip"})
    assert (answer.status_code, "no gzip" in said(answer)) == (400, True)
    for headers in ({"Content-Type": "text/plain"}, PROTOBUF | {"Content-Encoding": "br"}):
        assert post(collector, b"", headers).status_code == 415
    assert post(collector, b"", PROTOBUF, "/v1/metrics").status_code == 404
    assert post(collector, b"", PROTOBUF | {"Origin": "http://page.example"}).status_code == 403
    assert httpx.get(collector.address).status_code == 405
    assert names(collector) == []


def test_what_is_too_large_is_refused_before_or_while_it_is_read(collector, monkeypatch):
    monkeypatch.setattr(receive, "LARGEST", 1000)
    packed = gzip.compress(b"0" * 5000)
    for data, headers in (
        (b"0" * 1001, PROTOBUF),
        (packed, PROTOBUF | {"Content-Encoding": "gzip"}),
        ((b"0" * 600 for _ in range(2)), PROTOBUF),
    ):
        answer = post(collector, data, headers)
        assert (answer.status_code, "larger than" in said(answer)) == (413, True)
    assert post(collector, request().SerializeToString(), PROTOBUF).status_code == 200


def test_a_store_that_cannot_be_written_to_says_try_again_and_keeps_what_came(collector):
    segments = collector.journal.folder / "segments"
    collector.journal.folder.mkdir(parents=True)
    segments.write_text("in the way")
    answer = post(collector, request().SerializeToString(), PROTOBUF)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    segments.unlink()
    assert post(collector, request().SerializeToString(), PROTOBUF).status_code == 200
    assert names(collector) == ["propose"]


def test_it_listens_to_this_machine_alone_unless_told(collector):
    assert collector.server_address[0] == "127.0.0.1"
    with pytest.raises(OptionError, match="cannot be listened on: Address already in use; choose another --port"):
        Collector(collector.journal.folder, port=collector.server_port)
    assert [receive.is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [receive.is_loopback(host) for host in ("0.0.0.0", "::", "example.org")] == [False] * 3


def test_a_client_that_goes_away_is_no_matter(collector, capfd):
    with socket.create_connection(collector.server_address) as gone:
        gone.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # Reset, not closed.
    assert post(collector, request().SerializeToString(), PROTOBUF).status_code == 200
    assert capfd.readouterr().err == ""


def test_a_run_that_is_sent_arrives_whole_with_its_tokens(collector):
    run = tttlab.think("What is 7 times 8?", strategy="self_consistency", samples=3, model=Speaker(answers("56")))
    sent = send(tttlab.connect(), [run.id], collector.address, Form("attribute"))
    there, here = connect(collector.journal.folder), tttlab.connect()
    for sql in (
        "SELECT * FROM spans ORDER BY span_key",
        "SELECT * EXCLUDE (top, entropy_topk) FROM tokens ORDER BY span_key, position",
        "SELECT * FROM runs",
    ):
        assert there.execute(sql).fetchall() == here.execute(sql).fetchall() != []
    assert (sent.spans, sent.rejected) == (here.execute("SELECT count(*) FROM spans").fetchone()[0], 0)


def test_spans_that_have_not_ended_are_left_out_and_counted(recorded, host):
    sent = send(recorded, [], f"{host.address}/v1/traces/")
    assert (sent.spans, sent.open_spans) == (2, 1)
    [(path, headers, body)] = host.got
    assert (path, headers["Content-Encoding"]) == ("/v1/traces", "gzip")
    assert gzip.decompress(body)


def test_tokens_are_sent_as_log_records_on_request(recorded, host):
    assert send(recorded, [], host.address, Form("logs")).tokens == 2
    assert [path for path, *_ in host.got] == ["/v1/traces", "/v1/logs"]


def test_headers_and_address_come_from_the_environment(recorded, host, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-mlflow-experiment-id=0, authorization=Bearer%20k%3D1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", host.address)
    send(recorded, [])
    [(_, headers, _)] = host.got
    assert (headers["x-mlflow-experiment-id"], headers["authorization"]) == ("0", "Bearer k=1")


PARTIAL = ExportTraceServiceResponse(partial_success={"rejected_spans": 1, "error_message": "too old"})


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("application/x-protobuf", PARTIAL.SerializeToString()),
        ("application/json", b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}'),
    ],
)
def test_what_a_host_takes_only_in_part_is_told(recorded, host, kind, data):
    host.replies.append((200, kind, data))
    sent = send(recorded, [], host.address)
    assert (sent.rejected, sent.said) == (1, ("too old",))


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("application/x-protobuf", Status(message="no such\nproject").SerializeToString(), "no such project"),
        ("application/json", b'{"detail": "no such project"}', "no such project"),
        ("application/json", b'{"error": {"message": "no such project"}}', "no such project"),
        ("text/plain", b"no such\r\nproject", "no such project"),
        ("application/x-protobuf", b"\xff", "Forbidden"),
        ("text/plain", b"", "Forbidden"),
    ],
)
def test_a_refusal_is_told_in_the_hosts_own_words(recorded, host, kind, data, words):
    host.replies.append((403, kind, data))
    with pytest.raises(StoreError, match=rf"/v1/traces answered 403: {words}$"):
        send(recorded, [], host.address)


def test_a_host_that_is_busy_is_asked_again_and_given_up_in_the_end(recorded, host):
    host.replies += [(503, "text/plain", b"busy")] * 2
    pauses = []
    assert send(recorded, [], host.address, pause=pauses.append).spans == 2
    assert (len(host.got), len(pauses)) == (3, 2)
    host.replies += [(503, "text/plain", b"busy")] * 9
    with pytest.raises(StoreError, match="answered 503: busy"):
        send(recorded, [], host.address, pause=pauses.append)


def test_an_address_where_nobody_listens_is_told_in_one_line(recorded):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StoreError, match=r"nothing could be sent to http://127.0.0.1:\d+/v1/traces: .*refused"):
            send(recorded, [], f"http://127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(OptionError, match="'localhost:4318' is no address to send to"):
        send(recorded, [], "localhost:4318")


PROGRAM = """
import os
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(compression=Compression.Gzip)))
tracer = provider.get_tracer("checkout", "1.2")
with tracer.start_as_current_span("order", kind=trace.SpanKind.SERVER, attributes={"items": 3, "total": 9.5}) as order:
    order.add_event("paid", {"by": "card"})
    for number in range(4):
        with tracer.start_as_current_span(f"item {number}"):
            pass
try:
    with tracer.start_as_current_span("failing"):
        raise ValueError("no stock")
except ValueError:
    pass
provider.shutdown()
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_program_of_the_sdk_sends_to_a_collector_and_sql_finds_its_spans(own_store, ending):
    collecting = subprocess.Popen(
        [sys.executable, "-m", "tests.store.otlp_command", "collect", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = collecting.stdout.readline().split()[2]
        assert address.startswith("http://127.0.0.1:")
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address},
            check=True,
            timeout=60,
        )
        found = connect(own_store).execute(
            "SELECT SpanName, SpanKind, ServiceName, ScopeName, SpanAttributes['total'], Events.Name, StatusCode "
            "FROM otel_traces WHERE ParentSpanId = '' ORDER BY SpanName"
        )
        assert found.fetchall() == [
            ("failing", "Internal", "shop", "checkout", None, ["exception"], "Error"),
            ("order", "Server", "shop", "checkout", "9.5", ["paid"], "Unset"),
        ]
    finally:
        collecting.send_signal(ending)
        try:
            out, err = collecting.communicate(timeout=30)
        finally:
            collecting.kill()
    assert (collecting.returncode, out.strip(), err) == (0, "recorded 6 spans", "")


def test_the_commands_say_what_they_did(recorded, collector, tmp_path, capsys):
    assert main(["send", "--to", collector.address, "--openinference"]) == 0
    assert main(["export-otlp", "run-1"[:3], "--to", str(tmp_path / "x.jsonl")]) == 1
    assert main(["export-otlp", "--to", str(tmp_path / "x.jsonl"), "--tokens", "logs"]) == 0
    assert main(["import-otlp", str(tmp_path / "x.jsonl")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "sent 2 spans",
        f"wrote 3 spans to {tmp_path / 'x.jsonl'}",
        "imported 0 of 3 spans; the others were there already",
    ]
    assert err.splitlines() == [
        "tttlab: left out 1 span that did not end; send again what ends later",
        "tttlab: there is no run 'run' in the store",
        "tttlab: left out 1 line of logs or metrics, which the store does not keep",
    ]
    assert len(json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])["resourceSpans"]) == 1
