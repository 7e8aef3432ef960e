"""OTLP: what leaves a store as protobuf or JSON and comes into another is the same, and what cannot be read is told."""

import gzip
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers
from tests.store.recorded import TRACE, record, span
from tttlab.errors import StoreError
from tttlab.events import TokenDelta
from tttlab.options import store_folder
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.otlp.decode import read_protobuf, span_rows
from tttlab.store.otlp.encode import MOST_RECORDS, trace_requests
from tttlab.store.otlp.files import export_file, import_file
from tttlab.store.otlp.json_form import read_json, write_json
from tttlab.store.otlp.selection import Form
from tttlab.store.otlp.tokens import TOKENS, Delivery, as_attribute, from_attribute
from tttlab.tracing.rows import SpanEvent, SpanLink

ODD = {
    "text": 'é🚀 "quoted"\n\x00',
    "integer": 1,
    "double": 1.0,
    "large": 2**63 - 1,
    "small": -(2**63),
    "yes": True,
    "nothing": None,
    "empty": "",
    "list": [1, 2.5, "x", None, [True]],
    "structured": {"a": {"b": [{"c": 1}]}, "": {}},
    "no entries": [],
    "": "no name",
}


def spans():
    """Spans with all that a span can have."""
    yield span(1, attributes=ODD, name="root", status_code="ERROR", status_message="it broke")
    yield span(
        2,
        parent_span_id=f"{1:016x}",
        kind="CLIENT",
        status_code="OK",
        events=[SpanEvent(17, "first", {"at": 1.5}), SpanEvent(18, "second", {})],
        links=[SpanLink("ab" * 16, "cd" * 8, {"why": "vote"})],
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
        trace_state="vendor=x",
        flags=0,
    )
    yield span(3, ended=False)
    yield span(4, scope_name="other", scope_version=None, resource={"service.name": "other", "pid": 7, "args": ["a"]})
    yield span(5, span_id="ffff000000000005", trace_id="1f" * 16, kind="UNSPECIFIED", run=None)


@pytest.fixture
def store(own_store):
    journal = Journal(own_store)
    for row in spans():
        journal.span(row)
    record(journal, count=4, number=6)
    journal.close()
    return own_store


def everything(folder, view="spans"):
    order = "trace_id, span_key" if view == "spans" else "span_key, position"
    return connect(folder).execute(f"SELECT * FROM {view} ORDER BY {order}").fetchall()


def without_top(rows):
    return [[value for value in row if not isinstance(value, list)][:6] for row in rows]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told_spans(path):
    for line in lines(path):
        for resource in line.get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                yield from scope["spans"]


@pytest.mark.parametrize("name", ["spans.jsonl", "spans.jsonl.gz"])
def test_what_is_exported_and_imported_is_the_same(store, tmp_path, name):
    assert export_file(connect(store), [], tmp_path / name) == 6
    other = tmp_path / "other" / "store"
    imported = import_file(other, tmp_path / name)
    assert (imported.spans, imported.new, imported.other_lines) == (6, 6, 0)
    assert everything(other) == everything(store)


def test_what_is_sent_as_protobuf_and_read_is_the_same():
    rows = list(spans())
    [request] = trace_requests(rows)
    assert sorted(span_rows(read_protobuf(request.SerializeToString()))) == sorted(rows)


def test_bytes_not_a_number_and_deep_values_go_through_as_far_as_they_can():
    deep = "bottom"
    for _ in range(60):
        deep = {"in": deep}
    [request] = trace_requests([span(1, attributes={"bytes": b"\x00\xff", "deep": deep, "huge": 2**70})])
    for read in (read_protobuf(request.SerializeToString()), read_json(write_json(request))):
        [row] = span_rows(read)
        assert (row.attributes["bytes"], row.attributes["huge"]) == (b"\x00\xff", str(2**70))
        found = row.attributes["deep"]
        while isinstance(found, dict):
            found = found["in"]
        assert '"bottom"' in found or "…" in found


