"""Archives say which steps of the schema they were made with: earlier ones are brought on, later ones refused."""

import shutil

import duckdb
import pytest

from tests.store.recording import whole
from tttlab.errors import StoreError
from tttlab.store import layout
from tttlab.store.archives import archive_folder, archives_in, quoted, version_of
from tttlab.store.building import take
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.deletion import delete
from tttlab.store.journal import Journal
from tttlab.store.layout import Step, steps
from tttlab.store.manifest import manifest_path, read_manifest
from tttlab.store.segments import KINDS, SCHEMAS, VERSION, segments

NEXT = steps()[-1].number + 1
COLOUR = Step(
    NEXT,
    f"{NEXT:04}_colour",
    "ALTER TABLE stored_spans ADD COLUMN colour VARCHAR; UPDATE stored_spans SET colour = 'none'; "
    "CREATE TABLE colours (name VARCHAR)",
)
"""A step that there might be one day."""


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


@pytest.fixture
def newer(monkeypatch):
    """A tttlab of the next version: call it, and it is."""

    def take_over():
        both = (*steps(), COLOUR)
        monkeypatch.setattr(layout, "steps", lambda: both)
        for module in ("archives", "building", "compaction"):
            monkeypatch.setattr(f"tttlab.store.{module}.steps", lambda: both)
        for module in ("segments", "manifest"):
            monkeypatch.setattr(f"tttlab.store.{module}.VERSION", NEXT)

    return take_over


def archived(journal, *numbers, **options):
    for number in numbers:
        whole(journal, number)
        compact(journal.folder, kept_seconds=0, **options)


def asked(folder, name, sql):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quoted(archive_folder(folder) / name)} AS archive (READ_ONLY); USE archive")
        return connection.execute(sql).fetchall()


def from_before_steps_were_recorded(folder):
    """Make the store's archive, of the first version, one of the first tttlab's."""
    [name] = archives_in(folder)
    path = archive_folder(folder) / name
    with duckdb.connect(path) as connection:
        connection.execute("DROP TABLE schema_steps")
    old = path.rename(path.with_name("1-old.duckdb"))
    manifest_path(folder).write_text(manifest_path(folder).read_text().replace(name, old.name))
    return old


def test_the_steps_are_numbered_and_one_has_the_columns_of_segments():
    assert [step.number for step in steps()] == list(range(1, len(steps()) + 1))
    with duckdb.connect() as connection:
        connection.execute("\n".join(step.sql for step in steps()[:VERSION]))
        for kind in KINDS:
            columns = [row[0] for row in connection.execute(f"DESCRIBE stored_{kind}").fetchall()]
            assert columns == SCHEMAS[kind].names


@pytest.mark.parametrize("version", range(1, NEXT - 1))
def test_an_archive_of_every_earlier_version_is_read_and_brought_on(journal, own_store, version):
    archived(journal, 1, schema=steps()[:version])
    [old] = archives_in(own_store)
    assert version_of(archive_folder(own_store) / old) == version
    before = connect(own_store).execute("SELECT * FROM tokens ORDER BY ALL").fetchall()
    whole(journal, 2)
    all_before = connect(own_store).execute("SELECT * FROM tokens ORDER BY ALL").fetchall()
    compact(own_store, kept_seconds=0)
    assert old not in archives_in(own_store)
    names = read_manifest(own_store).archives
    assert [version_of(archive_folder(own_store) / name) for name in names] == [NEXT - 1] * len(names)
    now = connect(own_store)
    assert now.execute("SELECT * FROM tokens ORDER BY ALL").fetchall() == all_before
    assert now.execute("SELECT * FROM tokens WHERE run_id = 'run-1' ORDER BY ALL").fetchall() == before


def test_an_archive_records_the_steps_that_it_was_made_with(journal, own_store):
    archived(journal, 1)
    [name] = archives_in(own_store)
    assert asked(own_store, name, "SELECT number, name, tttlab, taken <= now() FROM schema_steps") == [
        (step.number, step.name, "0.1.0", True) for step in steps()
    ]
    published = own_store.parent / "all.duckdb"
    compact(own_store, to=published)
    with duckdb.connect(published, read_only=True) as connection:
        assert connection.execute("SELECT number FROM schema_steps").fetchall() == [(step.number,) for step in steps()]


def test_an_archive_of_an_earlier_version_is_read_and_brought_to_the_newest_by_compaction(journal, own_store, newer):
    archived(journal, 1, schema=steps()[:1])
    old = from_before_steps_were_recorded(own_store)
    newer()
    before = connect(own_store).execute("SELECT * FROM tokens ORDER BY ALL").fetchall()
    assert len(before) == 5
    assert connect(own_store).execute("SELECT colour FROM stored_spans").fetchall() == [(None,), (None,)]
    compact(own_store, kept_seconds=0)
    [new] = read_manifest(own_store).archives
    assert not old.exists()
    assert asked(own_store, new, "SELECT number, name FROM schema_steps ORDER BY ALL") == [
        (step.number, step.name) for step in (*steps(), COLOUR)
    ]
    assert asked(own_store, new, "SELECT colour FROM stored_spans") == [("none",), ("none",)]
    assert asked(own_store, new, "SELECT count(*) FROM colours") == [(0,)]
    assert connect(own_store).execute("SELECT * FROM tokens ORDER BY ALL").fetchall() == before
    compact(own_store, kept_seconds=0)
    assert read_manifest(own_store).archives == (new,)


