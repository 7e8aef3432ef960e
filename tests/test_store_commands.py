"""The commands that look after the store say what they did, and end with 1 where the user is needed."""

import argparse
import io
import re

import pytest

import tttlab
from tests.test_replay import known, think
from tttlab.errors import OptionError, StoreError
from tttlab.recording import flush
from tttlab.store.segments import segments
from tttlab.store_commands import add_store_commands


def command(*words):
    parser = argparse.ArgumentParser()
    add_store_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(words)
    return options.run(options)


@pytest.fixture
def run():
    made = think(known("56"), replay="off")
    flush()
    return made


def runs():
    return [row[0] for row in tttlab.connect().execute("SELECT run_id FROM runs ORDER BY ALL").fetchall()]


def test_show_prints_the_page_of_a_run(run, capsys):
    assert command("show", run.id) == 0
    assert capsys.readouterr().out.startswith(f"run {run.id}\n  started ")


def test_the_doctor_of_a_healthy_store_ends_with_0_and_says_what_is_there(run, own_store, capsys):
    assert command("doctor") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"store    {own_store}\nok ")
    assert said.endswith("\nthe store is healthy\n")
    assert re.search(r"^ok {7}\d+ segments?: \d+ rows of tokens, .*B$", said, re.MULTILINE)
    assert not re.search(r" $", said, re.MULTILINE)


def test_the_doctor_ends_with_1_where_the_user_is_needed_and_check_changes_nothing(run, own_store, capsys):
    bad = segments(own_store, "tokens")[0]
    bad.write_bytes(b"no longer Parquet")
    assert command("doctor", "--check") == 1
    assert bad.exists()
    assert command("doctor") == 1
    said = capsys.readouterr().out
    assert f"TROUBLE  {bad.name} is damaged" in said
    assert "something needs you" in said
    assert not bad.exists()
    assert command("doctor") == 0


def test_delete_asks_first(run, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    assert command("delete", run.id[:12]) == 1
    assert capsys.readouterr().out == f"delete {run.id} for good? [y/N] nothing was deleted\n"
    assert runs() == [run.id]
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert command("delete", run.id[:12]) == 0
    assert runs() == []


def test_delete_without_anybody_to_ask_wants_to_be_told(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(OptionError, match=f"{run.id} would be deleted for good: add --yes"):
        command("delete", run.id)
    assert runs() == [run.id]


def test_delete_says_what_it_did_and_what_waits(run, capsys):
    other = think(known("54"), replay="off", seed=1)
    reader = tttlab.connect()
    assert command("delete", run.id, "--yes") == 0
    said = capsys.readouterr().out
    assert re.search(r"^deleted 1 run: \d+ spans, 20 tokens$", said, re.MULTILINE)
    assert "a reader has open" in said
    assert "`tttlab compact`" in said
    del reader
    assert runs() == [other.id]


def test_delete_where_there_is_no_such_run_or_no_store_is_an_error(run, monkeypatch, tmp_path):
    with pytest.raises(StoreError, match=f"there is no run 'zzz'; did you mean '{run.id}'"):
        command("delete", "zzz")
    monkeypatch.setenv("TTTLAB_TRACES", str(tmp_path / "nowhere"))
    with pytest.raises(StoreError, match="there is no store in"):
        command("delete", "zzz")
