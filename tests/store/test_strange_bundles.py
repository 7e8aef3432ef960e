"""A bundle may come from anybody: what it says of itself is checked, and nothing of it is used before, or half."""

import hashlib
import io
import json
import os
import shutil
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tttlab
from tests.test_replay import known, think
from tttlab.cli import main
from tttlab.errors import StoreError
from tttlab.store import bundles, database
from tttlab.store.archives import archive_folder
from tttlab.store.bundles import export_bundle, import_bundle, read_bundle
from tttlab.store.database import connect
from tttlab.store.doctor import examine
from tttlab.store.manifest import Manifest
from tttlab.store.segments import KINDS, segment_folder

HOSTILE = "x\x1b[2J'; \"$(echo done)"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TTTLAB_TRACES", str(folder / "traces"))
        run = think(known("56"), 2, replay="off")
        return export_bundle(tttlab.connect(), [run.id], folder / "bundle")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made.folder, tmp_path / "strange")


def stamped(folder, **said):
    """Give the bundle the digests that its files have by now, as whoever makes one can."""
    manifest = folder / "bundle.json"
    files = {f"{kind}.parquet": folder / f"{kind}.parquet" for kind in KINDS}
    digests = {
        name: {"digest": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}", "bytes": path.stat().st_size}
        for name, path in files.items()
    }
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"files": digests} | said))


def rewritten(folder, kind, change):
    path = folder / f"{kind}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    stamped(folder)


def column(name, value, kind=None):
    def change(table):
        return table.set_column(table.schema.get_field_index(name), name, pa.array([value] * len(table), kind))

    return change


def raw(folder, data):
    (folder / "tokens.parquet").write_bytes(data)
    stamped(folder)


def pipe(folder):
    (folder / "spans.parquet").unlink()
    os.mkfifo(folder / "spans.parquet")


def manifest(text):
    return lambda folder: (folder / "bundle.json").write_text(text)


