"""The command line says what it did, and what it did not do."""

import pytest
from filelock import FileLock

import tttlab
from tttlab.cli import main


def recorded():
    tttlab.think("7 * 8?", model=tttlab.ScriptedModel("The answer is 56."))


@pytest.mark.parametrize("form", [[], ["--csv"]])
def test_an_empty_answer_of_an_empty_store_says_which_store_was_asked(own_store, capsys, form):
    assert main(["sql", "SELECT run_id FROM runs", *form]) == 0
    asked = capsys.readouterr()
    assert asked.err.startswith(f"tttlab: no run is recorded yet in {own_store} (")
    assert "run_id" in asked.out
    recorded()
    assert main(["sql", "SELECT run_id FROM runs WHERE false", *form]) == 0
    assert capsys.readouterr().err == ""


def test_compaction_says_what_was_done(own_store, tmp_path, capsys):
    published = tmp_path / "all.duckdb"
    assert main(["compact"]) == 0
    assert capsys.readouterr().out == f"there is no store in {own_store} yet, so there is nothing to compact\n"
    recorded()
    tttlab.flush()
    with FileLock(own_store / "compaction.lock"):
        assert main(["compact", "--to", str(published)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{own_store} was left as it is: another process compacts it, or it cannot be written to",
        f"published {published}",
    ]
    assert published.is_file()
    assert main(["compact", "--to", str(published)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"compacted {own_store}", f"published {published}"]
