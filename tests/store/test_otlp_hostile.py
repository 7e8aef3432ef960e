"""OTLP from programs that are odd or hostile: refused before it costs memory or time, nothing is lost or doubled."""

import json
import socket
import threading

import httpx
import pytest

from tests.store.recorded import span
from tests.store.test_otlp_files import changed
from tests.store.test_otlp_http import PROTOBUF, names, post, request, said
from tttlab.errors import OptionError, StoreError
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.otlp import decode, receive
from tttlab.store.otlp import tokens as tokens_module
from tttlab.store.otlp.decode import span_rows
from tttlab.store.otlp.encode import trace_requests
from tttlab.store.otlp.files import export_file, import_file
from tttlab.store.otlp.json_form import read_json, write_json
from tttlab.store.otlp.receive import Collector, Refusal
from tttlab.store.otlp.tokens import TOKENS, Delivery, as_attribute, from_attribute

HEAD = b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"
HOST = b"Host: 127.0.0.1\r\n"
CHUNKED = HEAD + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def raw(collector, *pieces, end=True):
    """What the collector answers to bytes that no client of HTTP would send."""
    with socket.create_connection(collector.server_address, timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(2**16):
            answer += piece
    return answer


def status(answer):
    return int(answer.split(maxsplit=2)[1])


def deliveries(count):
    return as_attribute(
        [
            Delivery(n, n, "answer", f"w{n}", n, -0.5, 5 + n, "token", merged=False, chunk_tokens=None)
            for n in range(count)
        ]
    )


def call(count, *, ended, number=1, run="run-1", **fields):
    return span(number, ended=ended, run=run, attributes={TOKENS: deliveries(count)} if count else {}, **fields)


def tokens(folder):
    return connect(folder).execute("SELECT run_id, position, text FROM stored_tokens ORDER BY ALL").fetchall()


def texts(count, run="run-1"):
    return [(run, number, f"w{number}") for number in range(count)]


@pytest.mark.parametrize("large", ["resource", "scope"])
def test_a_resource_or_a_scope_that_its_spans_would_multiply_is_refused(monkeypatch, large):
    monkeypatch.setattr(decode, "_MOST_REPEATED", 100_000)
    [made] = trace_requests([span(number) for number in range(1, 51)])
    assert len(span_rows(made)) == 50
    if large == "resource":
        made.resource_spans[0].resource.attributes[0].value.string_value = "x" * 3_000
    else:
        made.resource_spans[0].scope_spans[0].scope.name = "x" * 3_000
    with pytest.raises(StoreError, match=r"resourceSpans\[0\] has a resource or scopes too large for that many spans"):
        span_rows(made)


def test_the_latest_time_that_is_taken_can_be_asked_for_in_every_view(tmp_path):
    with pytest.raises(StoreError, match="before the year 2262"):
        span_rows(read_json(changed(startTimeUnixNano=str(2**63 - 1))))
    latest = {name: str(2**63 - 1_000) for name in ("startTimeUnixNano", "endTimeUnixNano")}
    (tmp_path / "late.jsonl").write_text(changed(**latest))
    import_file(tmp_path / "store", tmp_path / "late.jsonl")
    connection = connect(tmp_path / "store")
    for view in ("spans", "otel_traces", "otlp_traces"):
        connection.execute(f"SELECT * FROM {view}").fetchall()
    assert connection.execute("SELECT isfinite(ended) FROM spans").fetchall() == [(True,)]


@pytest.mark.parametrize("as_read", [str, str.encode], ids=["text", "bytes"])
def test_half_of_a_surrogate_pair_becomes_a_sign_that_says_so(as_read):
    pairs = [{"key": "\udc00k", "value": {"stringValue": "cut \ud83d"}}]
    [row] = span_rows(read_json(as_read(changed(name="a\ud800b", attributes=pairs))))
    assert (row.name, row.attributes) == ("a\ufffdb", {"\ufffdk": "cut \ufffd"})
    [row] = span_rows(read_json(as_read(changed(name="whole \U0001f680"))))
    assert row.name == "whole \U0001f680"


def test_halves_that_are_not_written_as_escapes_are_a_clear_error():
    data = changed(kind="KIND").encode().replace(b"KIND", b"\xed\xa0\x80")
    with pytest.raises(StoreError, match="this is no ExportTraceServiceRequest"):
        read_json(data)


def test_a_size_of_a_chunk_is_hex_digits_and_nothing_else(collector):
    for size in (b"-1", b"+5", b"0x5", b"1_0", b"", b"5 5", b"fffffffff"):
        answer = raw(collector, CHUNKED, size, b"\r\nabcde\r\n0\r\n\r\n")
        assert (status(answer), b"chunks are damaged" in answer) == (400, True)


def test_a_request_that_is_cut_is_refused_and_nothing_of_it_is_recorded(collector):
    data = request().SerializeToString()
    whole = HEAD + HOST + f"Content-Length: {len(data)}\r\n\r\n".encode()
    for cut in (
        raw(collector, whole, data[:-3]),
        raw(collector, CHUNKED, f"{len(data):x}\r\n".encode(), data[:-3]),
    ):
        assert (status(cut), b"the request ended after" in cut) == (400, True)
    assert names(collector) == []


def test_a_body_that_comes_too_slowly_is_given_up(collector, monkeypatch):
    monkeypatch.setattr(receive, "_SECONDS", -1)
    monkeypatch.setattr(receive, "_LINGERING_SECONDS", 0.05)
    for head, body in ((HEAD + HOST + b"Content-Length: 9\r\n\r\n", b"abc"), (CHUNKED, b"5\r\nabc")):
        answer = raw(collector, head, body, end=False)
        assert (status(answer), b"took longer than" in answer) == (408, True)


def test_a_page_that_has_a_name_of_its_own_for_this_machine_may_not_send(collector):
    for name in ("rebound.example", "rebound.example:4318", "127.0.0.1.example", "a.localhost.example", "[::1"):
        answer = post(collector, request().SerializeToString(), PROTOBUF | {"Host": name})
        assert (answer.status_code, name in said(answer)) == (421, True)
    assert names(collector) == []


def test_programs_of_this_machine_may_call_it_as_they_do(collector):
    for name in ("localhost:9", "127.0.0.1", "[::1]:9", "host.docker.internal:9", "a.localhost", "box"):
        assert post(collector, request().SerializeToString(), PROTOBUF | {"Host": name}).status_code == 200


def test_a_collector_for_other_machines_has_whatever_name_they_give_it(tmp_path, serving):
    with serving(Collector(tmp_path / "store", "0.0.0.0", port=0)) as opened:
        address = f"http://127.0.0.1:{opened.server_port}/v1/traces"
        headers = PROTOBUF | {"Host": "traces.example"}
        assert httpx.post(address, content=request().SerializeToString(), headers=headers).status_code == 200
    opened.close()


def test_a_host_that_is_no_name_is_told(tmp_path):
    for host in ("a..b", "é..b", "é" * 99):
        with pytest.raises(OptionError, match="cannot be listened on"):
            Collector(tmp_path / "store", host, port=0)


def test_who_still_sends_what_is_refused_gets_the_answer(collector, monkeypatch):
    monkeypatch.setattr(receive, "LARGEST", 1000)
    answer = raw(collector, HEAD + HOST + b"Content-Length: 8000000\r\n\r\n", b"0" * 8_000_000)
    assert status(answer) == 413


def test_few_requests_are_in_memory_as_rows_at_once(collector, monkeypatch):
    inside, most, everybody = [0], [0], threading.Barrier(receive.DECODED_AT_ONCE)
    real = collector.record

    def recording(rows):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        everybody.wait(10)  # As many as may be here are.
        real(rows)
        inside[0] -= 1

    monkeypatch.setattr(collector, "record", recording)
    data = [request(span(number)).SerializeToString() for number in range(1, 7)]
    threads = [threading.Thread(target=post, args=(collector, each, PROTOBUF)) for each in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], len(names(collector))) == (receive.DECODED_AT_ONCE, 6)


