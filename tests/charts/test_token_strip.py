"""The token strip: each token once, in reading order, with the probability that the store says."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.charts.teller import ANSWER, THINKING, Teller, asked, layers, rows, saying, subtitle, think
from tttlab import ScriptedModel
from tttlab.charts import token_strip
from tttlab.charts.shown_text import columns
from tttlab.charts.token_lines import COLUMNS, Page
from tttlab.errors import OptionError
from tttlab.models.scripted import Reply


def said_in(chart):
    return [row["said"] for row in rows(chart, "text", text="said")]


def test_each_token_has_the_probability_that_the_store_says():
    run = think()
    cells = rows(token_strip(run), "rect")
    stored = asked("SELECT * FROM tokens ORDER BY position")
    assert [cell["position"] for cell in cells] == [row["position"] for row in stored] == list(range(9))
    expected = [round(math.exp(row["logprob"]), 5) for row in stored]
    assert [cell["probability"] for cell in cells] == pytest.approx(expected, abs=1e-5)
    assert [cell["probability"] for cell in cells] == pytest.approx([p for _, p in THINKING + ANSWER], abs=1e-5)
    assert [cell["entropy"] for cell in cells] == pytest.approx([row["entropy_topk"] for row in stored], abs=1e-4)
    assert [cell["channel"] for cell in cells] == ["thinking"] * 4 + ["answer"] * 5
    assert all(0 <= cell["seconds"] < 60 for cell in cells)
    assert cells[2]["token"] == "␣8"
    assert cells[2]["top"] == "␣8 0.250   ␣other 0.750"


def test_the_colour_is_the_probability_on_its_whole_range():
    [(rect, _)] = layers(token_strip(think()), color="probability")
    assert rect["encoding"]["color"]["scale"]["domain"] == [0, 1]


def test_thinking_and_answer_begin_on_lines_of_their_own():
    chart = token_strip(think())
    cells, margins = rows(chart, "rect"), rows(chart, "rule", color="channel")
    assert [margin["channel"] for margin in margins] == ["thinking", "answer"]
    assert len({cell["line"] for cell in cells if cell["channel"] == "thinking"}) == 1
    assert margins[1]["line"] == min(cell["line"] for cell in cells if cell["channel"] == "answer")
    assert [cell["cell"] for cell in cells] == ["7", "times", "8", "⏎⏎", "The", "answer", "is", "56", "."]


def test_white_space_is_made_visible():
    model = Teller(lambda number, request: ([], [("a", 0.5), ("  ", 0.5), ("\n", 0.5), ("\tb", 0.5), ("", 0.5)]))
    cells = rows(token_strip(think(model=model)), "rect")
    assert [cell["cell"] for cell in cells] == ["a", "␣␣", "⏎", "⇥b", "∅"]
    assert cells[3]["line"] == cells[2]["line"] + 1
    assert cells[3]["column"] == 0


def test_tokens_without_log_probability_are_grey_and_the_chart_says_so():
    model = Teller(lambda number, request: ([], [("known", 0.5), (" unknown", None)]))
    chart = token_strip(think(model=model))
    grey, coloured = [layer for layer, _ in layers(chart) if layer["mark"]["type"] == "rect"]
    assert grey["encoding"]["color"]["value"] == "#e4e4e4"
    assert "=== null" in grey["transform"][0]["filter"]
    assert coloured["encoding"]["color"]["field"] == "probability"
    assert "grey: the model gave no log-probability (1 of 2 shown)" in subtitle(chart)
    none = token_strip(think(model=ScriptedModel("The answer is 56.")))
    assert "(4 of 4 shown)" in subtitle(none)
    assert layers(none, color="probability") == []


def test_of_many_calls_some_are_shown_and_the_chart_says_how_many():
    run = think("self_consistency", saying("54", "56"), samples=12)
    chart = token_strip(run)
    assert "n = 16 tokens, 8 of 12 calls shown" in subtitle(chart)
    assert [said.split(" · ")[0] for said in said_in(chart)] == [f"call {number}" for number in range(1, 9)]
    assert "12 calls," in subtitle(token_strip(run, calls=12))


def test_of_long_calls_the_beginning_is_shown_and_the_chart_says_what_is_missing():
    chart = token_strip(think(model=ScriptedModel(Reply(text="word " * 49 + "word", logprob=-0.5))), tokens=20)
    assert len({cell["position"] for cell in rows(chart, "rect")}) == 20
    assert "n = 20 of 50 tokens" in subtitle(chart)
    assert said_in(chart)[-1] == "… 30 more tokens not shown"


def test_a_single_call_is_shown_by_its_span_or_its_completion():
    kept = []

    async def two(problem, think):
        kept.extend(await think.complete(problem.prompt, n=2, role="proposer"))

    run = think(two, saying("54", "56"))
    second = asked("SELECT span_id FROM calls WHERE run_id = $run AND ordinal = 1", run=run.id)[0]["span_id"]
    by_span, by_completion = token_strip(second), token_strip(kept[1])
    assert by_span.to_dict() == by_completion.to_dict()
    [head] = said_in(by_span)
    assert head == "call 2 · proposer · answer 56 · 2 output tokens · geometric mean probability 0.500"
    assert "1 of 2 calls shown" in subtitle(by_span)


def test_hidden_thinking_and_chunks_are_named():
    reply = Reply(text="one two three four", thinking="a b c", visibility="encrypted", chunk=2)
    chart = token_strip(think(model=ScriptedModel(reply)))
    [head] = said_in(chart)
    assert "streamed in chunks, not tokens" in head
    assert "3 thinking tokens encrypted by the host" in head
    assert "n = 2 chunks, 1 call" in subtitle(chart)


def test_calls_that_were_cut_say_by_whom():
    run = think("self_consistency", saying("56", "56", "56"), samples=3, budget="13 tokens")
    assert run.status == "budget"
    assert any("cancelled by budget" in said for said in said_in(token_strip(run)))


def test_a_run_without_calls_says_so():
    async def silent(problem, think):
        pass

    chart = token_strip(think(silent))
    assert said_in(chart) == ["no model call was made"]
    assert "n = 0 tokens, 0 calls" in subtitle(chart)


def test_what_is_not_in_the_store_is_refused_with_the_nearest():
    run = think()
    with pytest.raises(OptionError, match=f"no run 'nothing'.*'{run.id}'"):
        token_strip("nothing")
    with pytest.raises(OptionError, match="is not a run"):
        token_strip(3)
    with pytest.raises(OptionError, match="calls=0"):
        token_strip(run, calls=0)


@example(["yz" * 20] * 7)
@example(["y", "\u6f22" * 120, "z"])
@example(["y" * 95, "\u6f22", "y" * 96, "z" * 97])
@given(st.lists(st.text("yz \\n\\t\\u6f22\\u0301\\U0001f600\\x1b\\u202e", max_size=250), max_size=30))
def test_cells_say_the_whole_text_in_lines_that_neither_overlap_nor_overrun(texts):
    page = Page()
    tokens = [{"text": text, "channel": "answer", "facts": {"token": number}} for number, text in enumerate(texts)]
    page.add_call("head", tokens, None)
    taken = {}
    for cell in page.cells:
        assert cell["column"] >= taken.get(cell["line"], 0)
        assert cell["end"] <= COLUMNS
        assert cell["end"] - cell["start"] >= columns(cell["cell"])
        taken[cell["line"]] = cell["end"]
    lines = [cell["line"] for cell in page.cells]
    assert lines == sorted(lines)
    whole = [number for number, text in enumerate(texts) if columns(text) <= COLUMNS and text.isalpha()]
    assert all(sum(cell["token"] == number for cell in page.cells) == 1 for number in whole)
    assert all(line < page.line for line in lines)
    for number, text in enumerate(texts):
        said = "".join(cell["cell"] for cell in page.cells if cell["token"] == number)
        letters = [character for character in text if character in "yz漢😀"]
        assert [character for character in said if character in "yz漢😀"] == letters
        assert said.count("⏎") == text.count("\n")