def test_a_file_has_the_ids_in_hex_integers_as_text_and_kinds_as_numbers(store, tmp_path):
    export_file(connect(store), [], tmp_path / "spans.jsonl")
    found = {each["spanId"]: each for each in told_spans(tmp_path / "spans.jsonl")}
    client = found[f"{2:016x}"]
    assert (client["traceId"], client["parentSpanId"], client["kind"]) == (TRACE, f"{1:016x}", 3)
    assert (client["startTimeUnixNano"], client["links"][0]["spanId"]) == ("1700000000000000002", "cd" * 8)
    values = {each.get("key"): each["value"] for each in found[f"{1:016x}"]["attributes"]}
    assert values["integer"] == {"intValue": "1"}
    assert values["double"] == {"doubleValue": 1.0}
    assert "endTimeUnixNano" not in found[f"{3:016x}"]


def test_importing_twice_is_importing_once(store, tmp_path):
    export_file(connect(store), [], tmp_path / "spans.jsonl")
    assert import_file(store, tmp_path / "spans.jsonl").new == 0
    doubled = tmp_path / "doubled.jsonl"
    doubled.write_text((tmp_path / "spans.jsonl").read_text() * 2)
    other = tmp_path / "other" / "store"
    assert (import_file(other, doubled).new, import_file(other, doubled).new) == (6, 0)
    assert everything(other) == everything(store)


def test_a_span_that_was_imported_open_is_completed_by_its_end(tmp_path):
    for name, ended in (("open", False), ("ended", True)):
        [request] = trace_requests([span(1, ended=ended)])
        (tmp_path / name).write_text(write_json(request))
    other = tmp_path / "other" / "store"
    assert [import_file(other, tmp_path / name).new for name in ("open", "ended", "open")] == [1, 1, 0]
    assert connect(other).execute("SELECT complete FROM spans").fetchall() == [(True,)]


def test_a_run_goes_to_another_store_with_its_tokens_and_reads_the_same(tmp_path):
    model = Speaker(answers("56", "54", "56"))
    kept = tttlab.think("What is 7 times 8?", strategy="self_consistency", samples=3, model=model)
    tttlab.think("Another?", model=Speaker(answers("1")))
    export_file(tttlab.connect(), [kept.id[:20], kept.id], tmp_path / "run.jsonl", Form("attribute"))
    other = tmp_path / "other" / "store"
    import_file(other, tmp_path / "run.jsonl")
    import_file(other, tmp_path / "run.jsonl")
    for view, order in (("runs", "run_id"), ("calls", "span_id"), ("votes", "step, candidate"), ("spans", "span_id")):
        sql = f"SELECT * FROM {view} WHERE run_id = '{kept.id}' ORDER BY {order}"
        assert connect(other).execute(sql).fetchall() == tttlab.connect().execute(sql).fetchall()
    sql = f"SELECT * EXCLUDE (top, entropy_topk) FROM tokens WHERE run_id = '{kept.id}' ORDER BY span_id, position"
    found = connect(other).execute(sql).fetchall()
    assert found == tttlab.connect().execute(sql).fetchall()
    assert len(found) > 3
    assert connect(other).execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_an_import_that_was_cut_after_the_tokens_is_finished_by_the_next(store, tmp_path):
    export_file(connect(store), [], tmp_path / "spans.jsonl", Form("attribute"))
    other = tmp_path / "other" / "store"
    import_file(other, tmp_path / "spans.jsonl")
    for segment in (other / "segments").rglob("spans/[1-9]*.parquet"):
        segment.unlink()
    assert import_file(other, tmp_path / "spans.jsonl").new == 6
    assert everything(other) == everything(store)
    assert len(everything(other, "tokens")) == 4


def test_an_attribute_of_tokens_that_is_not_ours_stays_an_attribute(tmp_path):
    whole = as_attribute([Delivery(0, 1, "answer", "a", 5, -0.5, 17, "token", merged=False, chunk_tokens=None)])
    assert from_attribute(whole) == [(1, TokenDelta("a", 17, 5, -0.5))]
    for text in (whole.replace('["a"]', '["a","b"]'), whole.replace(",1]]", ",99999999999]]"), "5", "theirs"):
        assert from_attribute(text) is None
    rows = [span(1, attributes={TOKENS: "theirs"}), span(2, attributes={TOKENS: ["theirs"]})]
    (tmp_path / "theirs.jsonl").write_text(write_json(next(iter(trace_requests(rows)))))
    import_file(tmp_path / "other" / "store", tmp_path / "theirs.jsonl")
    found = connect(tmp_path / "other" / "store").execute("SELECT attributes -> '$.\"tttlab.tokens\"' FROM spans")
    assert found.fetchall() == [('"theirs"',), ('["theirs"]',)]


