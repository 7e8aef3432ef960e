"""Two processes that import the same at the same moment record each span once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.recorded import record, span
from tttlab.errors import StoreError
from tttlab.store.bundles import export_bundle, import_bundle
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.otlp.files import export_file, import_file
from tttlab.store.otlp.selection import Form

IMPORTER = """
import sys
from pathlib import Path
import tttlab.store.database, tttlab.store.queries
from tttlab.store.bundles import import_bundle, read_bundle
from tttlab.store.otlp.files import import_file
folder = Path({folder!r})
for store, take_in in (
    ("of-file", lambda store: import_file(store, folder / "runs.jsonl").new),
    ("of-bundle", lambda store: import_bundle(store, read_bundle(folder / "bundle"))),
):
    print("ready", flush=True)
    sys.stdin.readline()
    print(take_in(folder / store / "store"), flush=True)
"""


@pytest.fixture
def exported(own_store, tmp_path):
    """A run of two spans and five tokens, as a bundle and as an OTLP file."""
    journal = Journal(own_store)
    journal.span(span(7, attributes={"gen_ai.operation.name": "invoke_workflow"}))
    record(journal, 5)
    journal.close()
    connection = connect(own_store)
    export_file(connection, [], tmp_path / "runs.jsonl", Form(tokens="attribute"))
    return export_bundle(connection, [], tmp_path / "bundle")


def counts(store):
    spans = connect(store).execute("SELECT count(*), count(DISTINCT (trace_id, span_key)) FROM stored_spans").fetchone()
    tokens = connect(store).execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone()
    return spans, tokens


def test_two_processes_that_import_the_same_at_once_record_it_once(exported, tmp_path):
    command = [sys.executable, "-c", IMPORTER.format(folder=str(tmp_path))]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(2)
    ]
    try:
        for store, new in (("of-file", [0, 2]), ("of-bundle", [0, 1])):
            assert [each.stdout.readline() for each in both] == ["ready\n"] * 2
            for each in both:
                each.stdin.write("\n")
                each.stdin.flush()
            assert sorted(int(each.stdout.readline()) for each in both) == new
            assert counts(tmp_path / store / "store") == ((2, 2), (5, 5))
    finally:
        for each in both:
            each.communicate()
    assert [each.returncode for each in both] == [0, 0]


def test_where_no_lock_can_be_made_it_is_said(exported, tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    for take_in in (
        lambda store: import_bundle(store, exported),
        lambda store: import_file(store, tmp_path / "runs.jsonl"),
    ):
        with pytest.raises(StoreError, match=r"the store in .*blocked.* cannot be written to"):
            take_in(tmp_path / "blocked" / "store")
