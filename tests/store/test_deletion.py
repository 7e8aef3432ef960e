"""A run that is deleted leaves nothing behind, takes nothing else with it, and is there whole or not at all."""

import os
import secrets
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

import tttlab
from tests.store.holding import holding
from tests.store.recorded import TRACE, record, span
from tests.store.recording import in_the_middle_of_run_1, root
from tests.test_replay import known
from tttlab.errors import StoreError
from tttlab.recording import flush
from tttlab.store import deletion
from tttlab.store.archives import archive_folder, archives_in
from tttlab.store.bundles import export_bundle
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.deletion import delete
from tttlab.store.journal import Journal
from tttlab.store.manifest import manifest_path, read_manifest
from tttlab.store.segments import KINDS, segment_folder, segments

OTHER_TRACE = "1" * 32


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def ask(folder, sql):
    return connect(folder).execute(sql).fetchall()


def counts(folder, run):
    [row] = ask(
        folder,
        f"SELECT (SELECT count(*) FROM spans WHERE run_id = '{run}'), count(*), count(DISTINCT (span_key, position)) "
        f"FROM tokens WHERE run_id = '{run}'",
    )
    return row


def text():
    return secrets.token_hex(32)


@pytest.mark.parametrize("kept_seconds", [0, 600])
def test_no_byte_of_a_deleted_run_is_left_in_any_file(own_store, kept_seconds):
    gone, stays = text(), text()
    runs = {}
    for number, word in enumerate((gone, stays, gone, stays, gone)):
        # In archives, in the segments that went into them, and in segments that no archive holds.
        options = {"strategy": "self_consistency", "samples": 2, "replay": "off", "seed": number}
        run = tttlab.think(f"what is {word}?", model=known(word, word), **options)
        runs.setdefault(word, []).append(run.id)
        flush()
        if number in (1, 2):
            compact(own_store, kept_seconds=kept_seconds)
    tttlab.think(f"what is {gone}?", **{**options, "model": known("never asked"), "replay": "only"})
    flush()
    assert ask(own_store, "SELECT count(*) FROM runs_all WHERE replay_of IS NOT NULL") == [(1,)]
    before = ask(own_store, f"SELECT * FROM tokens WHERE run_id IN {tuple(runs[stays])} ORDER BY ALL")
    held = holding(own_store, gone)
    assert len(held) >= (3 if kept_seconds == 0 else 6)
    done = delete(own_store, runs[gone])
    assert holding(own_store, gone) == []
    assert not {path.name for path in own_store.rglob("*")} & set(held)
    assert (done.runs, done.notes, done.waiting, done.unread) == (tuple(runs[gone]), 1, (), ())
    assert ask(own_store, "SELECT run_id FROM runs_all ORDER BY ALL") == [(run,) for run in sorted(runs[stays])]
    assert ask(own_store, "SELECT * FROM tokens ORDER BY ALL") == before != []
    assert ask(own_store, "SELECT count(*) FROM spans") > [(0,)]
    assert holding(own_store, stays) != []


def test_it_says_how_much_was_deleted(journal, own_store):
    for number, run in enumerate(("run-1", "run-2", "run-3"), start=1):
        root(journal, number * 10, run=run)
        record(journal, 5, number=number, run=run)
    journal.flush()
    done = delete(own_store, ["run-1", "run-3", "run-1"])
    assert (done.runs, done.spans, done.tokens) == (("run-1", "run-3"), 4, 10)
    assert counts(own_store, "run-2") == (2, 5, 5)
    assert counts(own_store, "run-1") == counts(own_store, "run-3") == (0, 0, 0)


def test_spans_of_other_libraries_in_the_trace_of_a_run_go_with_it(journal, own_store):
    marker = text()
    journal.span(span(1, run="run-1"))
    journal.span(span(2, attributes={"tttlab.run.id": None, "asked": marker}, parent_span_id=f"{1:016x}"))
    journal.span(span(3, attributes={"tttlab.run.id": None}, trace_id=OTHER_TRACE))
    journal.flush()
    delete(own_store, ["run-1"])
    assert ask(own_store, "SELECT span_key, trace_id FROM spans") == [(3, OTHER_TRACE)]
    assert TRACE != OTHER_TRACE
    assert holding(own_store, marker) == []