def test_tokens_go_out_as_log_records_on_request(store, tmp_path):
    export_file(connect(store), [], tmp_path / "logs.jsonl", Form("logs"))
    [logs] = [line for line in lines(tmp_path / "logs.jsonl") if "resourceLogs" in line]
    records = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [each["body"]["stringValue"] for each in records] == [" w0", " w1", " w2", " w3"]
    assert {(each["traceId"], each["spanId"], each["eventName"]) for each in records} == {
        (TRACE, f"{6:016x}", "tttlab.token")
    }
    assert import_file(tmp_path / "other" / "store", tmp_path / "logs.jsonl").other_lines == 1


def test_tokens_stay_at_home_unless_asked_for(store, tmp_path):
    export_file(connect(store), [], tmp_path / "spans.jsonl")
    assert "tttlab.token" not in (tmp_path / "spans.jsonl").read_text().replace("tttlab.tokens.granularity", "")


def test_openinference_names_are_added_on_request(tmp_path):
    run = tttlab.think("What is 7 times 8?", model=Speaker(answers("56")), reference="56")
    export_file(tttlab.connect(), [run.id], tmp_path / "run.jsonl", Form(openinference=True))
    by_kind = {}
    for each in told_spans(tmp_path / "run.jsonl"):
        values = {pair["key"]: next(iter(pair["value"].values()), None) for pair in each["attributes"]}
        by_kind.setdefault(values["openinference.span.kind"], []).append(values)
    [call] = by_kind["LLM"]
    assert call["llm.input_messages.0.message.role"] == "user"
    assert "7 times 8" in call["llm.input_messages.0.message.content"]
    assert (call["llm.output_messages.0.message.role"], call["llm.model_name"]) == ("assistant", run.model)
    assert "56" in call["output.value"]
    counts = [int(call[f"llm.token_count.{side}"]) for side in ("prompt", "completion", "total")]
    assert counts[0] + counts[1] == counts[2] > 0
    assert any("7 times 8" in chain.get("input.value", "") for chain in by_kind["CHAIN"])


def test_a_run_that_there_is_not_is_told_and_no_file_is_left(store, tmp_path):
    with pytest.raises(StoreError, match="there is no run 'nope'"):
        export_file(connect(store), ["nope"], tmp_path / "spans.jsonl")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_requests_are_cut_by_their_number_of_spans():
    rows = [span(number + 1) for number in range(MOST_RECORDS + 1)]
    assert [len(span_rows(request)) for request in trace_requests(rows)] == [MOST_RECORDS, 1]
    large = [span(number + 1, attributes={"text": "x" * 3_000_000}) for number in range(3)]
    assert [len(span_rows(request)) for request in trace_requests(large)] == [1, 1, 1]


def test_one_document_over_many_lines_is_read(tmp_path):
    [request] = trace_requests(spans())
    (tmp_path / "one.json").write_text(json.dumps(json.loads(write_json(request)), indent=2))
    assert import_file(tmp_path / "other" / "store", tmp_path / "one.json").new == 5


GOOD = write_json(next(iter(trace_requests([span(1)]))))