HARMS = {
    "nested": (manifest("[" * 100_000), "bundle.json is damaged"),
    "infinite": (manifest('{"format": 1e400, "files": {}, "runs": []}'), "bundle.json is damaged"),
    "files without names": (lambda folder: stamped(folder, files=[1]), "bundle.json is damaged"),
    "files of anything": (lambda folder: stamped(folder, files={"spans.parquet": [1]}), "bundle.json is damaged"),
    "no files": (lambda folder: stamped(folder, files={}), "bundle.json does not name spans.parquet"),
    "runs of anything": (lambda folder: stamped(folder, runs=[3]), "bundle.json is damaged"),
    "runs without ids": (lambda folder: stamped(folder, runs=[{"run_id": None}]), "bundle.json is damaged"),
    "a pipe": (pipe, "is not whole: spans.parquet: it is no file"),
    "no Parquet": (lambda folder: raw(folder, b"no"), "tokens.parquet is no Parquet"),
    "no bytes": (lambda folder: raw(folder, b""), "tokens.parquet is no Parquet"),
    "a column too few": (
        lambda folder: rewritten(folder, "tokens", lambda table: table.drop_columns(["top"])),
        "tokens.parquet has no column 'top'",
    ),
    "a column too many": (
        lambda folder: rewritten(folder, "spans", lambda table: table.append_column("x", table.column("name"))),
        "spans.parquet has a column 'x', which there is not",
    ),
    "a column twice": (
        lambda folder: rewritten(folder, "spans", lambda table: table.append_column("name", table.column("name"))),
        "spans.parquet has more than one column 'name'",
    ),
    "another type": (
        lambda folder: rewritten(folder, "spans", column("start_ns", "soon")),
        "has in column 'start_ns' no int64",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_bundle_that_was_made_of_anything_else_is_refused_in_a_word(folder, harm):
    change, said = HARMS[harm]
    change(folder)
    with pytest.raises(StoreError, match=said) as refused:
        read_bundle(folder)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(StoreError, match=said):
        tttlab.connect(folder)
    assert any(finding.grade == "trouble" for finding in examine(folder / "store"))


def test_a_manifest_that_is_too_large_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(bundles, "MANIFEST_BYTES", 10)
    with pytest.raises(StoreError, match="has more than 10 bytes"):
        read_bundle(folder)


def test_what_cannot_be_taken_in_whole_is_not_taken_in_at_all(folder, tmp_path):
    rewritten(folder, "spans", column("attributes", "{"))
    with pytest.raises(StoreError, match=r"cannot be read: .*Malformed JSON"):
        import_bundle(tmp_path / "other" / "store", read_bundle(folder))
    assert not list((tmp_path / "other").rglob("[1-9]*.parquet"))


@pytest.mark.parametrize("same", ["run_id", "span_key"])
def test_a_bundle_adds_nothing_to_a_run_that_is_there(made, folder, tmp_path, same):
    store = tmp_path / "other" / "store"
    import_bundle(store, made)
    before = everything(store)
    other = {"trace_id": ("f" * 32,), "run_id": ("another",), "span_key": (1, pa.uint64())}
    for name in other.keys() - {same}:
        rewritten(folder, "spans", column(name, *other[name]))
    assert import_bundle(store, read_bundle(folder)) == 0
    assert everything(store) == before


def test_tokens_that_a_bundle_says_are_of_another_run_are_left(folder, tmp_path):
    rewritten(folder, "tokens", column("run_id", "another"))
    store = tmp_path / "other" / "store"
    assert import_bundle(store, read_bundle(folder)) == 1
    assert connect(store).execute("SELECT count(*) FROM tokens").fetchone() == (0,)


def everything(store):
    connection = connect(store)
    return [connection.execute(f"SELECT * FROM {view} ORDER BY ALL").fetchall() for view in ("spans", "tokens")]


def test_what_a_stranger_calls_a_run_is_neither_obeyed_by_a_terminal_nor_by_a_shell(folder, monkeypatch, capsys):
    odd = {"run_id": HOSTILE, "attributes": json.dumps({"tttlab.run.options": [1], "tttlab.run.environment": 3})}
    for name, value in odd.items():
        rewritten(folder, "spans", column(name, value))
    monkeypatch.setenv("TTTLAB_TRACES", str(folder))
    assert main(["show", HOSTILE[:1]]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "run x␛[2J'; \"$(echo done)\n" in said
    [command] = [line for line in said.splitlines() if "FROM answers" in line]
    shell = ["sh", "-c", f'set -- {command.strip()}; printf %s "$3"']
    asked = HOSTILE.replace("\x1b", "␛").replace("'", "''")
    given = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
    assert given == f"SELECT * FROM answers WHERE run_id = '{asked}' ORDER BY step"


def test_names_of_runs_and_files_are_said_without_what_a_terminal_would_obey(folder, tmp_path, monkeypatch, capsys):
    store = tmp_path / "traces" / "store"
    for number in (1, 2):
        rewritten(folder, "spans", column("run_id", f"{HOSTILE}{number}"))
        rewritten(folder, "spans", column("trace_id", f"{number:032x}"))
        rewritten(folder, "spans", column("span_key", number, pa.uint64()))
        assert import_bundle(store, read_bundle(folder)) == 1
    assert main(["show", "x"]) == 1
    segment_folder(store, "spans").joinpath("x\x1b[2J.parquet").write_text("dear")
    assert main(["doctor"]) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert main(["delete", f"{HOSTILE}1"]) == 1
    said = capsys.readouterr()
    assert "begins several ids (x␛[2J" in said.err
    assert "x␛[2J.parquet is no segment" in said.out
    assert "delete x␛[2J" in said.out
    assert "\x1b" not in said.out + said.err


def test_an_archive_whose_rows_are_a_view_is_left_out(own_store, tmp_path, monkeypatch):
    secret = tmp_path / "secret.csv"
    secret.write_text("name\nhidden\n")
    archive_folder(own_store).mkdir(parents=True)
    with duckdb.connect(archive_folder(own_store) / "forged.duckdb") as forged:
        forged.execute(f"CREATE VIEW stored_spans AS SELECT * FROM read_csv('{secret.as_posix()}')")
        forged.execute("CREATE TABLE stored_tokens (span_key UBIGINT)")
    # Whoever forges an archive can give it the checksum that it needs.
    monkeypatch.setattr(database, "damage", lambda path, again=False: None)
    held = Manifest(archives=("forged.duckdb",))
    with duckdb.connect() as connection:
        with pytest.warns(UserWarning, match="it holds views"):
            attached = database._attach(connection, own_store, held, again=True)
        assert attached == []