def test_archives_of_several_versions_are_merged_and_what_is_new_is_taken_as_it_is(journal, own_store):
    both = (*steps(), COLOUR)
    archived(journal, 1, 2, 3)
    assert len(read_manifest(own_store).archives) == 3
    archived(journal, 4, schema=both)
    newest = read_manifest(own_store).archives
    assert [version_of(archive_folder(own_store) / name) for name in newest] == [NEXT] * len(newest)
    colours = [row for name in newest for row in asked(own_store, name, "SELECT colour FROM stored_spans")]
    assert colours == [("none",)] * 8


def test_segments_of_an_earlier_version_are_read_and_brought_on_and_later_ones_lie_beside_them(
    journal, own_store, newer, tmp_path
):
    whole(journal, 1)
    elsewhere = Journal(tmp_path / "elsewhere")
    whole(elsewhere, 3)
    elsewhere.close()
    newer()
    later = Journal(own_store)
    whole(later, 2)
    later.close()
    reader = connect(own_store)
    for kind in KINDS:  # A process of the earlier version goes on recording.
        [written] = segments(elsewhere.folder, kind)
        shutil.copy(written, own_store / "segments" / "v1" / kind)
    versions = {path.parent.parent.name for path in segments(own_store, "tokens")}
    assert versions == {"v1", f"v{NEXT}"}
    fresh = connect(own_store)
    for connection in (reader, fresh):
        assert connection.execute("SELECT count(*), count(DISTINCT span_key) FROM tokens").fetchone() == (15, 3)
    del reader, fresh, connection
    compact(own_store, kept_seconds=0)
    assert segments(own_store, "tokens") == []
    [name] = read_manifest(own_store).archives
    assert asked(own_store, name, "SELECT run_id, colour FROM stored_spans WHERE operation IS NULL ORDER BY ALL") == [
        ("run-1", "none"),
        ("run-2", None),
        ("run-3", "none"),
    ]
    assert connect(own_store).execute("SELECT count(*) FROM tokens").fetchone() == (15,)


def test_deletion_brings_what_it_touches_to_the_newest_version(journal, own_store, newer):
    whole(journal, 1)
    archived(journal, 2)
    newer()
    delete(own_store, ["run-1"])
    [name] = read_manifest(own_store).archives
    assert version_of(archive_folder(own_store) / name) == NEXT
    assert connect(own_store).execute("SELECT DISTINCT run_id FROM tokens").fetchall() == [("run-2",)]


def test_a_step_is_taken_whole_with_its_record_or_not_at_all():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE schema_steps (number INTEGER, name VARCHAR, tttlab VARCHAR, taken TIMESTAMP)")
        take(connection, Step(1, "0001_a", "CREATE TABLE a (x INTEGER)"))
        with pytest.raises(duckdb.Error):
            take(connection, Step(2, "0002_b", "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO nowhere VALUES (1)"))
        assert connection.execute("SELECT number, name FROM schema_steps").fetchall() == [(1, "0001_a")]
        assert [row[0] for row in connection.execute("DESCRIBE a").fetchall()] == ["x"]


def test_a_step_that_fails_leaves_the_store_as_it_was(journal, own_store):
    archived(journal, 1)
    whole(journal, 2)
    before = read_manifest(own_store)
    with pytest.raises(StoreError, match="could not be compacted"):
        compact(own_store, schema=(*steps(), Step(NEXT, "9999_wrong", "ALTER TABLE nowhere ADD COLUMN x INTEGER")))
    assert read_manifest(own_store) == before
    assert len(segments(own_store, "tokens")) == 1
    assert len(list(archive_folder(own_store).iterdir())) == 1
    assert connect(own_store).execute("SELECT count(*) FROM tokens").fetchone() == (10,)


def test_an_archive_of_a_newer_version_is_refused_with_a_clear_word_and_left_alone(journal, own_store):
    archived(journal, 1, schema=(*steps(), COLOUR))
    [name] = archives_in(own_store)
    refused = (
        f"the archive .*{name} was written by a newer tttlab .schema {NEXT}, this one reads up to {NEXT - 1}.: upgrade"
    )
    whole(journal, 2)
    for ask in (connect, compact, lambda store: delete(store, ["run-2"])):
        with pytest.raises(StoreError, match=refused):
            ask(own_store)
    assert read_manifest(own_store).archives == (name,)
    assert len(segments(own_store, "tokens")) == 1
    manifest_path(own_store).unlink()
    with pytest.warns(UserWarning, match="is missing"), pytest.raises(StoreError, match=refused):
        connect(own_store)


def test_a_store_of_a_newer_version_is_refused_with_a_clear_word(journal, own_store):
    archived(journal, 1)
    said = manifest_path(own_store).read_text()
    manifest_path(own_store).write_text(said.replace('"version": 1', '"version": 2'))
    for ask in (connect, compact, lambda store: delete(store, ["run-1"])):
        with pytest.raises(StoreError, match=r"was written by a newer tttlab .format 2, this one reads 1.: upgrade"):
            ask(own_store)
    assert len(archives_in(own_store)) == 1
