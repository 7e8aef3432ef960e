"""Bundles: what is exported is what was recorded, reads and replays by itself, and damage is told before it is used."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import StoreError
from tttlab.options import store_folder
from tttlab.store.bundles import export_bundle, import_bundle, read_bundle
from tttlab.store.database import connect

QUESTION = "What is 7 times 8?"
COUNTED = ("runs", "calls", "tokens", "answers", "votes", "verdicts", "spans")


def think(seed=0, model=None, **options):
    model = model or Speaker(answers("56", "54", "56"))
    return tttlab.think(QUESTION, strategy="self_consistency", samples=3, model=model, seed=seed, **options)


@pytest.fixture
def bundle(tmp_path):
    think(0), think(1)
    tttlab.flush()
    return export_bundle(connect(store_folder()), [], tmp_path / "bundles" / "two")


def counts(connection):
    return {view: connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in COUNTED}


def everything(connection):
    spans = connection.execute("SELECT * FROM spans ORDER BY span_id").fetchall()
    return spans, connection.execute("SELECT * FROM tokens ORDER BY span_id, position").fetchall()


def test_a_bundle_reads_as_the_store_that_it_came_from(bundle):
    assert everything(tttlab.connect(bundle.folder)) == everything(tttlab.connect())
    assert [run["answer"] for run in bundle.runs] == ["56", "56"]


def test_a_bundle_of_some_runs_holds_those_alone(tmp_path):
    kept, _ = think(0), think(1)
    tttlab.flush()
    export_bundle(connect(store_folder()), [kept.id], tmp_path / "one")
    connection = tttlab.connect(tmp_path / "one")
    assert connection.execute("SELECT run_id FROM runs").fetchall() == [(kept.id,)]
    assert connection.execute("SELECT DISTINCT run_id FROM tokens").fetchall() == [(kept.id,)]


def test_a_run_is_replayed_from_a_bundle_alone(bundle, tmp_path, monkeypatch):
    recorded = bundle.runs[0]["run_id"], bundle.runs[1]["run_id"]
    moved = shutil.move(bundle.folder, tmp_path / "elsewhere")
    monkeypatch.setenv("TTTLAB_TRACES", str(moved))
    nobody = Speaker(lambda request: fault())
    assert {think(seed, nobody, replay="only").id for seed in (0, 1)} == set(recorded)
    assert nobody.started == 0
    assert tttlab.connect().execute("SELECT count(*) FROM runs").fetchone() == (2,)
    assert tttlab.connect().execute("SELECT count(*) FROM runs_all WHERE replay_of IS NOT NULL").fetchone() == (2,)


def test_importing_twice_is_importing_once(bundle, tmp_path):
    store = tmp_path / "other" / "store"
    assert import_bundle(store, bundle) == 2
    once = everything(connect(store))
    assert import_bundle(store, bundle) == 0
    assert everything(connect(store)) == once == everything(tttlab.connect())


def test_an_import_that_was_cut_after_the_tokens_is_finished_by_the_next(bundle, tmp_path):
    store = tmp_path / "other" / "store"
    import_bundle(store, bundle)
    for segment in (store / "segments").rglob("spans/[1-9]*.parquet"):
        segment.unlink()
    assert import_bundle(store, bundle) == 2
    assert everything(connect(store)) == everything(tttlab.connect())


def test_a_bundle_that_is_there_is_replaced_and_keeps_what_was_recorded_in_it(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("TTTLAB_TRACES", str(bundle.folder))
    later = think(2)
    tttlab.flush()
    again = export_bundle(tttlab.connect(), [later.id], bundle.folder)
    assert [run["run_id"] for run in again.runs] == [later.id]
    assert (bundle.folder / "store").is_dir()


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path):
    think()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear")
    with pytest.raises(StoreError, match="is there already and is no bundle"):
        export_bundle(tttlab.connect(), [], tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "dear"


def test_a_file_is_not_replaced_by_a_bundle(tmp_path):
    think()
    (tmp_path / "mine").write_text("dear")
    with pytest.raises(StoreError, match="is there already and is no bundle"):
        export_bundle(tttlab.connect(), [], tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "dear"


def test_a_run_that_there_is_not_is_told_with_the_nearest(tmp_path):
    run = think()
    with pytest.raises(StoreError, match=rf"no run '{run.id}x'; did you mean '{run.id}'"):
        export_bundle(tttlab.connect(), [run.id + "x"], tmp_path / "one")
    assert not list(tmp_path.glob("*one*"))


def cut(bundle):
    data = bundle.file("tokens").read_bytes()
    bundle.file("tokens").write_bytes(data[: len(data) // 2])


def flip(bundle):
    data = bytearray(bundle.file("spans").read_bytes())
    data[len(data) // 2] ^= 1
    bundle.file("spans").write_bytes(data)


def lose(bundle):
    bundle.file("spans").unlink()


def age(bundle):
    manifest = bundle.folder / "bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))


def break_off(bundle):
    manifest = bundle.folder / "bundle.json"
    manifest.write_text(manifest.read_text()[:40])


def mistype(bundle):
    manifest = bundle.folder / "bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"files": [3]}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "tokens.parquet has .* bytes, not"),
        (flip, "spans.parquet has not the digest it should"),
        (lose, "is not whole: spans.parquet"),
        (age, "format 99 and this tttlab reads up to 1: upgrade"),
        (break_off, "bundle.json is damaged"),
        (mistype, "bundle.json is damaged"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused_and_nothing_of_it_is_used(bundle, tmp_path, harm, said):
    copied = read_bundle(shutil.copytree(bundle.folder, tmp_path / "copy"))
    harm(copied)
    with pytest.raises(StoreError, match=said):
        read_bundle(copied.folder)
    with pytest.raises(StoreError, match=said):
        tttlab.connect(copied.folder)


def test_a_bundle_is_parquet_that_anything_reads(bundle):
    assert pq.read_table(bundle.file("tokens")).num_rows == counts(tttlab.connect())["tokens"]
