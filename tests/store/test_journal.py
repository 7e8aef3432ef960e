"""What is recorded comes back as it was, from any state of the store."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.recorded import record, span, token
from tttlab.errors import StoreError
from tttlab.events import ChunkDelta, TokenDelta
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def rows(folder, sql):
    return connect(folder).execute(sql).fetchall()


def test_a_span_comes_back_with_every_kind_of_attribute(journal):
    attributes = {
        "text": "a\x00b \ud83d é",
        "pair": "\ud83d\ude00",
        "number": 3,
        "flag": True,
        "list": ("a", "b"),
        "nested": {"a": [1, {"b": 2.5}]},
        "nan": float("nan"),
        "bytes": b"\x01\xff",
    }
    journal.span(span(attributes=attributes))
    journal.flush()
    [(found,)] = rows(journal.folder, "SELECT attributes::VARCHAR FROM spans")
    import json

    assert json.loads(found) == {
        "tttlab.run.id": "run-1",
        "text": "a\x00b � é",
        "pair": "😀",
        "number": 3,
        "flag": True,
        "list": ["a", "b"],
        "nested": {"a": [1, {"b": 2.5}]},
        "nan": None,
        "bytes": "01ff",
    }


def test_an_attribute_of_another_type_than_its_column_stays_in_the_attributes(journal):
    journal.span(span(attributes={"tttlab.answer.confidence": "high", "tttlab.answer.value": 56}))
    journal.flush()
    assert rows(journal.folder, "SELECT confidence, answer FROM answers") == [(None, "56")]
    assert rows(journal.folder, "SELECT attributes->>'$.\"tttlab.answer.confidence\"' FROM spans") == [("high",)]


def test_a_started_span_is_seen_and_its_end_takes_its_place(journal):
    journal.span(span(7, ended=False))
    journal.flush()
    assert rows(journal.folder, "SELECT complete, ended FROM spans") == [(False, None)]
    journal.span(span(7))
    journal.flush()
    assert rows(journal.folder, "SELECT complete, seconds FROM spans") == [(True, 1.0)]


def test_tokens_of_one_call_count_on_over_flushes(journal):
    buffer = journal.token_buffer("run-1", "00000000000000ff")
    for sequence in (1, 2):
        buffer.record(sequence, token(f"t{sequence}"))
    journal.flush()
    buffer.record(5, token("t5"))
    buffer.close()
    journal.flush()
    journal.flush()
    assert rows(journal.folder, "SELECT span_id, position, sequence, text FROM tokens ORDER BY position") == [
        ("00000000000000ff", 0, 1, "t1"),
        ("00000000000000ff", 1, 2, "t2"),
        ("00000000000000ff", 2, 5, "t5"),
    ]
    assert journal._buffers == {}


deltas = st.one_of(
    st.builds(
        TokenDelta,
        text=st.text(st.characters(codec=None), max_size=8),
        time_ns=st.integers(0, 2**62),
        token_id=st.none() | st.integers(0, 2**31 - 1),
        logprob=st.none() | st.floats(width=32, max_value=0),
        channel=st.sampled_from(["thinking", "answer"]),
        merged=st.booleans(),
    ),
    st.builds(
        ChunkDelta,
        text=st.text(max_size=8),
        time_ns=st.integers(0, 2**62),
        channel=st.sampled_from(["thinking", "answer"]),
        tokens=st.none() | st.integers(0, 10_000),
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(deltas, min_size=1, max_size=30))
def test_any_stream_comes_back_in_order(tmp_path_factory, stream):
    folder = tmp_path_factory.mktemp("store")
    journal = Journal(folder)
    buffer = journal.token_buffer("run-1", "00000000000000aa")
    for sequence, event in enumerate(stream):
        buffer.record(sequence, event)
    journal.close()
    found = rows(
        folder,
        "SELECT text, time_ns, token_id, logprob, channel, merged, granularity, chunk_tokens"
        " FROM tokens ORDER BY position",
    )
    assert found == [
        (
            event.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
            event.time_ns,
            getattr(event, "token_id", None),
            getattr(event, "logprob", None),
            event.channel,
            getattr(event, "merged", False),
            "token" if isinstance(event, TokenDelta) else "chunk",
            getattr(event, "tokens", None),
        )
        for event in stream
    ]


def test_nothing_is_lost_when_threads_record_while_it_flushes(journal):
    def work(number):
        buffer = journal.token_buffer("run-1", f"{number:016x}")
        for position in range(3000):
            buffer.record(position, token(position=position))
            if position % 100 == 0:
                journal.span(span(number * 10_000 + position))
        buffer.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        journal.flush()
    journal.flush()
    assert rows(journal.folder, "SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens") == [
        (12_000, 12_000)
    ]
    assert rows(journal.folder, "SELECT count(*) FROM spans") == [(120,)]


def test_a_killed_process_leaves_what_was_flushed_and_its_open_spans(own_store):
    code = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.store.recorded import span, token
from tttlab.store.journal import Journal
journal = Journal(Path({str(own_store)!r}))
journal.span(span(1, ended=False, attributes={{"gen_ai.operation.name": "invoke_workflow"}}))
buffer = journal.token_buffer("run-1", "00000000000000aa")
sequence = 0
while True:
    buffer.record(sequence, token(position=sequence)); sequence += 1
    if sequence % 500 == 0:
        journal.flush(); print(sequence, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    flushed = 0
    while flushed < 5000:
        flushed = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    [(count, last)] = rows(own_store, "SELECT count(*), max(position) FROM tokens")
    assert count >= flushed
    assert last == count - 1
    assert rows(own_store, "SELECT status, answer FROM runs") == [("incomplete", None)]


def test_a_read_only_store_is_said_once_and_nothing_is_raised(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    journal = Journal(blocked / "store")
    record(journal)
    journal.flush()
    assert "cannot be written to" in journal.trouble
    blocked.unlink()
    journal.flush()
    assert journal.trouble is None
    assert rows(blocked / "store", "SELECT count(*) FROM tokens") == [(3,)]
    journal.close()


def test_what_cannot_be_written_is_kept_within_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("tttlab.store.journal.KEPT_BYTES", 50_000)
    (tmp_path / "blocked").write_text("")
    journal = Journal(tmp_path / "blocked" / "store")
    for _ in range(20):
        record(journal, 200)
        journal.flush()
    assert sum(table.nbytes for _, table in journal._unwritten) <= 50_000
    assert "rows were given up" in journal.trouble
    (tmp_path / "blocked").unlink()
    journal.flush()
    assert "cannot be written to" not in journal.trouble
    assert "rows were given up" in journal.trouble
    journal.close()


def test_what_was_never_written_is_said_on_stderr_at_the_end(tmp_path):
    (tmp_path / "blocked").write_text("")
    code = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.store.recorded import record
from tttlab.store.journal import Journal
record(Journal(Path({str(tmp_path / "blocked" / "store")!r})), 3)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.startswith("tttlab: 4 rows were given up, because the store in ")
    assert "could not be written to (Not a directory)" in ended.stderr


def test_segments_that_are_removed_under_a_living_journal_are_recorded_again(journal):
    record(journal, 3, number=1)
    journal.flush()
    shutil.rmtree(journal.folder / "segments")
    record(journal, 4, number=2)
    journal.flush()
    assert journal.trouble is None
    assert rows(journal.folder, "SELECT count(*) FROM tokens") == [(4,)]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_loses_nothing_that_was_published(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        journal = Journal(disk / "store")
        number = 0
        while not journal.trouble:
            number += 1
            record(journal, 2000, number)
            journal.flush()
        assert "No space left" in journal.trouble
        published = rows(disk / "store", "SELECT count(*) FROM tokens")[0][0]
        assert published % 2000 == 0
        assert published > 0
        with pytest.raises(StoreError, match="could not be compacted"):
            compact(disk / "store")
        assert not list((disk / "store").glob("archives/*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        journal.flush()
        assert journal.trouble is None
        assert rows(disk / "store", "SELECT count(*) FROM tokens") == [(number * 2000,)]
        journal.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
