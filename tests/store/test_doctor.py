"""The doctor says what is there, sets aside what is damaged, removes what nobody needs, and touches nothing else."""

import os
import shutil
import time
import warnings

import pytest
from filelock import FileLock

import tttlab
from tests.store.recording import in_the_middle_of_run_1, root, whole
from tests.test_replay import known
from tttlab.store import doctor, place
from tttlab.store.archives import archive_folder, archives_in
from tttlab.store.bundles import export_bundle
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.deletion import delete
from tttlab.store.doctor import examine
from tttlab.store.findings import needs_the_user, size
from tttlab.store.inventory import SHOWN_RUNS
from tttlab.store.journal import Journal
from tttlab.store.manifest import Manifest, manifest_path, read_manifest, write_manifest
from tttlab.store.place import file_system
from tttlab.store.segments import SEED, segment_folder, segments

GONE = 2**22 - 3
"""No process has this id."""


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def said(findings, grade=None):
    return [finding.what for finding in findings if grade in (None, finding.grade)]


def recorded(journal, *numbers, archived=False):
    for number in numbers:
        whole(journal, number)
        if archived:
            compact(journal.folder, kept_seconds=0)


def everything(folder):
    """Every file and folder, with its bytes and its time."""
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def seen(folder):
    """How many tokens there are, where no file is complained of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return connect(folder).execute("SELECT count(*) FROM tokens").fetchone()[0]


def test_a_healthy_store_is_told_of_file_by_file(journal, own_store):
    recorded(journal, 1, 2, archived=True)
    recorded(journal, 3, 4)
    findings = examine(own_store)
    assert not needs_the_user(findings)
    assert said(findings, "note") == said(findings, "mended") == []
    [first, second] = [each for each in findings if "an archive of" in each.what]
    assert {first.where.name, second.where.name} == set(read_manifest(own_store).archives)
    assert "2 rows of spans, 5 rows of tokens" in first.what
    assert [what for what in said(findings) if "segments" in what] == [
        f"2 segments: 4 rows of spans, {total(own_store, 'spans')}",
        f"2 segments: 10 rows of tokens, {total(own_store, 'tokens')}",
    ]
    assert "format 1, schema 2, generation 2" in said(findings)


def total(folder, kind):
    return size(sum(path.stat().st_size for path in segments(folder, kind)))


def test_no_store_and_an_empty_one_are_healthy(own_store):
    assert said(examine(own_store)) == ["there is no store yet"]
    own_store.mkdir(parents=True)
    assert not needs_the_user(examine(own_store))


def test_a_damaged_segment_is_set_aside_with_the_rows_that_it_says_it_had(journal, own_store):
    recorded(journal, 1, 2)
    bad = segments(own_store, "tokens")[0]
    data = bytearray(bad.read_bytes())
    data[5] ^= 0xFF
    bad.write_bytes(data)
    findings = examine(own_store)
    [finding] = [each for each in findings if each.grade == "trouble"]
    assert finding.where == bad
    assert finding.what == f"{bad.name} is damaged (its bytes are not those that were written)"
    assert finding.means == "its rows are lost, and no others; it says that it had 5 rows"
    assert "set aside" in finding.remedy
    assert (own_store / "damaged" / bad.name).read_bytes() == data
    assert seen(own_store) == 5
    again = examine(own_store)
    assert not needs_the_user(again)
    assert any(
        what.startswith("1 file were set aside earlier") or "set aside earlier" in what for what in said(again, "note")
    )


def test_damage_that_came_after_the_file_was_read_once_is_found(journal, own_store):
    recorded(journal, 1, archived=True)
    recorded(journal, 2)
    assert not needs_the_user(examine(own_store))
    for path in (segments(own_store, "tokens")[0], archive_folder(own_store) / archives_in(own_store)[0]):
        before = path.stat()
        flip(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # As when the disk itself changes a byte.
    found = said(examine(own_store, mend=False), "trouble")
    assert [what for what in found if "is damaged (its bytes are not those that were written)" in what] == found
    assert len(found) == 2


@pytest.mark.parametrize("how", ["flipped", "truncated", "missing"])
def test_a_damaged_archive_is_no_longer_complained_of_and_comes_back_from_a_copy(journal, own_store, tmp_path, how):
    recorded(journal, 1, 2, archived=True)
    bad = archive_folder(own_store) / read_manifest(own_store).archives[0]
    copy = shutil.copy(bad, tmp_path)
    if how == "flipped":
        flip(bad)
    elif how == "truncated":
        bad.write_bytes(bad.read_bytes()[:-4096])
    else:
        bad.unlink()
    [finding] = [each for each in examine(own_store) if each.grade == "trouble"]
    assert f"{bad.name} is {'missing' if how == 'missing' else 'damaged'}" in finding.what
    assert str(bad) in finding.remedy
    assert str(manifest_path(own_store)) in finding.remedy
    assert (own_store / "damaged" / bad.name).exists() == (how != "missing")
    assert seen(own_store) == 5
    assert not needs_the_user(examine(own_store))
    shutil.copy(copy, bad)
    manifest_path(own_store).unlink()
    [mended] = [each for each in examine(own_store) if each.grade == "mended"]
    assert "is missing" in mended.what
    assert seen(own_store) == 10


@pytest.mark.parametrize("bad", [None, "{", '{"version": 1}'])
def test_a_manifest_that_is_lost_or_damaged_is_written_anew(journal, own_store, bad):
    recorded(journal, 1, 2, archived=True)
    manifest_path(own_store).unlink()
    if bad is not None:
        manifest_path(own_store).write_text(bad)
    checked = examine(own_store, mend=False)
    assert needs_the_user(checked)
    assert not manifest_path(own_store).exists() or manifest_path(own_store).read_text() == bad
    findings = examine(own_store)
    assert not needs_the_user(findings)
    [what] = said(findings, "mended")
    assert "manifest.json is" in what
    assert seen(own_store) == 10


def test_check_changes_nothing(journal, own_store):
    recorded(journal, 1, 2, archived=True)
    recorded(journal, 3, 4)
    journal.close()
    unfinished(own_store, GONE)
    flip(archive_folder(own_store) / archives_in(own_store)[0])
    flip(segments(own_store, "tokens")[0])
    flip(segment_folder(own_store, "spans") / "0-seed.parquet")
    manifest_path(own_store).write_text("{")
    (own_store / "readers").mkdir(exist_ok=True)
    (own_store / "readers" / f"{GONE}-01234567.lease").write_text("1")
    (own_store / "readers" / f"{GONE}-01234567.lease.lock").touch()
    before = everything(own_store)
    findings = examine(own_store, mend=False)
    assert everything(own_store) == before
    assert len(said(findings, "trouble")) == 3
    examine(own_store)
    assert everything(own_store) != before


def unfinished(folder, process, written=None):
    paths = [
        segment_folder(folder, "tokens")
        / f"{time.time_ns() // 1_000_000}-{process:x}01234567-000001-00000000.parquet.tmp",
        segment_folder(folder, "spans") / f"0-seed.parquet.{process:x}01234567.tmp",
    ]
    for path in paths:
        path.write_text("half")
        if written is not None:
            os.utime(path, (written, written))
    return paths


def test_what_dead_processes_did_not_finish_is_removed_and_what_living_ones_write_stays(journal, own_store):
    recorded(journal, 1, archived=True)
    recorded(journal, 2)
    dead = unfinished(own_store, GONE)
    alive = unfinished(own_store, os.getpid())
    stray = archive_folder(own_store) / "1.duckdb.tmp"
    stray.write_text("half")
    findings = examine(own_store)
    assert [path.exists() for path in dead] == [False, False]
    assert [path.exists() for path in alive] == [True, True]
    assert not stray.exists()
    assert len(said(findings, "mended")) == 2
    assert not needs_the_user(findings)


def test_unfinished_files_older_than_any_writing_takes_are_removed_whoever_has_that_process_id_now(journal, own_store):
    recorded(journal, 1)
    old = unfinished(own_store, os.getpid(), written=time.time() - 3600)
    examine(own_store)
    assert [path.exists() for path in old] == [False, False]


def test_an_archive_that_was_never_put_in_force_is_removed(journal, own_store):
    recorded(journal, 1)
    compact(own_store, kept_seconds=600)
    write_manifest(own_store, Manifest(generation=read_manifest(own_store).generation))
    [name] = archives_in(own_store)
    assert said(examine(own_store, mend=False), "note")
    examine(own_store)
    assert archives_in(own_store) == []
    assert name not in read_manifest(own_store).archives
    assert seen(own_store) == 5


def test_replaced_files_are_counted_and_go_when_no_reader_needs_them(journal, own_store):
    recorded(journal, 1)
    reader = connect(own_store)
    compact(own_store, kept_seconds=0)
    [note] = [each for each in examine(own_store) if "that archives replaced" in each.what]
    assert note.what.startswith("2 files that archives replaced")
    assert str(os.getpid()) in note.means
    assert len(segments(own_store, "tokens")) == 1
    del reader
    manifest = read_manifest(own_store)
    write_manifest(own_store, Manifest(**{**fields(manifest), "segments": dict.fromkeys(manifest.segments, 1.0)}))
    assert said(examine(own_store), "note") == []
    assert segments(own_store, "tokens") == []
    assert seen(own_store) == 5


def test_files_that_still_hold_deleted_runs_are_told_of(journal, own_store):
    recorded(journal, 1)
    reader = connect(own_store)
    delete(own_store, ["run-1"])
    [note] = [each for each in examine(own_store) if "that archives replaced" in each.what]
    assert "2 files of them may hold runs that were deleted" in note.means
    del reader


def fields(manifest):
    return {name: getattr(manifest, name) for name in ("generation", "archives", "segments", "retired")}


def test_runs_without_an_end_are_told_of_with_who_records_them(journal, own_store):
    with in_the_middle_of_run_1(own_store) as process:
        assert f"run run-1 is being recorded by process {process}" in said(examine(own_store), "note")
    findings = examine(own_store)
    assert f"run run-1 has no end: it was recorded by process {process}, which has ended" in said(findings, "note")
    assert not needs_the_user(findings)
    compact(own_store, kept_seconds=0)
    assert "run run-1 has no end: it was recorded by an unknown process" in said(examine(own_store), "note")
    assert seen(own_store) == 5


def test_many_runs_without_an_end_are_counted(journal, own_store):
    for number in range(1, 9):
        root(journal, number, run=f"run-{number}", ended=False)
    journal.close()
    for path in segments(own_store, "spans"):  # As if another process had written them, which has ended.
        path.rename(path.with_name(path.name.replace(f"-{os.getpid():x}", f"-{GONE:x}")))
    found = said(examine(own_store), "note")
    assert len([what for what in found if f"recorded by process {GONE}, which has ended" in what]) == SHOWN_RUNS
    assert "3 more runs have no end" in found


@pytest.mark.parametrize("bad", [b"no longer Parquet", None])
def test_a_damaged_seed_is_made_anew(journal, own_store, bad):
    recorded(journal, 1)
    seed = segment_folder(own_store, "spans") / SEED
    good = seed.read_bytes()
    seed.unlink() if bad is None else seed.write_bytes(bad)
    assert f"{SEED} is damaged or missing" in said(examine(own_store, mend=False), "note")
    assert f"{SEED} is damaged or missing" in said(examine(own_store), "mended")
    assert seed.read_bytes() == good
    assert said(examine(own_store), "mended") == []


def test_a_bundle_is_compared_with_its_digests(tmp_path):
    run = tttlab.think("7 * 8?", model=known("56"), replay="off")
    bundle = export_bundle(tttlab.connect(), [run.id], tmp_path / "bundle")
    assert said(examine(bundle.folder / "store"))[0] == "a bundle of 1 run, all of it as it was written"
    flip(bundle.file("tokens"))
    [what] = said(examine(bundle.folder / "store"), "trouble")
    assert "is damaged or was changed" in what


def test_a_store_of_a_newer_version_needs_the_user(journal, own_store):
    recorded(journal, 1)
    (own_store / "segments" / "v2").mkdir()
    [what] = said(examine(own_store), "trouble")
    assert "was written by a newer tttlab" in what
    assert "upgrade tttlab" in what


def test_a_read_only_folder_a_full_disk_and_a_network_are_told_of(journal, own_store, monkeypatch):
    recorded(journal, 1)
    bad = segments(own_store, "tokens")[0]
    flip(bad)
    for module in (doctor, place):
        monkeypatch.setattr(module, "is_writable", lambda folder: False)
    monkeypatch.setattr(place, "free_bytes", lambda folder: 1_500_000)
    monkeypatch.setattr(place, "file_system", lambda folder: "nfs4")
    findings = examine(own_store)
    assert said(findings, "trouble")[:2] == ["the folder is read-only", "1.5 MB are free"]
    assert "nfs4 is a network file system" in said(findings, "note")
    assert bad.exists()


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    inner = tmp_path / "a b"
    (inner / "store").mkdir(parents=True)
    escaped = str(inner).replace(" ", "\\040")
    mounts.write_text(f"host:/x {escaped} nfs4 rw 0 0\nnone / ext4 rw 0 0\nother {inner.parent}/a tmpfs rw 0 0\nodd\n")
    assert file_system(inner / "store", mounts) == "nfs4"
    assert file_system(tmp_path, mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "none") is None


def test_while_another_process_compacts_nothing_is_changed(journal, own_store, monkeypatch):
    recorded(journal, 1)
    flip(segments(own_store, "tokens")[0])
    monkeypatch.setattr(doctor, "LOCK_SECONDS", 0)
    with FileLock(own_store / "compaction.lock"):
        findings = examine(own_store)
    assert "another process compacts" in said(findings, "note")
    assert len(segments(own_store, "tokens")) == 1
