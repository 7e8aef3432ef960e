"""Stores of several machines, registered in one lake: run by `test_lake.py` with the DuckDB that a lake needs."""

import signal

import duckdb
import pytest

from tests.store.lake_registrars import KILLED, REGISTRAR, a_process
from tests.store.recorded import record
from tests.store.recording import root, whole
from tttlab.errors import OptionError, StoreError
from tttlab.lake_commands import add_lake_commands
from tttlab.store import layout
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.deletion import delete
from tttlab.store.lake import connect_lake, merge, register, registering, tables
from tttlab.store.layout import Step, steps
from tttlab.store.segments import segments

COLOUR = Step(
    steps()[-1].number + 1,
    "9999_colour",
    "ALTER TABLE stored_spans ADD COLUMN colour VARCHAR; UPDATE stored_spans SET colour = 'none' WHERE span_key > 9",
)


def counts(connection):
    """Deliveries, different ones, spans in the views, different ones."""
    return connection.execute(
        "SELECT (SELECT count(*) FROM stored_tokens), (SELECT count(DISTINCT (run_id, span_key, position)) "
        "FROM stored_tokens), (SELECT count(*) FROM spans), (SELECT count(DISTINCT span_key) FROM spans)"
    ).fetchone()


def views(connection):
    """All that the public views show."""
    names = [
        name
        for (name,) in connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND database_name = 'memory' "
            "AND view_name NOT IN ('store_folder', 'stored_spans', 'stored_tokens') ORDER BY ALL"
        ).fetchall()
    ]
    assert {"runs", "calls", "tokens", "spans"} <= set(names)
    return {name: connection.execute(f"SELECT DISTINCT * FROM {name} ORDER BY ALL").fetchall() for name in names}


def test_a_registered_store_shows_in_the_lake_what_it_shows_itself(machine, catalogue, shared):
    for number in (1, 2):
        whole(machine(), number)
    done = register(machine().folder, catalogue, shared)
    assert done.rows == {"spans": 4, "tokens": 10}
    with connect_lake(catalogue) as lake, connect(machine().folder) as store:
        assert views(lake) == views(store)
        assert counts(lake) == (10, 10, 4, 4)


def test_registering_again_adds_what_is_new_and_nothing_else(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    assert not any(register(machine().folder, catalogue).rows.values())
    whole(machine(), 2)
    with connect_lake(catalogue) as lake:
        assert counts(lake)[0] == 5
        assert register(machine().folder, catalogue).rows == {"spans": 2, "tokens": 5}
        assert counts(lake) == (10, 10, 4, 4)  # What is registered while it is open appears by itself.


def test_two_machines_that_register_at_once_have_every_row_there_once(machine, catalogue, shared, tmp_path):
    for name, numbers in (("one", range(1, 6)), ("two", range(11, 16))):
        for number in numbers:
            whole(machine(name), number)
    # Each store by two processes: they come upon each other, and upon a lake that is not there yet.
    processes = [a_process(REGISTRAR, machine(name).folder, catalogue, shared, 2) for name in ("one", "two") * 2]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    lake, seen = None, [0]
    while any(process.poll() is None for process in processes):
        try:
            lake = lake or connect_lake(catalogue)
        except OptionError:
            continue  # Nobody has made it yet.
        count, distinct, *_ = counts(lake)
        assert count == distinct
        seen.append(count)
    said = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sum(int(rows) for lines in said for rows in lines) == 2 * 5 * 7
    assert seen == sorted(seen)
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (50, 50, 20, 20)
        asked = "SELECT store, sum(row_count) FROM lake.registered GROUP BY store ORDER BY store"
        assert lake.execute(asked).fetchall() == [(str(machine(name).folder), 35) for name in ("one", "two")]


@pytest.mark.parametrize(
    "moment",
    [
        "tables:take:1:before",  # The tables that note things are there, those of rows are not.
        "registering:transaction:2:before",  # All is done but for the COMMIT.
        *(
            pytest.param(moment, marks=pytest.mark.slow)
            for moment in (
                "tables:transaction:1:before",  # The lake is there, its tables are not.
                "registering:_copied:3:after",  # One of two files is copied.
                "registering:_add:2:before",  # Both are copied, and neither is in the lake.
                "registering:transaction:2:after",
            )
        ),
    ],
)
def test_a_registration_that_is_killed_is_finished_by_the_next(machine, catalogue, shared, moment):
    for number in range(1, 4):
        whole(machine(), number)
    process = a_process(KILLED, machine().folder, catalogue, shared, moment)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    if moment.startswith("tables"):
        with pytest.raises(OptionError, match="there is no lake"):
            connect_lake(catalogue)
    register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (15, 15, 6, 6)
    assert list(shared.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    "registered_before", [1, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 2, 3))]
)
def test_rows_that_were_compacted_before_they_were_registered_are_there_once(
    machine, catalogue, shared, registered_before
):
    for number in range(1, 7):
        if number == 2 * registered_before:
            register(machine().folder, catalogue, shared)  # Some of its segments go into an archive with others.
        whole(machine(), number)
        if number % 2:
            compact(machine().folder, kept_seconds=0)
    register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake, connect(machine().folder) as store:
        assert counts(lake) == (30, 30, 12, 12)
        assert views(lake) == views(store)
    assert not any(register(machine().folder, catalogue, shared).rows.values())


