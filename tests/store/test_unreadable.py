"""A file that is whole and cannot be opened now stays where it is; one that never was a file, or is none, goes."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.store.permissions import without_permission
from tests.store.recording import whole
from tttlab.errors import StoreError
from tttlab.store.archives import archive_folder
from tttlab.store.compaction import compact
from tttlab.store.damaged import damaged_folder, set_aside
from tttlab.store.database import connect
from tttlab.store.deletion import delete, matching
from tttlab.store.doctor import examine
from tttlab.store.findings import needs_the_user
from tttlab.store.journal import Journal
from tttlab.store.manifest import read_manifest
from tttlab.store.segments import segments

ALL = [("run-1", 5), ("run-2", 5), ("run-3", 5)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded") / "store"
    journal = Journal(folder)
    for number in (1, 2):
        whole(journal, number)
        compact(folder, kept_seconds=0)
    whole(journal, 3)
    journal.close()
    return folder


@pytest.fixture
def store(recorded, own_store):
    """Two archives of a run each, and the segments of a third run."""
    return shutil.copytree(recorded, own_store)


def archive(store):
    """That of run-1."""
    return archive_folder(store) / read_manifest(store).archives[0]


def segment(store):
    """The tokens of run-3."""
    return segments(store, "tokens")[0]


def tokens(store):
    """The tokens of each run, where no file is complained of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return connect(store).execute("SELECT run_id, count(*) FROM tokens GROUP BY ALL ORDER BY ALL").fetchall()


def files(store):
    return {
        path.relative_to(store): path.read_bytes() for end in ("*.duckdb", "*.parquet") for path in store.rglob(end)
    }


def troubles(store, **options):
    return [finding for finding in examine(store, **options) if finding.grade == "trouble"]


@contextmanager
def open_to_write(path):
    """Another process has an archive open, as a DuckDB shell does that was not told to only read it."""
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate("")


@pytest.mark.parametrize("bad", [archive, segment])
def test_what_may_not_be_opened_is_left_where_it_is_and_named(store, bad):
    path, before = bad(store), files(store)
    with without_permission(path):
        [finding] = troubles(store)
        with pytest.warns(UserWarning, match=f"{path.name}.* cannot be read.*left out.*everything else is read"):
            left = connect(store).execute("SELECT count(*) FROM tokens").fetchone()
    assert finding.where == path
    assert finding.what == f"{path.name} cannot be read now (Permission denied)"
    assert "stays where it is" in finding.means
    assert left == (10,)
    assert files(store) == before
    assert not needs_the_user(examine(store))
    assert tokens(store) == ALL


def test_an_archive_that_somebody_has_open_to_write_is_left_where_it_is_and_named(store):
    path, before = archive(store), files(store)
    with open_to_write(path):
        [finding] = troubles(store)
        with pytest.warns(UserWarning, match=f"{path.name} cannot be read and is left out"):
            connect(store)
    assert finding.what.startswith(f"{path.name} cannot be read now (DuckDB cannot open it")
    assert files(store) == before
    assert tokens(store) == ALL