def test_a_beginning_that_one_id_has_will_do_and_any_other_word_names_the_nearest(journal, own_store):
    for number, run in enumerate(("20260101-aaa", "20260101-abc", "20260202-abc"), start=1):
        root(journal, number, run=run)
    journal.flush()
    with pytest.raises(StoreError, match=r"'202601' begins several ids \(20260101-aaa, 20260101-abc\)"):
        delete(own_store, ["202601"])
    with pytest.raises(StoreError, match=r"there is no run '20260203-abc'; did you mean '20260202-abc'"):
        delete(own_store, ["20260203-abc"])
    assert ask(own_store, "SELECT count(*) FROM spans") == [(3,)]
    assert delete(own_store, ["202602"]).runs == ("20260202-abc",)


def test_where_nothing_is_recorded_nothing_can_be_deleted(own_store):
    with pytest.raises(StoreError, match="there is no store in"):
        delete(own_store, ["x"])
    own_store.mkdir(parents=True)
    with pytest.raises(StoreError, match="no run is recorded yet"):
        delete(own_store, ["x"])


@pytest.mark.parametrize("archived", [False, True])
def test_a_run_that_is_still_being_recorded_is_refused_until_its_process_has_ended(own_store, archived):
    with in_the_middle_of_run_1(own_store) as process:
        if archived:
            compact(own_store)
        with pytest.raises(StoreError, match=f"run-1 is still being recorded by process {process}; stop it"):
            delete(own_store, ["run-1"])
        assert counts(own_store, "run-1") == (2, 5, 5)
    assert delete(own_store, ["run-1"]).tokens == 5
    assert counts(own_store, "run-1") == (0, 0, 0)


def test_a_reader_keeps_what_it_reads_and_after_it_the_next_compaction_removes_it(journal, own_store):
    marker = text()
    root(journal, 1, run="run-1", attributes={"asked": marker})
    record(journal, 5, number=2)
    journal.flush()
    reader = connect(own_store)
    done = delete(own_store, ["run-1"])
    assert done.readers == (os.getpid(),)
    assert {path.name for path in done.waiting} >= set(holding(own_store, marker)) != set()
    assert reader.execute("SELECT count(*) FROM tokens").fetchone() == (5,)
    assert counts(own_store, "run-1") == (0, 0, 0)
    compact(own_store)
    assert holding(own_store, marker) != []
    del reader
    compact(own_store)
    assert holding(own_store, marker) == []


def test_a_lost_manifest_brings_no_deleted_run_back(journal, own_store):
    for number in (1, 2):
        root(journal, number * 10, run=f"run-{number}")
        record(journal, 5, number=number, run=f"run-{number}")
    journal.flush()
    compact(own_store)
    reader = connect(own_store)  # Keeps the files that held it.
    delete(own_store, ["run-1"])
    assert len(archives_in(own_store)) == 2
    manifest_path(own_store).unlink()
    with pytest.warns(UserWarning, match="is missing"):
        assert counts(own_store, "run-1") == (0, 0, 0)
    with pytest.warns(UserWarning, match="is missing"):
        assert counts(own_store, "run-2") == (2, 5, 5)
    del reader


class Killed(BaseException):
    """Stands for a process that is killed: nothing is put in place or removed after it."""


@pytest.fixture
def killed_at(monkeypatch):
    """Makes the process die before its n-th rename or removal of a file."""

    def set_up(last):
        done = 0

        def watched(original):
            def act(self, *arguments, **options):
                nonlocal done
                done += 1
                if done >= last:
                    raise Killed
                return original(self, *arguments, **options)

            return act

        with monkeypatch.context() as context:
            for name in ("replace", "unlink"):
                context.setattr(Path, name, watched(getattr(Path, name)))
            yield

    return set_up