def test_an_archive_of_what_is_registered_already_writes_nothing(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    files = sorted(shared.rglob("*.parquet"))
    compact(machine().folder, kept_seconds=0)
    assert segments(machine().folder, "tokens") == []
    assert not any(register(machine().folder, catalogue).rows.values())
    assert sorted(shared.rglob("*.parquet")) == files


def test_the_start_of_a_span_is_followed_by_its_end(machine, catalogue, shared):
    journal = machine()
    root(journal, 10, run="run-1", ended=False)
    record(journal, 5, number=1)
    journal.flush()
    register(journal.folder, catalogue, shared)
    with connect_lake(catalogue) as lake:
        assert lake.execute("SELECT count(*) FROM spans WHERE ended IS NULL").fetchone() == (1,)
        root(journal, 10, run="run-1")
        journal.flush()
        compact(journal.folder, kept_seconds=0)
        register(journal.folder, catalogue)
        assert lake.execute("SELECT count(*), count(ended) FROM spans").fetchone() == (2, 2)
        assert counts(lake) == (5, 5, 2, 2)


def test_a_run_that_was_deleted_before_it_was_registered_is_not_in_the_lake(machine, catalogue, shared):
    for number in (1, 2):
        whole(machine(), number)
    with connect(machine().folder):  # Its files stay while somebody reads them.
        assert delete(machine().folder, ["run-1"]).waiting
        register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake:
        assert lake.execute("SELECT DISTINCT run_id FROM stored_tokens").fetchall() == [("run-2",)]


def test_a_damaged_segment_is_left_out_with_a_warning(machine, catalogue, shared):
    for number in (1, 2):
        whole(machine(), number)
    damaged = segments(machine().folder, "tokens")[0]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="is damaged"):
        register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (5, 5, 4, 4)


def test_a_segment_that_is_damaged_when_it_is_copied_is_left_out_with_a_warning(machine, shared):
    whole(machine(), 1)
    damaged = segments(machine().folder, "tokens")[0]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="is damaged and is left out"):
        assert registering._copied(damaged, shared) is None
    assert not shared.exists()


def test_a_copy_that_was_cut_is_copied_again(machine, catalogue, shared):
    whole(machine(), 1)
    segment = segments(machine().folder, "tokens")[0]
    copy = shared / "main" / "stored_tokens" / segment.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(segment.read_bytes()[:100])
    register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake:
        assert counts(lake)[0] == 5


