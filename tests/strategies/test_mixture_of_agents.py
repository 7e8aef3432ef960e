"""A mixture of agents: who is asked, what each is shown, and whose answer counts."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError, RunFailed

QUESTION = "What is 7 times 8?"


def think(model, **options):
    return tttlab.think(QUESTION, strategy="mixture_of_agents", model=model, **options)


def shown_to(request):
    """The numbers that the responses listed in a request's system turn give, in their order."""
    if request.messages[0].role != "system":
        return None
    listed = request.messages[0].text.partition("Responses from models:")[2]
    return [int(value) for value in re.findall(r"^\d+\. The answer is (\d+)", listed, re.MULTILINE)]


def mixing(said, agents):
    """A model whose agents first say `said`, and, shown responses, the sum of these plus their own number."""
    first, order = answers(*said), {}

    def spoken(request):
        seen = shown_to(request)
        if seen is None:
            return first(request)
        base = order.setdefault(request.messages, request.seed)
        return f"The answer is {sum(seen) + (request.seed - base) % agents}"

    return Speaker(spoken)


def by_hand(said, layers):
    """The layers as the paper's figure draws them, in whole numbers; the last is the one aggregator."""
    responses = list(said)
    for _ in range(layers - 2):
        responses = [sum(responses) + agent for agent in range(len(said))]
    return sum(responses)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(2, 4))
def test_each_layer_is_shown_all_of_the_layer_before_and_the_aggregator_answers(said, layers):
    model = mixing(said, len(said))
    run = think(model, agents=len(said), layers=layers)
    assert (run.answer, run.usage.calls) == (str(by_hand(said, layers)), (layers - 1) * len(said) + 1)
    assert all(request.messages[-1].text == QUESTION for request in model.requests)


def test_until_the_aggregator_has_answered_the_majority_of_the_last_layer_is_proposed():
    run = think(mixing([1, 2, 2], 3), agents=3, layers=3)
    assert [(point.value, point.confidence) for point in run.curve] == [
        ("1", 1.0),
        ("1", 0.5),
        ("2", 2 / 3),
        ("5", 1 / 3),
        ("18", None),
    ]
    run = think(mixing([1, 2, 2], 3), agents=3, layers=3, budget="6 calls")
    assert (run.status, run.answer) == ("budget", "5")
    assert think(mixing([1, 2, 2], 3), agents=3, layers=3, budget="5 calls").answer == "2"
    assert think(mixing([1, 2, 2], 3), agents=3, layers=3, budget="1 calls").answer == "1"


def test_roles_and_layers_are_recorded():
    think(mixing([1, 2], 2), agents=2, layers=3)
    counted = Counter(tttlab.connect().execute("SELECT branch, role FROM calls").fetchall())
    assert counted == {("0", "proposer"): 2, ("1", "proposer"): 2, ("2", "aggregator"): 1}


def test_proposers_and_aggregator_may_be_other_models():
    first, second = (Speaker(f"The answer is {value}", name=f"says {value}") for value in (3, 4))
    last = Speaker(lambda request: f"The answer is {shown_to(request)}", name="last")
    run = think(Speaker(), proposers=(first, second), aggregator=last, layers=2)
    assert (run.answer, run.usage.calls) == ("[3, 4]", 3)


@pytest.mark.parametrize("last", ["", fault()])
def test_an_aggregator_without_an_answer_leaves_the_majority_of_the_last_layer(last):
    run = think(Speaker(answers("1", "2", "2")), agents=3, layers=2, aggregator=Speaker(lambda request: last))
    assert (run.status, run.answer) == ("ok", "2")


def test_a_proposer_that_fails_is_left_out_and_all_failed_is_a_failed_run():
    dead = Speaker(lambda request: fault(), name="dead")
    last = Speaker(lambda request: f"The answer is {shown_to(request)}", name="last")
    run = think(Speaker(), proposers=(dead, Speaker("The answer is 3")), aggregator=last, layers=2)
    assert (run.status, run.answer) == ("ok", "[3]")
    with pytest.raises(RunFailed, match="the line went dead"):
        think(dead, agents=2)


def test_a_later_layer_that_fails_whole_leaves_the_one_before():
    def once(request):
        return fault() if shown_to(request) else "The answer is 7"

    assert think(Speaker(once), agents=2, layers=3).answer == "7"


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="layers=1"):
        think(Speaker(), layers=1)
