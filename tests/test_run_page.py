"""`tttlab show` tells how a run came to be."""

import json

import pytest

import tttlab
from tests.test_replay import known, think
from tttlab.errors import StoreError
from tttlab.run_page import run_page


def page(word):
    return run_page(tttlab.connect(), word)


def section(text, head):
    """The lines below a heading."""
    parts = {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n\n")}
    return [line.split(maxsplit=1) for line in parts[head].splitlines()]


def test_it_says_everything_that_it_takes_to_run_the_run_again(monkeypatch):
    monkeypatch.setenv("TTTLAB_REPLAY", "off")
    run = think(known("56"), samples=3, temperature=0.5, seed=7, budget="5000 tokens", reference="56")
    text = page(run.id)
    [(recorded,)] = tttlab.connect().execute("SELECT environment FROM runs").fetchall()
    versions = json.loads(recorded)
    assert section(text, f"run {run.id}")[2:4] == [["status", "ok"], ["answer", "56 (confidence 1.00), correct"]]
    assert ["prompt", "What is 7 times 8?"] in section(text, "problem")
    assert ["reference", "56"] in section(text, "problem")
    parameters = section(text, "strategy self_consistency")
    assert parameters[:2] == [["samples", "3"], ["temperature", "0.5"]]
    assert len(parameters) == len(run.parameters)
    assert section(text, "model speaker") == [["digest", "sha256:1"]]
    assert section(text, "seed and budget") == [["seed", "7"], ["budget", "5000 tokens"]]
    options = section(text, "options, and where each came from")
    assert ["strategy", "self_consistency  (given)"] in options
    assert ["replay", "off  (environment)"] in options
    assert ["allow_code", "false  (default)"] in options
    said = section(text, "versions")
    assert ["tttlab", versions["tttlab"]] in said
    assert ["duckdb", versions["duckdb"]] in said
    assert any(line[0] == "git" for line in said)
    assert section(text, "spend by role") == [
        ["generator", f"3 calls of speaker: {run.usage.tokens} tokens (9 prompt, 12 output, 0 of it thinking)"]
    ]
    assert section(text, "replay") == [["this", "run  no call was replayed"]]


def test_a_git_commit_is_shown_with_whether_it_was_changed(monkeypatch):
    monkeypatch.setattr("tttlab.runner.environment", lambda folder: {"git_commit": "abc123", "git_changed": "true"})
    run = think(known("56"), replay="off")
    assert section(page(run.id), "versions") == [["git", "commit  abc123, with changes that were not committed"]]


def test_spend_is_shown_by_role_and_by_how_calls_ended():
    def judged(request):
        return "score: 1" if "judge" in request.role else "The answer is 56"

    run = tttlab.think("7 * 8?", strategy="best_of_n", samples=2, verifier="llm_judge", model=known("56"), replay="off")
    roles = {row[0] for row in tttlab.connect().execute("SELECT role FROM usage WHERE run_id = ?", [run.id]).fetchall()}
    assert {line[0] for line in section(page(run.id), "spend by role")} == roles
    assert len(roles) == 2


def test_what_was_replayed_and_what_repeated_it_is_said():
    first = think(known(), 2, replay="reuse")
    more = think(known(), 3, replay="reuse")
    assert section(page(more.id), "replay") == [
        ["this", f"run  2 of 3 calls were replayed, {more.new.tokens} tokens were new"]
    ]
    think(known(), 2, replay="reuse")
    [(note,)] = tttlab.connect().execute("SELECT run_id FROM runs_all WHERE replay_of IS NOT NULL").fetchall()
    assert section(page(first.id), "replay")[1] == ["since", f"then  repeated from its record 1 time, last as {note}"]
    assert page(note).startswith(f"run {first.id}, repeated as {note}\n")


def test_the_commands_that_it_names_can_be_asked():
    run = think(known("56"), replay="off")
    asked = [line[1] for line in (line.split('"') for line in page(run.id).splitlines()) if "tttlab sql" in line[0]]
    assert len(asked) == 4
    for sql in asked:
        assert tttlab.connect().execute(sql).fetchall() is not None
    assert len(tttlab.connect().execute(asked[0]).fetchall()) == 5


def test_what_was_written_by_others_cannot_act_on_a_terminal():
    run = tttlab.think("say \x1b[31mred\nand more", model=known("\x1b]0;title\x07"), replay="off")
    text = page(run.id)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "  prompt     say ␛[31mred\n             and more\n" in text


def test_a_run_that_has_no_end_is_said_to_have_none(own_store):
    from tests.store.recording import root
    from tttlab.store.journal import Journal

    journal = Journal(own_store)
    root(journal, 1, run="20260101-000000-abc", ended=False, attributes={"gen_ai.operation.name": "invoke_workflow"})
    journal.close()
    text = page("2026")
    assert "incomplete: it is still running, or its process was killed" in text
    assert "no call has run and ended" in text


def test_a_word_that_means_no_run_names_the_nearest():
    run = think(known("56"), replay="off")
    with pytest.raises(StoreError, match=f"there is no run '{run.id[:-1]}!'; did you mean '{run.id}'"):
        page(f"{run.id[:-1]}!")
