"""A connection sees the whole store, whatever its state."""

import subprocess
import sys

import duckdb
import pytest

import tttlab
from tests.store.recorded import record, span
from tttlab.errors import QueryError, StoreError
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.manifest import read_manifest
from tttlab.store.queries import query
from tttlab.store.segments import segment_folder, segments

VIEWS = ["answers", "branches", "calls", "runs", "spans", "tokens", "usage", "verdicts", "votes"]


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def tokens(connection):
    return connection.execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone()


def test_an_empty_or_missing_store_has_the_views_and_no_rows(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "empty"):
        connection = connect(folder)
        for view in VIEWS:
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchone() == (0,)
    assert not (tmp_path / "missing").exists()


def test_a_connection_to_a_store_with_nothing_in_it_yet_sees_what_comes(own_store):
    connection = tttlab.connect()
    assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    tttlab.think("What is 7 times 8?", model=tttlab.ScriptedModel())
    tttlab.flush()
    assert connection.execute("SELECT status FROM runs").fetchall() == [("ok",)]


def test_connecting_to_a_folder_that_is_not_there_makes_none(tmp_path):
    assert tttlab.connect(tmp_path / "misspelt").execute("SELECT count(*) FROM runs").fetchone() == (0,)
    assert not (tmp_path / "misspelt").exists()


def test_an_open_connection_sees_what_comes_and_is_not_hurt_by_compaction(journal, own_store):
    record(journal, 5, number=1)
    journal.flush()
    old = connect(own_store)
    assert tokens(old) == (5, 5)
    compact(own_store, kept_seconds=0)
    record(journal, 5, number=2)
    journal.flush()
    new = connect(own_store)
    assert tokens(old) == (10, 10)
    assert tokens(new) == (10, 10)
    compact(own_store, kept_seconds=0)
    compact(own_store, kept_seconds=0)
    assert tokens(old) == (10, 10)
    assert tokens(new) == (10, 10)
    # Once the readers are gone the files they held go too.
    del old, new
    compact(own_store, kept_seconds=0)
    assert segments(own_store, "tokens") == []
    assert tokens(connect(own_store)) == (10, 10)
    assert read_manifest(own_store).segments == {}


def test_archives_are_merged_and_what_was_merged_is_removed(journal, own_store):
    for number in range(1, 7):
        record(journal, 4, number=number)
        journal.flush()
        compact(own_store, kept_seconds=0)
    assert len(read_manifest(own_store).archives) < 4
    assert len(list((own_store / "archives").iterdir())) == len(read_manifest(own_store).archives)
    assert tokens(connect(own_store)) == (24, 24)


def test_a_started_span_in_one_archive_and_its_end_in_another_is_one_span(journal, own_store):
    journal.span(span(9, ended=False))
    journal.flush()
    compact(own_store, kept_seconds=0)
    journal.span(span(9))
    journal.flush()
    compact(own_store, kept_seconds=0)
    assert connect(own_store).execute("SELECT complete FROM spans").fetchall() == [(True,)]


def test_a_segment_that_an_archive_holds_is_not_even_opened(journal, own_store):
    record(journal, 5)
    journal.flush()
    reader = connect(own_store)
    compact(own_store, kept_seconds=0)
    for kind in ("spans", "tokens"):
        segments(own_store, kind)[0].write_bytes(b"no longer Parquet")
    assert tokens(connect(own_store)) == (5, 5)
    del reader


def test_a_store_of_a_newer_tttlab_is_refused_in_one_line(own_store, journal):
    record(journal)
    journal.flush()
    segment_folder(own_store, "spans").parent.with_name("v99").mkdir()
    with pytest.raises(StoreError, match=r"written by a newer tttlab .format v99, this one reads 1.: upgrade tttlab"):
        connect(own_store)


def test_a_folder_whose_name_has_glob_characters_and_quotes(tmp_path):
    folder = tmp_path / "it's [a] *store" / "store"
    journal = Journal(folder)
    record(journal, 3)
    journal.close()
    assert tokens(connect(folder)) == (3, 3)
    compact(folder, kept_seconds=0)
    assert tokens(connect(folder)) == (3, 3)