def test_a_process_that_is_killed_at_any_point_leaves_the_run_whole_or_gone(own_store, tmp_path, killed_at):
    marker = text()
    journal = Journal(own_store)
    for number in (1, 2, 3):
        run = "run-1" if number != 2 else "run-2"
        journal.span(span(number * 10, run=run, attributes={"asked": marker if run == "run-1" else "else"}))
        record(journal, 5, number=number, run=run)
        journal.flush()
        if number < 3:
            compact(own_store, kept_seconds=600)
    journal.close()
    seen = set()
    for last in range(1, 100):
        store = tmp_path / f"killed-{last}" / "store"
        shutil.copytree(own_store, store)
        killed = False
        for _ in killed_at(last):
            try:
                delete(store, ["run-1"])
            except Killed:
                killed = True
        left = tokens_of_both(store)
        assert left in {((5, 5),), ((5, 5), (10, 10))}
        compact(store)
        assert tokens_of_both(store) == left
        if left == ((5, 5),):
            assert holding(store, marker) == []
        assert set(archives_in(store)) == {*read_manifest(store).archives, *read_manifest(store).retired}
        seen.add(left)
        shutil.rmtree(store)
        if not killed:
            break
    assert not killed
    assert len(seen) == 2


def tokens_of_both(store):
    return tuple(
        ask(
            store,
            "SELECT count(*), count(DISTINCT (tokens.span_key, position)) FROM tokens JOIN spans USING (span_key) "
            "GROUP BY tokens.run_id ORDER BY ALL",
        )
    )


def test_what_a_killed_process_had_not_finished_is_removed_too(journal, own_store):
    marker = text()
    root(journal, 1, run="run-1")
    journal.flush()
    [written] = segments(own_store, "spans")
    dead = written.with_name(f"1-{2**22 - 3:x}01234567-000001-00000000.parquet.tmp")
    dead.write_text(marker)
    archive_folder(own_store).mkdir()
    (archive_folder(own_store) / "1.duckdb.tmp").write_text(marker)
    delete(own_store, ["run-1"])
    assert holding(own_store, marker) == []


def test_damaged_files_are_named_since_they_cannot_be_searched(journal, own_store):
    for number in (1, 2):
        root(journal, number, run=f"run-{number}")
        journal.flush()
        compact(own_store, kept_seconds=0)
    root(journal, 3, run="run-3")
    journal.flush()
    bad = archive_folder(own_store) / read_manifest(own_store).archives[0]
    bad.write_bytes(bad.read_bytes()[:-100])
    [segment] = segments(own_store, "spans")
    segment.write_bytes(b"no longer Parquet")
    with pytest.warns(UserWarning, match="is damaged"):
        done = delete(own_store, ["run-2"])
    assert done.unread == (bad, own_store / "damaged" / segment.name)


def test_while_another_process_compacts_nothing_is_deleted(journal, own_store, monkeypatch):
    root(journal, 1, run="run-1")
    journal.flush()
    monkeypatch.setattr(deletion, "LOCK_SECONDS", 0)
    with FileLock(own_store / "compaction.lock"), pytest.raises(StoreError, match="another process compacts"):
        delete(own_store, ["run-1"])
    assert ask(own_store, "SELECT count(*) FROM spans") == [(1,)]


def test_where_no_archive_can_be_written_nothing_is_deleted(journal, own_store):
    root(journal, 1, run="run-1")
    journal.flush()
    (own_store / "archives").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"the store in .* could not be changed: .*archives"):
        delete(own_store, ["run-1"])
    assert ask(own_store, "SELECT run_id FROM spans") == [("run-1",)]
    assert len(segments(own_store, "spans")) == 1


def test_a_run_of_a_bundle_is_refused(tmp_path):
    run = tttlab.think("7 * 8?", model=known("56"), replay="off")
    export_bundle(tttlab.connect(), [run.id], tmp_path / "bundle")
    store = tmp_path / "bundle" / "store"
    store.mkdir()
    with pytest.raises(StoreError, match=f"{run.id} is part of the bundle .*never changed"):
        delete(store, [run.id])


def test_nothing_that_holds_no_row_of_it_is_touched(journal, own_store):
    for number in (1, 2):
        record(journal, 5, number=number, run=f"run-{number}")
        journal.flush()
    kept = {path for kind in KINDS for path in segments(own_store, kind)[1:]}
    delete(own_store, ["run-1"])
    assert {path for kind in KINDS for path in segment_folder(own_store, kind).glob("[1-9]*")} == kept
