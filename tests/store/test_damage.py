"""A damaged or lost file costs its own rows only, and says so."""

import warnings

import pytest

from tests.store.recorded import record
from tttlab.store import archives
from tttlab.store.archives import archive_folder, archives_in
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.manifest import Manifest, manifest_path, read_manifest, write_manifest
from tttlab.store.queries import query
from tttlab.store.segments import KINDS, SEED, segment_folder, segments


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def tokens(connection):
    return connection.execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone()


def recorded(journal, *counts, archived=False):
    """Calls of so many tokens, each in segments, or in an archive, of its own."""
    for count in counts:
        recorded.number += 1
        record(journal, count, number=recorded.number)
        journal.flush()
        if archived:
            compact(journal.folder, kept_seconds=0)


recorded.number = 0


def flipped(path, every=1000):
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data), every):
        data[place] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:60] + b"\x00" + data[61:]])
@pytest.mark.parametrize("kind", ["spans", "tokens"])
def test_a_damaged_segment_is_set_aside_with_a_word_and_costs_its_own_rows(journal, own_store, damage, kind):
    for number in (1, 2):
        record(journal, 5, number=number)
        journal.flush()
    bad = segments(own_store, kind)[0]
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.warns(UserWarning, match=f"{bad.name}.*is damaged.*everything else is read"):
        connection = connect(own_store)
    assert connection.execute(f"SELECT count(*) FROM {kind}").fetchone()[0] == {"spans": 1, "tokens": 5}[kind]
    assert (own_store / "damaged" / bad.name).exists()


def test_a_damaged_archive_costs_its_own_rows(journal, own_store):
    record(journal, 5, number=1)
    journal.flush()
    compact(own_store, kept_seconds=0)
    record(journal, 7, number=2)
    journal.flush()
    [name] = read_manifest(own_store).archives
    (own_store / "archives" / name).write_bytes(b"\x00" * 5000)
    with pytest.warns(UserWarning, match=rf"{name} cannot be read and is left out"):
        assert tokens(connect(own_store)) == (7, 7)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped, "its bytes are not those that were written"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "bytes instead of"),
        (lambda path: path.unlink(), "No such file"),
    ],
    ids=["flipped", "truncated", "missing"],
)
def test_a_damaged_archive_is_left_out_and_holds_up_no_compaction(journal, own_store, damage, said):
    recorded(journal, 5, 7, archived=True)
    damage(archive_folder(own_store) / read_manifest(own_store).archives[0])
    with pytest.warns(UserWarning, match=rf"is left out \(.*{said}.*everything else is read"):
        assert tokens(connect(own_store)) == (7, 7)
    recorded(journal, 1, 1, 1, 1, 1, archived=True)
    assert len(read_manifest(own_store).archives) < 4
    with pytest.warns(UserWarning, match="is left out"):
        assert tokens(connect(own_store)) == (12, 12)


def test_an_archive_whose_damage_no_checksum_tells_holds_up_no_compaction(journal, own_store, monkeypatch):
    recorded(journal, 5, 5, 5, archived=True)
    flipped(archive_folder(own_store) / read_manifest(own_store).archives[0])
    monkeypatch.setattr(archives, "CHECKED_BYTES", 0)
    recorded(journal, 5, 5, archived=True)
    assert segments(own_store, "tokens") == []


@pytest.mark.parametrize("bad", [None, "", "{", "[]", "null", '{"version": 1}', "\udcff"])
def test_a_manifest_that_is_lost_or_damaged_is_made_anew_from_the_archives(journal, own_store, bad):
    recorded(journal, 2, archived=True)
    reader = connect(own_store)  # Its lease keeps what is merged and archived from now on.
    recorded(journal, 3, 4, 5, 1, archived=True)
    for name in read_manifest(own_store).retired:
        (archive_folder(own_store) / name).unlink()  # The segments that went into them are still there.
    assert len(archives_in(own_store)) == 1
    recorded(journal, 6)
    if bad is None:
        manifest_path(own_store).unlink()
    else:
        manifest_path(own_store).write_bytes(bad.encode("utf-8", "surrogateescape"))
    with pytest.warns(UserWarning, match=r"manifest.json is (missing|damaged).*nothing is lost"):
        again = connect(own_store)
    assert tokens(again) == (21, 21)
    assert len(list((own_store / "damaged").glob("manifest-*.json"))) == (bad is not None)
    with pytest.warns(UserWarning, match="is missing"):
        compact(own_store, kept_seconds=0)
    assert tokens(reader) == tokens(again) == tokens(connect(own_store)) == (21, 21)
    del reader, again
    compact(own_store, kept_seconds=0)
    assert set(archives_in(own_store)) == set(read_manifest(own_store).archives)
    assert tokens(connect(own_store)) == (21, 21)


def test_a_manifest_that_is_made_anew_takes_nothing_from_who_reads(journal, own_store):
    recorded(journal, 2, 3, archived=True)
    recorded(journal, 4)
    reader = connect(own_store)
    manifest_path(own_store).unlink()
    with pytest.warns(UserWarning, match="is missing"):
        compact(own_store, kept_seconds=0)
    assert tokens(reader) == (9, 9)