def test_the_published_file_opens_in_a_plain_duckdb_under_any_name(journal, own_store, tmp_path):
    record(journal, 3, number=1)
    journal.flush()
    compact(own_store, kept_seconds=0)
    record(journal, 4, number=2)
    journal.flush()
    compact(own_store, to=tmp_path / "first.duckdb")
    (tmp_path / "first.duckdb").rename(tmp_path / "renamed file.duckdb")
    with duckdb.connect(tmp_path / "renamed file.duckdb", read_only=True) as plain:
        assert tokens(plain) == (7, 7)
        for view in VIEWS:
            plain.execute(f"FROM {view}").fetchall()
        [(tags,)] = plain.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
        assert "v1.5" in str(tags)
    assert sorted(path.name for path in tmp_path.glob("*.duckdb*")) == ["renamed file.duckdb"]


def test_publishing_where_nothing_is_says_so(tmp_path):
    with pytest.raises(StoreError, match="there is no store in"):
        compact(tmp_path / "none", to=tmp_path / "out.duckdb")


def test_only_one_process_compacts_and_the_other_goes_on(journal, own_store):
    from filelock import FileLock

    record(journal)
    journal.flush()
    with FileLock(own_store / "compaction.lock"):
        assert compact(own_store, kept_seconds=0) is False
    assert compact(own_store, kept_seconds=0) is True


def test_the_lease_of_a_dead_reader_holds_nothing_back(journal, own_store):
    record(journal)
    journal.flush()
    code = f"""
import os
from pathlib import Path
from tttlab.store.database import connect
connection = connect(Path({str(own_store)!r}))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list((own_store / "readers").glob("*.lease"))
    compact(own_store, kept_seconds=0)
    assert segments(own_store, "tokens") == []
    assert list((own_store / "readers").iterdir()) == []


def test_sql_errors_keep_the_place(own_store):
    connection = connect(own_store)
    with pytest.raises(QueryError, match=r"(?s)run_idd.*LINE 1: SELECT run_idd FROM runs\n +\^"):
        query(connection, "SELECT run_idd FROM runs")
    with pytest.raises(QueryError, match=r"there is no SQL statement"):
        query(connection, "  ")


def test_statements_without_rows_and_several_at_once(own_store):
    connection = connect(own_store)
    assert query(connection, "CREATE TABLE mine (a INTEGER); INSERT INTO mine VALUES (3)").num_rows <= 1
    assert query(connection, "SELECT 1 AS a; SELECT a FROM mine").to_pylist() == [{"a": 3}]


def test_parameters_are_bound_not_pasted(journal, own_store):
    record(journal, 2, run="it's; DROP")
    journal.flush()
    table = query(connect(own_store), "SELECT count(*) AS n FROM tokens WHERE run_id = $run", {"run": "it's; DROP"})
    assert table.to_pylist() == [{"n": 2}]


def test_the_store_keeps_itself_out_of_git(journal, own_store):
    record(journal)
    journal.flush()
    assert (own_store / ".gitignore").read_text() == "*\n"


def test_what_an_archive_replaced_stays_for_a_while_even_if_nobody_holds_a_lease(journal, own_store):
    record(journal, 5)
    journal.flush()
    cursor = connect(own_store).cursor()
    assert list((own_store / "readers").iterdir()) == []
    compact(own_store)
    compact(own_store)
    assert cursor.execute("SELECT count(*) FROM tokens").fetchone() == (5,)
    compact(own_store, kept_seconds=0)
    assert segments(own_store, "tokens") == []


def test_a_mistyped_folder_that_exists_is_left_as_it_is(tmp_path):
    (tmp_path / "mistyped").mkdir()
    tttlab.connect(tmp_path / "mistyped").close()
    assert list((tmp_path / "mistyped").iterdir()) == []


def test_a_store_that_cannot_be_compacted_is_published_as_it_is(journal, own_store, tmp_path):
    record(journal, 3)
    journal.flush()
    (own_store / "archives").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="could not be compacted"):
        compact(own_store)
    with pytest.warns(UserWarning, match="it is published as it is"):
        assert compact(own_store, to=tmp_path / "out.duckdb") is False
    with duckdb.connect(tmp_path / "out.duckdb", read_only=True) as plain:
        assert tokens(plain) == (3, 3)