def test_what_is_not_read_for_whatever_reason_is_answered(collector, monkeypatch):
    def broken(_data):
        raise LookupError("?")

    monkeypatch.setattr(receive, "read_protobuf", broken)
    answer = post(collector, b"", PROTOBUF)
    assert (answer.status_code, said(answer)) == (500, "these spans could not be read: LookupError")


def test_a_collector_that_is_closed_during_a_request_writes_it_and_takes_no_more(tmp_path, monkeypatch):
    collector = Collector(tmp_path / "store", port=0)
    taken, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    real = collector._take

    def taking(row):
        taken.set()
        go_on.wait(10)
        real(row)

    monkeypatch.setattr(collector, "_take", taking)
    recording = threading.Thread(target=collector.record, args=([span(1)],))
    recording.start()
    assert taken.wait(10)

    def closing():
        collector.close()
        closed.set()

    thread = threading.Thread(target=closing)
    thread.start()
    while not collector._closing:
        thread.join(0.01)
    with pytest.raises(Refusal, match="this collector is ending"):
        collector.record([span(2)])
    assert not closed.is_set()
    go_on.set()
    for each in (recording, thread):
        each.join(10)
    assert connect(tmp_path / "store").execute("SELECT span_id FROM spans").fetchall() == [(f"{1:016x}",)]


