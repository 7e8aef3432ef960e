"""What a run and a table look like when they are shown: all that counts is there, and nothing in it can run."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.notebook.markup import HOSTILE, text_of
from tttlab.budget import Budget
from tttlab.errors import RunFailed
from tttlab.events import Finish
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.notebook import texts
from tttlab.notebook.display import run_bundle, table_bundle
from tttlab.notebook.legible import columns
from tttlab.run import Run
from tttlab.types import Answer, Price, Problem, Usage

QUICK = Reply(text="I say so. The answer is 56.", thinking="seven times eight")


def think(reply=QUICK, strategy="direct", **options):
    return tttlab.think("7 * 8?", model=ScriptedModel(reply), strategy=strategy, **options)


def shown(run):
    bundle = run._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    return bundle["text/plain"], text_of(bundle["text/html"])


def test_a_run_shows_its_answer_first_and_all_that_counts():
    model = ScriptedModel(QUICK, price=Price(prompt=1000, output=1000))
    run = tttlab.think("7 * 8?", model=model, strategy="self_consistency", samples=4, seed=3)
    for text in shown(run):
        assert text.startswith("56")
        said = [
            "confidence 1.00",
            "52 tokens (12 thinking)",
            "4 calls",
            "$0.052",
            "self_consistency(samples=4",
            "scripted",
        ]
        said += ["seed 3", run.id, str(run.store), f"%traces SELECT * FROM calls WHERE run_id = '{run.id}'"]
        assert [part for part in said if part not in text] == []


def test_the_query_that_a_result_shows_gives_its_calls():
    run = think(strategy="self_consistency", samples=3)
    sql = shown(run)[0].splitlines()[-1].removeprefix("%traces ")
    assert len(tttlab.connect().execute(sql).fetchall()) == 3


@pytest.mark.parametrize(("reference", "said"), [("56", "correct"), ("57", "wrong: it is 57")])
def test_a_known_reference_says_whether_the_answer_is_right(reference, said):
    assert all(said in text for text in shown(think(reference=reference)))


def test_how_a_run_ended_is_said_plainly():
    stalls = Reply(text="The answer is 56 but", stall_after=4)
    for text in shown(think(stalls, budget="0.1 s")):
        assert "no answer" in text
        assert "The budget of 0.1 s is spent: there was no answer until then." in text
    with pytest.raises(RunFailed) as failed:
        think(Reply(text="a b c", fail_after=2))
    for text in shown(failed.value.run):
        assert "Failed: scripted: the script fails here, after 2 tokens" in text
        assert "a b" in text
    for text in shown(think(Reply(text=""))):
        assert "The strategy proposed no answer." in text


def test_votes_are_shown_most_first_and_not_all_of_them():
    votes = {str(number): float(number) for number in range(1, 9)}
    run = Run(
        id="r", status="ok", problem=Problem(prompt="x"), strategy="s", parameters={}, model="m", seed=0,
        budget=Budget(), curve=(Answer(value="8", votes=votes),),
    )  # fmt: skip
    plain, html = shown(run)
    assert "votes: 8 (8), 7 (7), 6 (6), 5 (5), 4 (4) and 3 other candidates" in plain
    assert "and 3 other candidates" in html


def test_a_vote_in_which_no_two_agree_says_what_was_compared():
    hint = "No two of 3 answers agree, and they were compared as whole texts: "
    counted = iter(["It is 56 apples", "So 56", "About 54"])
    for text in shown(think(lambda _: Reply(text=next(counted)), strategy="self_consistency", samples=3)):
        assert f"{hint}--extract last_number compares their last numbers only." in text
    worded = iter(["It is Paris", "So Paris", "Rome"])
    for text in shown(think(lambda _: Reply(text=next(worded)), strategy="self_consistency", samples=3)):
        assert f"{hint}ask for a form of the answer, and give --extract the rule that finds it" in text


@pytest.mark.parametrize(
    ("replies", "extract"),
    [
        (["It is 56", "It is 56", "So 54"], "final_answer"),
        (["The answer is 56", "The answer is 55", "The answer is 54"], "final_answer"),
        (["I take (A)", "I take (B)", "I take (C)"], "choice"),
        (["It is 56", "", ""], "final_answer"),
    ],
)
def test_a_vote_that_another_rule_would_not_help_has_no_hint(replies, extract):
    said = iter(replies)
    for text in shown(think(lambda _: Reply(text=next(said)), strategy="self_consistency", samples=3, extract=extract)):
        assert "agree" not in text


HAIKU = "An old silent pond,\na Frog jumps into the pond,\nsplash! Silence again. And again."


def test_a_long_answer_that_is_all_that_was_said_is_shown_once_and_as_it_was_written():
    bundle = run_bundle(think(Reply(text=HAIKU), extract="whole_text"))
    for text in (bundle["text/plain"], text_of(bundle["text/html"])):
        assert text.startswith(HAIKU)
        assert text.lower().count("frog jumps") == 1
    folded = text_of(
        run_bundle(think(Reply(text=HAIKU), "self_consistency", samples=4, extract="whole_text"))["text/html"]
    )
    assert folded.count("a Frog jumps into the pond,\nsplash") == 5


def test_a_long_text_that_says_more_than_the_answer_is_shown_beside_it():
    for text in shown(think(Reply(text=f"{HAIKU}\nThe answer is {HAIKU.splitlines()[1]}"))):
        assert text.startswith("a frog jumps into the pond")
        assert "An old silent pond" in text


def test_one_call_shows_its_text_and_folds_its_thinking_away():
    bundle = run_bundle(think())
    assert "I say so. The answer is 56." in bundle["text/plain"]
    before, _, folded = bundle["text/html"].partition("<details>")
    assert "seven times eight" not in before
    assert "seven times eight" in folded.partition("</details>")[0]
    assert "I say so." in folded.partition("</details>")[2]


def test_many_calls_are_folded_away_each_with_its_answer():
    html = run_bundle(think(strategy="self_consistency", samples=5))["text/html"]
    before, _, folded = html.partition("<details>")
    assert "I say so." not in before
    assert folded.count("I say so.") == 5
    assert "what the 5 calls said" in folded


def test_what_a_run_said_is_read_from_the_store_when_it_is_no_longer_remembered():
    run = think(strategy="self_consistency", samples=2)
    first = run_bundle(run)
    texts._recent.clear()
    assert run_bundle(run) == first


def test_long_texts_keep_their_end_and_a_notebook_stays_small():
    reply = Reply(text="word " * 20_000 + "The answer is 56.", thinking="hm " * 20_000)
    run = tttlab.think("x", model=ScriptedModel(reply), strategy="self_consistency", samples=6, max_tokens=100_000)
    html = run_bundle(run)["text/html"]
    assert len(html) < 100_000
    assert html.count("The answer is 56.") == 6


def test_trouble_with_the_store_is_said_in_the_result(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    tttlab.configure(traces=blocked)
    run = think()
    assert run.answer == "56"
    for text in shown(run):
        assert "Warning: the store in" in text
        assert "cannot be written to" in text


@pytest.mark.parametrize("strategy", ["direct", "self_consistency"])
def test_what_a_model_writes_cannot_run_in_the_page(strategy):
    reply = Reply(text=HOSTILE, thinking=HOSTILE)
    model = ScriptedModel(reply, name=HOSTILE)
    run = tttlab.think(HOSTILE, model=model, strategy=strategy, extract="whole_text", reference=HOSTILE)
    plain, html = shown(run)
    assert "<script>alert(1)</script>" in html
    assert "\x1b" not in plain
    assert "␛" in plain
    assert 'class="mathjax_ignore' in run_bundle(run)["text/html"]


@given(text=st.text(), number=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_no_text_escapes_from_any_place_of_a_result(text, number):
    run = Run(
        id="r", status="failed", problem=Problem(prompt=text, reference=text), strategy="s", parameters={"p": text},
        model=text, seed=0, budget=Budget(), curve=(Answer(value=text, votes={text: 1.0, "other": 2.0}),),
        correct=False, error=text, usage=Usage(calls=number),
    )  # fmt: skip
    said = texts.Said(number=1, status="failed", answer=text, thinking_pieces=[text], text_pieces=[text])
    texts.remember(run, [said] * number)
    shown(run)


def table(**columns_given):
    return pa.table(columns_given)


def test_a_table_aligns_numbers_right_and_texts_left_and_shows_null():
    given_table = table(name=["a", None], number=[5, 1234], share=[0.5, None], ok=[True, None])
    assert table_bundle(given_table)["text/plain"].splitlines() == [
        "name  number  share  ok",
        "────  ──────  ─────  ────",
        "a          5    0.5  true",
        "NULL    1234   NULL  NULL",
        "2 rows",
    ]
    assert text_of(table_bundle(given_table)["text/html"]) == "namenumbershareoka50.5trueNULL1234NULLNULL2 rows"


def test_a_long_table_says_how_many_rows_there_are_in_all():
    bundle = table_bundle(table(n=range(230)))
    assert bundle["text/plain"].splitlines()[-2:] == ["19", "… 230 rows in all"]
    assert "… 230 rows in all" in bundle["text/html"]
    assert table_bundle(table(n=range(230)), 2)["text/plain"].splitlines()[-2:] == ["1", "… 230 rows in all"]


def test_a_table_fits_the_terminal_texts_are_cut_and_numbers_are_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    wide = table(
        number=[123456789], text=["x" * 300], time=[datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)], more=["y" * 300]
    )
    lines = table_bundle(wide)["text/plain"].splitlines()
    assert max(map(len, lines[:3])) < 80
    assert "123456789" in lines[2]
    assert "2026-01-02 03:04:05.000+00:00" in lines[2]
    assert "x…" in lines[2]
    many = table(**{f"column_{number}": ["text"] for number in range(40)})
    last = table_bundle(many)["text/plain"].splitlines()[-1]
    assert last.startswith("1 row; columns left out for want of room: column_")
    assert last.endswith("column_39")


def test_cells_take_one_line_and_wide_characters_two_columns():
    lines = table_bundle(table(text=["a\nb\tc", "日本語"], after=["|", "|"]))["text/plain"].splitlines()
    assert lines[2].startswith("a↵b⇥c")
    assert {columns(line.partition("|")[0]) for line in lines[2:4]} == {8}


def test_values_of_every_kind_are_shown():
    cells = text_of(
        table_bundle(
            table(a=[[1, 2]], b=[{"k": "v"}], c=[b"\x01\xff"], d=[Decimal("1.50")], e=[1e-9], f=[float("nan")], g=[""])
        )["text/html"]
    )
    assert cells == 'abcdefg[1, 2]{"k": "v"}01ff1.501e-09nan1 row'


def test_a_statement_without_rows_and_one_with_no_row():
    assert table_bundle(pa.table({}))["text/plain"] == "done; the statement gives no rows"
    assert table_bundle(table(n=pa.array([], pa.int64())))["text/plain"].splitlines() == ["n", "─", "0 rows"]


def test_what_a_model_writes_cannot_run_in_a_table():
    bundle = table_bundle(pa.table({HOSTILE: [HOSTILE], "nested": [[{HOSTILE: HOSTILE}]]}))
    assert text_of(bundle["text/html"]).count("<script>alert(1)</script>") == 4
    assert "\x1b" not in bundle["text/plain"]


@given(st.dictionaries(st.text(), st.none() | st.text(), max_size=6))
@settings(max_examples=40, deadline=None)
def test_no_text_escapes_from_a_table(cells):
    bundle = table_bundle(pa.table({name: pa.array([cell], pa.string()) for name, cell in cells.items()}))
    text_of(bundle["text/html"])
    assert len(bundle["text/plain"].splitlines()) == (4 if cells else 1)


class Noting(ScriptedModel):
    """Has something to say of each call."""

    def __init__(self, notes, reply="The answer is 56"):
        super().__init__(reply)
        self.notes = notes

    async def stream(self, request):
        async for event in super().stream(request):
            yield replace(event, notes=self.notes) if isinstance(event, Finish) else event


def test_what_there_is_to_know_of_the_calls_is_said_once_and_escaped():
    model = Noting(("temperature 0.7 was not sent", "<script>alert(1)</script>"))
    run = tttlab.think("What is 7 times 8?", strategy="self_consistency", samples=3, model=model)
    assert run.notes == model.notes
    bundle = run_bundle(run)
    assert bundle["text/plain"].count("Note: temperature 0.7 was not sent") == 1
    assert bundle["text/html"].count("temperature 0.7 was not sent") == 1
    assert "<script>" not in bundle["text/html"]
    sql = "SELECT DISTINCT notes FROM calls WHERE run_id = ?"
    [[said]] = tttlab.connect().execute(sql, [run.id]).fetchall()
    assert json.loads(said) == list(model.notes)


def test_many_notes_are_cut():
    run = tttlab.think("What is 7 times 8?", model=Noting(tuple(f"thing {number}" for number in range(5))))
    text = run_bundle(run)["text/plain"]
    assert "thing 2" in text
    assert "thing 3" not in text
    assert "2 more notes: see notes in calls" in text