@pytest.mark.parametrize(
    "fields",
    [
        {"generation": "1"},
        {"archives": None},
        {"archives": [3]},
        {"archives": "name"},
        {"segments": [None]},
        {"segments": {"../../precious": 0}},
        {"retired": ["../precious.duckdb"]},
        {"retired": {"a": "b"}},
    ],
    ids=str,
)
def test_a_manifest_with_anything_else_in_it_than_file_names_is_damaged(own_store, fields):
    import json

    own_store.mkdir(parents=True)
    write_manifest(own_store, Manifest())
    whole = json.loads(manifest_path(own_store).read_text())
    manifest_path(own_store).write_text(json.dumps(whole | fields))
    with pytest.warns(UserWarning, match=r"manifest.json is damaged"):
        assert read_manifest(own_store).archives == ()


def test_an_archive_that_no_manifest_names_goes_only_if_its_rows_are_elsewhere(journal, own_store):
    recorded(journal, 5, archived=True)
    [name] = archives_in(own_store)
    write_manifest(own_store, Manifest())
    compact(own_store)
    assert archives_in(own_store) == [name]
    manifest_path(own_store).unlink()
    with pytest.warns(UserWarning, match="is missing"):
        assert tokens(connect(own_store)) == (5, 5)
    # What a compaction leaves that is killed before it puts its manifest in force.
    recorded(journal, 7)
    manifest = read_manifest_anew(own_store)
    write_manifest(own_store, manifest)
    compact(own_store)
    write_manifest(own_store, manifest)
    compact(own_store)
    assert len(archives_in(own_store)) == 2
    assert tokens(connect(own_store)) == (12, 12)


def read_manifest_anew(store):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_manifest(store)


def test_a_killed_compaction_leaves_temporaries_that_the_next_one_removes(journal, own_store):
    recorded(journal, 5, archived=True)
    stray = [archive_folder(own_store) / "1.duckdb.tmp", archive_folder(own_store) / "1.duckdb.tmp.wal"]
    stray.append(own_store / "manifest.0123.tmp")
    for path in stray:
        path.write_text("half")
    compact(own_store)
    assert not any(path.exists() for path in stray)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [b"", b"PAR1 no longer", None])
def test_a_damaged_or_missing_seed_is_made_anew(journal, own_store, kind, bad):
    recorded(journal, 5)
    seed = segment_folder(own_store, kind) / SEED
    good = seed.read_bytes()
    if bad is None:
        seed.unlink()
    else:
        seed.write_bytes(bad)
    connection = connect(own_store)
    assert tokens(connection) == (5, 5)
    assert seed.read_bytes() == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_seed_that_cannot_be_made_anew_is_done_without(journal, own_store, kind, monkeypatch):
    def read_only(*_):
        raise PermissionError("read-only")

    recorded(journal, 5)
    (segment_folder(own_store, kind) / SEED).write_bytes(b"no longer Parquet")
    monkeypatch.setattr("tttlab.store.database.make_seed", read_only)
    connection = connect(own_store)
    assert tokens(connection) == (5, 5)
    assert connection.execute("SELECT count(*) FROM spans").fetchone() == (1,)
    recorded(journal, 5)
    assert tokens(connection) == (10, 10)


def test_a_segment_that_is_damaged_after_it_was_checked_is_found(journal, own_store):
    recorded(journal, 5, 7)
    connect(own_store)
    flipped(segments(own_store, "tokens")[0], every=100)
    with pytest.warns(UserWarning, match="is damaged"):
        assert tokens(connect(own_store)) == (7, 7)


def test_a_query_that_meets_damage_sets_it_aside_and_is_asked_again(journal, own_store):
    recorded(journal, 5, 7)
    connection = connect(own_store)
    assert tokens(connection) == (12, 12)
    segments(own_store, "tokens")[0].write_bytes(b"no longer Parquet")
    with pytest.warns(UserWarning, match="is damaged"):
        found = query(connection.cursor(), "SELECT count(*) AS n FROM tokens WHERE run_id = $run", {"run": "run-1"})
    assert found.to_pylist() == [{"n": 7}]
    recorded(journal, 2)
    assert tokens(connection) == (9, 9)


def test_a_query_that_meets_a_damaged_archive_leaves_it_out_and_is_asked_again(journal, own_store):
    recorded(journal, 500, 7, archived=True)
    connection = connect(own_store)
    flipped(archive_folder(own_store) / read_manifest(own_store).archives[0], every=50)
    with pytest.warns(UserWarning, match="is left out"):
        assert query(connection, "SELECT count(text) AS n FROM tokens").to_pylist() == [{"n": 7}]


def test_compaction_leaves_out_what_it_cannot_set_aside(journal, own_store):
    recorded(journal, 5, 7)
    segments(own_store, "tokens")[0].write_bytes(b"no longer Parquet")
    (own_store / "damaged").write_text("a file where a folder should be")
    with pytest.warns(UserWarning, match="it is left out"):
        compact(own_store, kept_seconds=0)
    with pytest.warns(UserWarning, match="it is left out"):
        assert tokens(connect(own_store)) == (7, 7)
    assert len(segments(own_store, "tokens")) == 1