def test_ducklake_itself_cannot_take_a_file_twice(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    lake = registering.connection_with_extensions()
    with registering.alone(lake, catalogue, 0):
        registering.open_to_change(lake, catalogue, None)
        lake.execute("SET ducklake_max_retry_count = 1")
        file = next((shared / "main" / "stored_tokens").glob("*.parquet"))
        with pytest.raises(duckdb.Error):
            lake.execute("CALL ducklake_add_data_files('lake', 'stored_tokens', ?)", [str(file)])
        assert lake.execute("SELECT count(*) FROM lake.stored_tokens").fetchone() == (5,)
    lake.close()


def test_the_files_may_be_mounted_elsewhere(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    elsewhere = shared.rename(shared.with_name("mnt"))
    with pytest.raises(StoreError, match="mount the folder") as error:
        connect_lake(catalogue)
    assert "--data" in str(error.value)
    whole(machine(), 2)
    with pytest.raises(StoreError, match="mount the folder"):
        register(machine().folder, catalogue, shared)
    assert not shared.exists()
    register(machine().folder, catalogue, elsewhere)
    with connect_lake(catalogue, elsewhere) as lake:
        assert counts(lake)[0] == 10


def test_merging_makes_few_files_of_many_and_loses_no_row(machine, catalogue, shared):
    for number in range(1, 7):
        whole(machine(), number)
    register(machine().folder, catalogue, shared)
    assert merge(catalogue, kept="0 seconds") == len(segments(machine().folder, "spans")) + 6
    assert len(list(shared.rglob("*.parquet"))) == 2
    assert not any(register(machine().folder, catalogue).rows.values())
    whole(machine(), 7)
    register(machine().folder, catalogue)
    with connect_lake(catalogue) as lake, connect(machine().folder) as store:
        assert views(lake) == views(store)
        assert counts(lake) == (35, 35, 14, 14)


def test_who_waits_too_long_for_another_machine_is_told(machine, catalogue, shared):
    whole(machine(), 1)
    other = registering.connection_with_extensions()
    with registering.alone(other, catalogue, 0), pytest.raises(StoreError, match="from elsewhere for 0 s: try again"):
        register(machine().folder, catalogue, shared, wait_seconds=0)
    other.close()
    register(machine().folder, catalogue, shared)


def test_a_reader_changes_nothing(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake, pytest.raises(duckdb.Error, match="read-only"):
        lake.execute("DELETE FROM lake.stored_tokens")


def test_where_there_is_no_lake_it_says_how_to_make_one(machine, catalogue, shared):
    whole(machine(), 1)
    for ask in (lambda: connect_lake(catalogue), lambda: register(machine().folder, catalogue)):
        with pytest.raises(OptionError, match=r"there is no lake .* --data FOLDER"):
            ask()


def test_a_lake_of_an_earlier_schema_is_brought_on_and_a_later_one_refused(machine, catalogue, shared, monkeypatch):
    for number in (1, 2):
        whole(machine(), number)
    register(machine().folder, catalogue, shared)
    with monkeypatch.context() as newer:
        for module in (layout, tables):
            newer.setattr(module, "steps", lambda: (*steps(), COLOUR))
        register(machine().folder, catalogue)
        with connect_lake(catalogue) as lake:
            asked = "SELECT colour, count(*) FROM lake.stored_spans GROUP BY colour ORDER BY colour"
            assert lake.execute(asked).fetchall() == [("none", 2), (None, 2)]
            assert lake.execute("SELECT span_key FROM lake.stored_spans ORDER BY ALL").fetchall() == [
                (1,),
                (2,),
                (10,),
                (20,),
            ]
            assert counts(lake) == (10, 10, 4, 4)
    for ask in (lambda: connect_lake(catalogue), lambda: register(machine().folder, catalogue)):
        with pytest.raises(StoreError, match=r"newer tttlab .*: upgrade"):
            ask()


def test_no_password_is_in_an_error(machine, shared):
    whole(machine(), 1)
    for address in ("postgresql://me:s3cret@127.0.0.1:1/lake", "host=127.0.0.1 port=1 user=me password=s3cret"):
        for ask in (lambda: connect_lake(address), lambda: register(machine().folder, address, shared)):  # noqa: B023
            with pytest.raises(StoreError, match=r"Unable to connect to PostgreSQL: connection .* refused") as error:
                ask()
            assert "s3cret" not in str(error.value)
            assert error.value.__cause__ is None


def test_the_commands_say_what_they_did(machine, catalogue, shared, capsys, monkeypatch):
    import argparse

    def said(*words):
        parser = argparse.ArgumentParser()
        add_lake_commands(parser.add_subparsers())
        options = parser.parse_args(["lake", *words])
        assert options.run(options) == 0
        return capsys.readouterr().out.strip()

    monkeypatch.setenv("TTTLAB_TRACES", str(machine().folder.parent))
    monkeypatch.setenv("TTTLAB_LAKE", catalogue)
    whole(machine(), 1)
    assert said("register", "--data", str(shared)) == "registered 2 rows of spans and 5 tokens from 2 segments"
    assert said("register") == "the lake has all of it already"
    assert "5" in said("sql", "SELECT count(*) AS n FROM tokens")
    whole(machine(), 2)
    said("register")
    assert said("merge") == "merged 4 files"
    assert said("merge") == "there was nothing to merge"