def changed(**fields):
    said = json.loads(GOOD)
    said["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= fields
    return json.dumps(said)


DEEP = '{"resourceSpans": ' + "[" * 100_000
NESTED = {"intValue": "1"}
for _ in range(200):
    NESTED = {"arrayValue": {"values": [NESTED]}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: this is no JSON: .* at column"),
        ("[]", "line 2: an ExportTraceServiceRequest is a JSON object, not a list"),
        ('{"spans": []}', "line 2: it has no field resourceSpans, but 'spans'"),
        (changed(traceId="xyz"), r"line 2: resourceSpans\[0\].scopeSpans\[0\].spans\[0\].traceId must be hex digits"),
        (changed(traceId="00" * 16), r"spans\[0\].traceId must be 32 hex digits that are not all 0"),
        (changed(spanId="ab"), r"spans\[0\].spanId must be 16 hex digits"),
        (changed(startTimeUnixNano="soon"), "startTimeUnixNano: .*soon"),
        (changed(startTimeUnixNano=str(2**63)), "startTimeUnixNano must be nanoseconds since 1970"),
        (changed(name=["a"]), "name: "),
        (changed(attributes=[{"key": "deep", "value": NESTED}]), "nested too deeply"),
        (DEEP, "nested too deeply"),
        ('{"resourceSpans": 9' + "9" * 5000 + "}", "this is no JSON: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place_and_nothing_of_it_is_recorded(tmp_path, line, said):
    source = tmp_path / "bad.jsonl"
    source.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(StoreError, match=said) as raised:
        import_file(store_folder(), source)
    assert str(raised.value).startswith(str(source))
    assert "nothing of it was imported" in str(raised.value)
    assert len(str(raised.value)) < 700
    assert everything(store_folder()) == []


def test_a_packed_file_that_is_cut_or_bursts_is_told(tmp_path, monkeypatch):
    packed = gzip.compress((GOOD + "\n").encode() * 100)
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(StoreError, match=r"cut.gz cannot be read: Compressed file ended"):
        import_file(store_folder(), tmp_path / "cut.gz")
    monkeypatch.setattr("tttlab.store.otlp.files.LARGEST", 2**20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"0" * 2**24))
    with pytest.raises(StoreError, match=r"bomb.gz, line 1: it is larger than 1 MiB"):
        import_file(store_folder(), tmp_path / "bomb.gz")
    with pytest.raises(StoreError, match=r"none.jsonl cannot be read: No such file"):
        import_file(store_folder(), tmp_path / "none.jsonl")
    assert everything(store_folder()) == []


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_clear_error(data):
    for read in (read_protobuf, read_json):
        result_or_error(read, data)


GOOD_KEYS = sorted(set(re.findall(r'"(\w+)":', GOOD)))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("ab" * 8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*GOOD_KEYS, "kvlistValue", "values", "events", "links", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_JSON, st.sampled_from(["", "resourceSpans", "scopeSpans", "spans"]))
def test_any_json_is_a_request_or_a_clear_error(said, depth):
    for key in ("spans", "scopeSpans", "resourceSpans"):
        if depth:
            said = {key: [said]}
        depth = "" if key == depth else depth
    result_or_error(read_json, json.dumps(said))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | _JSON.map(json.dumps))
def test_any_attribute_of_tokens_is_read_or_left(text):
    assert from_attribute(text) is None or isinstance(from_attribute(text), list)


def result_or_error(read, data):
    try:
        rows = span_rows(read(data))
    except StoreError as error:
        lines = str(error).splitlines()
    else:
        lines = ["read"]
        assert all(len(row.span_id) == 16 for row in rows)
    assert len(lines) == 1


def test_the_views_of_other_tools_have_their_names_and_types(store):
    connection = connect(store)
    assert connection.execute(
        "SELECT SpanName, SpanKind, StatusCode, StatusMessage, SpanAttributes['integer'], Duration, ParentSpanId "
        "FROM otel_traces WHERE StatusCode = 'Error'"
    ).fetchall() == [("root", "Internal", "Error", "it broke", "1", 1_000_000_000, "")]
    assert connection.execute(
        "SELECT Events.Name, Events.Attributes[1]['at'], Links.SpanId, ScopeVersion, ServiceName "
        f"FROM otel_traces WHERE SpanId = '{2:016x}'"
    ).fetchall() == [(["first", "second"], "1.5", ["cd" * 8], "0", "tttlab")]
    assert connection.execute(
        "SELECT span_name, span_kind, status_code, duration, span_attributes ->> '$.integer', dropped_links_count "
        "FROM otlp_traces ORDER BY trace_id, span_id"
    ).fetchall()[:2] == [("root", 1, 2, 1_000_000_000, "1", 0), ("propose", 3, 1, 1_000_000_000, None, 3)]
    for view, columns in (("otel_traces", 17), ("otlp_traces", 25)):
        [(count,)] = connection.execute(f"SELECT count(*) FROM {view}").fetchall()
        assert count == 5  # The sixth has not ended.
        assert len(connection.execute(f"DESCRIBE {view}").fetchall()) == columns