@pytest.mark.parametrize("bad", [archive, segment])
@pytest.mark.parametrize("act", [delete, matching])
def test_no_run_is_deleted_where_a_whole_file_that_may_hold_some_of_it_cannot_be_opened(store, bad, act):
    path, before = bad(store), files(store)
    with without_permission(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(StoreError, match=f"nothing was deleted: {path} cannot be read now, and may hold some"):
            act(store, ["run-2"])
    assert files(store) == before
    assert delete(store, ["run-2"]).unread == ()
    assert tokens(store) == [("run-1", 5), ("run-3", 5)]


@pytest.mark.parametrize("act", [delete, matching])
def test_no_run_is_deleted_while_somebody_has_an_archive_open_to_write(store, act):
    before = files(store)
    with open_to_write(archive(store)), pytest.raises(StoreError, match="cannot be read now, and may hold some of it"):
        act(store, ["run-2"])
    assert files(store) == before


def test_a_damaged_segment_keeps_nobody_from_asking_which_runs_a_word_means(store):
    segment(store).write_bytes(b"no longer Parquet")
    assert matching(store, ["run-2"]) == ["run-2"]
    assert segment(store).exists()


def test_a_replaced_segment_that_cannot_be_searched_is_named_as_one_that_may_hold_some_of_a_deleted_run(store):
    reader = connect(store)
    compact(store)
    path = segment(store)
    with without_permission(path):
        assert delete(store, ["run-3"]).unread == (path,)
    del reader


def test_a_process_that_may_open_no_more_files_moves_none_and_deletes_all_of_a_run_or_nothing(store, tmp_path):
    stores = [store, *(shutil.copytree(store, tmp_path / f"copy-{number}") for number in range(1, 8))]
    before = files(store)
    command = [sys.executable, "-m", "tests.store.few_files", *map(str, stores)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    for number, ((found, deleted), folder) in enumerate(zip(said, stores, strict=True)):
        assert tokens(folder) == (ALL[1:] if deleted == 5 else ALL), (number, found, deleted)
        assert deleted == 5 or files(folder) == before, (number, found, deleted)
    assert said[0][0] != said[-1][0] == []
    assert said[0][1] != said[-1][1] == 5
    assert any("cannot be read now" in each for found, _ in said for each in found)


def loop(path):
    path.unlink()
    path.symlink_to(path)


def folder(path):
    path.unlink()
    path.mkdir()


def link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("bad", "harm"),
    [
        (archive, loop),
        (segment, loop),
        (archive, folder),
        (segment, folder),
        (segment, link_to_nothing),
        (archive, pipe),
    ],
)
def test_what_is_no_file_is_set_aside_and_no_longer_complained_of(store, bad, harm):
    path = bad(store)
    harm(path)
    [finding] = troubles(store)
    assert path.name in finding.what
    assert "set aside" in finding.remedy
    assert os.path.lexists(damaged_folder(store) / path.name)
    assert not os.path.lexists(path)
    assert not needs_the_user(examine(store))
    assert tokens(store) == (ALL[1:] if bad is archive else ALL[:2])
    assert delete(store, ["run-2"]).tokens == 5


def test_what_is_set_aside_never_takes_the_place_of_what_was_set_aside_before(store):
    for said in ("first", "second", "third"):
        (archive_folder(store) / "a.duckdb").write_text(said)
        set_aside(store, archive_folder(store) / "a.duckdb")
    found = {path.name: path.read_text() for path in damaged_folder(store).iterdir()}
    assert found == {"a.duckdb": "first", "a.2.duckdb": "second", "a.3.duckdb": "third"}


def test_a_file_that_tttlab_did_not_write_is_told_of_as_such(store):
    mine = segment(store).with_name("mine.parquet")
    mine.write_text("dear")
    [finding] = troubles(store)
    assert finding.what == "mine.parquet is no segment"
    assert (damaged_folder(store) / "mine.parquet").read_text() == "dear"


def test_what_cannot_be_set_aside_is_told_of_and_left_out(store):
    segment(store).write_bytes(b"no longer Parquet")
    damaged_folder(store).write_text("a file where a folder should be")
    [finding] = troubles(store)
    assert "it could not be set aside (" in finding.remedy
    assert segment(store).exists()
    with pytest.warns(UserWarning, match="it is left out"):
        connect(store)


def test_a_disk_that_fails_to_read_is_no_reason_to_move_a_file(store, monkeypatch):
    # No disk here fails when it is asked to.
    path = segment(store)
    opened = Path.open

    def failing(self, *arguments, **options):
        if self == path:
            raise OSError(5, "Input/output error")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    [finding] = troubles(store)
    assert finding.what == f"{path.name} cannot be read now (Input/output error)"
    assert path.exists()
