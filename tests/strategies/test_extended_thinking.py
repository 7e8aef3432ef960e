"""Budget forcing against an independent statement of it (Muennighoff et al., 2025, section 3 and appendix)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker
from tttlab import Message, ScriptedModel
from tttlab.errors import OptionError
from tttlab.models.scripted import Reply
from tttlab.types import Capabilities

QUESTION = "What is 7 times 8?"
PLAIN = Capabilities(seed=True, prefix=True)


def budget_forced(rounds, most, least, ends):
    """The prefixes that the model goes on from, and how much it may say at each, up to the conclusion."""
    asked, thought, left = [], "", most
    for ignored in range(ends + 1):
        asked.append((thought, left))
        words = rounds[ignored].split(" ")
        thought += " ".join(words[:left])
        cut = len(words) > left
        left -= len(words[:left])
        if cut or most - left >= least or ignored == ends:
            break
        thought += "\n\nWait"
    return [*asked, (thought + "\n\nFinal Answer:", 9)], most - left


class Thinker:
    """A model that ends its thinking by itself after each of its rounds, and then knows the answer."""

    def __init__(self, rounds, can=PLAIN):
        self.rounds = rounds
        self.asked = []
        self.model = ScriptedModel(self.reply, can=can)

    def reply(self, request):
        *_, last = request.messages
        prefix = last.text if last.role == "assistant" else ""
        self.asked.append((prefix, request.sampling.max_tokens))
        return "56." if prefix.endswith("Final Answer:") else self.rounds[prefix.count("Wait")]


def think(model, **parameters):
    return tttlab.think(QUESTION, strategy="extended_thinking", model=model, answer_tokens=9, **parameters)


def branch_of(run):
    [(attributes,)] = (
        tttlab.connect()
        .execute("SELECT attributes FROM spans WHERE run_id = ? AND name LIKE 'branch%'", [run.id])
        .fetchall()
    )
    return json.loads(attributes)


ROUND = st.integers(1, 6).map(lambda words: ", ".join(["so"] * words))


@settings(max_examples=40, deadline=None)
@given(st.lists(ROUND, min_size=4, max_size=4), st.integers(1, 20), st.integers(0, 20), st.integers(0, 3))
def test_it_asks_what_the_paper_asks(rounds, most, least, ends):
    least = min(least, most)
    thinker = Thinker(rounds)
    run = think(thinker.model, max_thinking_tokens=most, min_thinking_tokens=least, ignored_ends=ends)
    asked, used = budget_forced(rounds, most, least, ends)
    assert thinker.asked == asked
    assert (run.usage.thinking_tokens, run.usage.output_tokens) == (used, used + 1)
    assert run.usage.thinking_tokens <= most
    assert run.answer == "56"


def test_too_little_thinking_goes_on_and_the_branch_says_what_was_asked_and_observed():
    thinker = Thinker(["a b c", ", no: d e", ", no: f"])
    run = think(thinker.model, max_thinking_tokens=50, min_thinking_tokens=6, ignored_ends=9)
    assert thinker.asked[-1][0] == "a b c\n\nWait, no: d e\n\nFinal Answer:"
    assert [left for _, left in thinker.asked] == [50, 47, 9]
    branch = branch_of(run)
    assert {key.rpartition(".")[2]: value for key, value in branch.items() if "asked" in key or "observed" in key} == {
        "asked_max_tokens": 50,
        "asked_min_tokens": 6,
        "observed_tokens": 7,
    }
    assert branch["tttlab.branch.ignored_ends"] == 1


def test_an_end_forced_by_the_maximum_is_never_ignored():
    thinker = Thinker(["a b c d e f", "never"])
    run = think(thinker.model, max_thinking_tokens=4, min_thinking_tokens=4)
    assert [prefix for prefix, _ in thinker.asked] == ["", "a b c d\n\nFinal Answer:"]
    assert branch_of(run)["tttlab.branch.ended"] == "length"


def test_all_the_thinking_is_declared_to_be_thinking_and_the_answer_is_not():
    run = think(Thinker(["a b c"]).model)
    rows = (
        tttlab.connect()
        .execute("SELECT channel, count(*) FROM tokens WHERE run_id = ? GROUP BY channel ORDER BY channel", [run.id])
        .fetchall()
    )
    assert rows == [("answer", 1), ("thinking", 3)]


def test_a_budget_that_ends_it_after_the_thinking_keeps_the_answer_found_there():
    run = think(Thinker(["it is 50\nno: it is 54", "\nI see:\n55"]).model, min_thinking_tokens=8, budget="2 calls")
    assert (run.status, run.answer) == ("budget", "55")
    assert [point.value for point in run.curve] == ["no: it is 54", "55"]


def test_a_conclusion_that_says_nothing_is_an_abstention():
    silent = ScriptedModel(
        lambda request: Reply(text="" if request.messages[-1].role == "assistant" else "It is 56"), can=PLAIN
    )
    assert think(silent).answer is None


def test_a_model_that_only_thinks_by_itself_is_asked_once_and_its_report_is_recorded():
    asked = []

    def reply(request):
        asked.append(request)
        return Reply(text="The answer is 56", thinking="seven eights", visibility="omitted")

    run = think(ScriptedModel(reply, can=Capabilities(thinking=True)), max_thinking_tokens=40)
    [request] = asked
    assert (request.messages, request.sampling.max_tokens) == ((Message("user", QUESTION),), 49)
    assert (run.answer, run.usage.thinking_tokens) == ("56", 2)
    branch = branch_of(run)
    assert branch["tttlab.branch.asked_max_tokens"] == 49
    assert (branch["tttlab.branch.reported_tokens"], branch["tttlab.branch.visibility"]) == (2, "omitted")


def test_a_host_that_can_hold_a_model_to_a_budget_of_thinking_is_asked_to():
    asked = []

    def reply(request):
        asked.append(request)
        return Reply(text="The answer is 56", thinking="seven eights and so on and on")

    can = Capabilities(thinking=True, thinking_budget=True)
    run = think(ScriptedModel(reply, can=can), max_thinking_tokens=3)
    [request] = asked
    assert (request.sampling.thinking_budget, request.sampling.max_tokens) == (3, 9)
    assert (run.answer, run.usage.thinking_tokens) == ("56", 3)
    assert branch_of(run)["tttlab.branch.asked_max_tokens"] == 3


def test_an_end_that_comes_too_early_is_ignored_where_thinking_can_be_gone_on_with():
    asked = []

    def reply(request):
        asked.append(request)
        return Reply(text=f"The answer is {54 + len(asked)}", thinking="seven eights")

    can = Capabilities(thinking=True, thinking_budget=True, prefix=True)
    run = think(ScriptedModel(reply, can=can), max_thinking_tokens=9, min_thinking_tokens=5)
    assert [request.messages[1:] for request in asked] == [
        (),
        (Message("assistant", "<think>\nseven eights\n\nWait"),),
        (Message("assistant", "<think>\nseven eights\n\nWaitseven eights\n\nWait"),),
    ]
    assert [request.sampling.thinking_budget for request in asked] == [9, 7, 5]
    assert [point.value for point in run.curve] == ["55", "56", "57"]
    branch = branch_of(run)
    assert (branch["tttlab.branch.observed_tokens"], branch["tttlab.branch.ignored_ends"]) == (6, 2)


def test_a_model_that_can_do_neither_is_told_before_anything_is_spent():
    model = ScriptedModel(can=Capabilities())
    message = "go on from a partial answer or think in a channel of its own, and scripted cannot$"
    with pytest.raises(OptionError, match=message):
        think(model)
    assert model.started == 0


def test_a_minimum_above_the_maximum_is_refused():
    with pytest.raises(OptionError, match="min_thinking_tokens=9 is above max_thinking_tokens=8"):
        think(Speaker(), min_thinking_tokens=9, max_thinking_tokens=8)