def test_while_the_store_cannot_be_written_to_no_more_is_taken(collector):
    collector.journal.folder.mkdir(parents=True)
    segments = collector.journal.folder / "segments"
    segments.write_text("in the way")
    for number in (1, 2):
        assert post(collector, request(span(number)).SerializeToString(), PROTOBUF).status_code == 503
    segments.unlink()
    assert post(collector, request(span(3)).SerializeToString(), PROTOBUF).status_code == 200
    stored = connect(collector.journal.folder).execute("SELECT span_key FROM stored_spans ORDER BY 1").fetchall()
    assert stored == [(1,), (3,)]  # The second is still its sender's, who was told to send it again.


def test_a_call_that_comes_open_and_then_ended_has_each_token_once(collector):
    for row in (call(2, ended=False), call(4, ended=True), call(4, ended=True), call(2, ended=False)):
        assert post(collector, request(row).SerializeToString(), PROTOBUF).status_code == 200
    assert tokens(collector.journal.folder) == texts(4)


def test_a_call_that_came_open_before_is_known_to_a_later_collector(collector, serving):
    opened = request(call(2, ended=False)).SerializeToString()
    post(collector, opened, PROTOBUF)
    with serving(Collector(collector.journal.folder, port=0)) as later:
        post(later, opened, PROTOBUF)
        assert later.recorded == 0
        post(later, request(call(4, ended=True)).SerializeToString(), PROTOBUF)
    later.close()
    assert tokens(collector.journal.folder) == texts(4)


def test_a_file_with_a_call_open_and_ended_in_any_order_has_each_token_once(tmp_path):
    rows = [call(2, ended=False), call(4, ended=True)]
    for name, order in (("forth", rows), ("back", rows[::-1])):
        source = tmp_path / f"{name}.jsonl"
        source.write_text("".join(write_json(request(row)) + "\n" for row in order))
        import_file(tmp_path / name, source)
        assert tokens(tmp_path / name) == texts(4)


def test_a_call_that_was_imported_open_gets_the_rest_of_its_tokens_with_its_end(tmp_path):
    for name, row in (("open", call(2, ended=False)), ("ended", call(4, ended=True))):
        (tmp_path / name).write_text(write_json(request(row)))
        import_file(tmp_path / "store", tmp_path / name)
    assert tokens(tmp_path / "store") == texts(4)


def test_calls_of_two_runs_with_one_id_keep_their_own_tokens(tmp_path):
    rows = [call(3, ended=True), call(2, ended=True, run="run-2", trace_id="ab" * 16)]
    (tmp_path / "one.jsonl").write_text(write_json(request(*rows)))
    import_file(tmp_path / "one", tmp_path / "one.jsonl")
    for name, row in (("first", rows[0]), ("second", rows[1])):
        (tmp_path / name).write_text(write_json(request(row)))
        import_file(tmp_path / "two", tmp_path / name)
    assert tokens(tmp_path / "one") == tokens(tmp_path / "two") == texts(3) + texts(2, "run-2")


@pytest.mark.parametrize(
    "change",
    [
        {"granularity": [["token", -1], ["token", 3]]},
        {"channel": [["answer", 1]]},
        {"merged": [[False, 10**12]]},
        {"sequence": [-1, 0]},
        {"sequence": [2**63, 0]},
    ],
)
def test_columns_of_tokens_that_do_not_fit_together_stay_an_attribute(change):
    good = json.loads(deliveries(2))
    assert len(from_attribute(json.dumps(good))) == 2
    assert from_attribute(json.dumps(good | change)) is None


def test_a_column_that_takes_back_what_it_says_is_not_written_out():
    with pytest.raises(ValueError, match="of another length"):
        tokens_module._unrolled([["token", -1], ["token", 3]], 2)


def test_an_export_to_a_place_that_cannot_be_is_told(own_store, tmp_path):
    journal = Journal(own_store)
    journal.span(span(1))
    journal.close()
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "x.jsonl", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError, match="could not be written"):
            export_file(connect(own_store), [], target)
