"""What goes wrong with a lake, and what happens to stores that it has already: run by `test_lake.py`."""

import argparse
import os
import subprocess
from pathlib import Path

import pytest

from tests.store import postgres
from tests.store.lake_machines import counts
from tests.store.recording import whole
from tttlab.errors import OptionError, QueryError, StoreError
from tttlab.lake_commands import add_lake_commands
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.deletion import delete
from tttlab.store.lake import connect_lake, merge, reading, register, registering
from tttlab.store.segments import VERSION, segment_folder


def test_a_wrong_password_is_told_without_it(server, catalogue, machine, shared):
    whole(machine(), 1)
    rules = server / "data" / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\n" + rules.read_text("utf-8"), "utf-8")
    postgres.sql(server, "CREATE ROLE guarded LOGIN PASSWORD 'right'; SELECT pg_reload_conf()")
    address = catalogue.replace("lake@", "guarded:s3cret@")
    for ask in (lambda: connect_lake(address), lambda: register(machine().folder, address, shared)):
        with pytest.raises(StoreError, match='password authentication failed for user "guarded"') as error:
            ask()
        assert "s3cret" not in str(error.value)
    with pytest.raises(StoreError, match="permission denied for database"):
        register(machine().folder, catalogue.replace("lake@", "guarded:right@"), shared)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:s3cret/@127.0.0.1:1/lake",
        "postgresql://me:100%s3cret@127.0.0.1:1/lake",
        "postgresql://me:a#s3cret?@127.0.0.1:1/lake",
        "host=127.0.0.1 port=1 password=my s3cret",
        "host=127.0.0.1 port=1 password='s3cret",
        "host=127.0.0.1 port=1 password='it\\'s s3cret'",
        'host=127.0.0.1 port=1 password=a&"s3cret',
        "host=\udcff password=s3cret",
    ],
)
def test_a_password_in_an_address_that_is_none_is_not_told(address):
    with pytest.raises(StoreError, match="cannot be read: ") as error:
        connect_lake(address)
    assert "s3cret" not in str(error.value)


def test_a_lake_that_there_is_not_is_told_without_the_error_that_holds_its_password(catalogue):
    with pytest.raises(OptionError, match="there is no lake in postgresql://lake:\\*\\*\\*@") as error:
        connect_lake(catalogue.replace("lake@", "lake:s3cret@"))
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_catalogue_that_goes_away_while_it_is_asked_is_told_without_its_password(machine, shared, monkeypatch):
    whole(machine(), 1)
    real = reading.connect_lake
    with postgres.running() as folder:
        address = f"postgresql://lake:s3cret@/postgres?host={folder}"
        register(machine().folder, address, shared)
        lake = real(address)
    monkeypatch.setattr(reading, "connect_lake", lambda *_: lake)
    monkeypatch.setenv("TTTLAB_LAKE", address)
    parser = argparse.ArgumentParser()
    add_lake_commands(parser.add_subparsers())
    options = parser.parse_args(["lake", "sql", "SELECT count(*) FROM tokens"])
    with pytest.raises(QueryError, match=r"^Unable to connect to PostgreSQL: ") as error:
        options.run(options)
    assert "s3cret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_question_that_is_none_is_told_with_its_place(machine, catalogue, shared):
    whole(machine(), 1)
    register(machine().folder, catalogue, shared)
    with pytest.raises(QueryError, match="nonsense"):
        reading.ask(catalogue, "SELECT nonsense FROM tokens")
    assert reading.ask(catalogue, "SELECT count(*) AS n FROM tokens").to_pylist() == [{"n": 5}]


def test_a_lake_whose_first_folder_could_not_be_made_is_where_the_next_says(machine, catalogue, shared, tmp_path):
    whole(machine(), 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"could not be registered .*Not a directory"):
        register(machine().folder, catalogue, tmp_path / "file" / "lake")
    register(machine().folder, catalogue, shared)
    with connect_lake(catalogue) as lake:  # By what the catalogue says, since no folder is given.
        assert counts(lake) == (5, 5, 2, 2)
    assert not any(register(machine().folder, catalogue).rows.values())


def test_names_may_hold_what_sql_and_shells_take_for_signs(machine, catalogue, tmp_path):
    odd = machine('it\'s "one"; -- % é🚀 {0} [a]*')  # A "?" DuckDB itself takes for more than a name.
    whole(odd, 1)
    place = tmp_path / 'la\'ke "x"; -- % é🚀 [a]*?'
    register(odd.folder, catalogue, place)
    whole(odd, 2)
    compact(odd.folder, kept_seconds=0)
    register(odd.folder, catalogue)
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (10, 10, 4, 4)
        assert lake.execute("SELECT DISTINCT store FROM lake.registered").fetchall() == [(str(odd.folder),)]
    merge(catalogue, kept="0 seconds")
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (10, 10, 4, 4)


@pytest.mark.parametrize("compacted_first", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_deleted_from_a_store_later_stays_in_the_lake_and_comes_once(
    machine,
    catalogue,
    shared,
    compacted_first,
):
    for number in (1, 2):
        whole(machine(), number)
    if compacted_first:
        compact(machine().folder, kept_seconds=0)
    register(machine().folder, catalogue, shared)
    delete(machine().folder, ["run-1"])
    compact(machine().folder, kept_seconds=0)
    assert not any(register(machine().folder, catalogue).rows.values())
    whole(machine(), 3)
    assert register(machine().folder, catalogue).rows == {"spans": 2, "tokens": 5}
    with connect_lake(catalogue) as lake, connect(machine().folder) as store:
        assert counts(lake) == (15, 15, 6, 6)
        assert counts(store)[2:] == (4, 4)


def test_a_copy_of_a_store_on_another_machine_adds_nothing(machine, catalogue, shared, tmp_path):
    for number in (1, 2):
        whole(machine(), number)
    copy = tmp_path / "copied" / "store"
    copy.parent.mkdir()
    subprocess.run(["cp", "-r", machine().folder, copy], check=True)
    register(machine().folder, catalogue, shared)
    compact(copy, kept_seconds=0)
    assert not any(register(copy, catalogue).rows.values())
    with connect_lake(catalogue) as lake:
        assert counts(lake) == (10, 10, 4, 4)


def test_a_store_of_a_newer_tttlab_is_refused(machine, catalogue, shared):
    whole(machine(), 1)
    newer = segment_folder(machine().folder, "spans").parents[1] / f"v{VERSION + 1}"
    newer.mkdir()
    with pytest.raises(StoreError, match="written by a newer tttlab"):
        register(machine().folder, catalogue, shared)
    newer.rmdir()
    assert register(machine().folder, catalogue, shared).rows == {"spans": 2, "tokens": 5}


def test_files_and_the_names_of_them_are_on_the_disk_before_they_are_registered(
    machine, catalogue, shared, monkeypatch
):
    whole(machine(), 1)
    compact(machine().folder, kept_seconds=0)
    whole(machine(), 2)
    synced, real = [], os.fsync

    def noting(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(registering.os, "fsync", noting)
    register(machine().folder, catalogue, shared)
    for kind in ("spans", "tokens"):
        assert synced.count(shared / "main" / f"stored_{kind}") == 2  # After a segment's and an archive's file.
