"""A debate against the loop of the paper's published code, with agents whose change of mind is a known function."""

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
    return tttlab.think(QUESTION, strategy="debate", model=model, **options)


def numbers(text):
    return [int(number) for number in re.findall(r"answer is (\d+)", text)]


def persuaded(own, others):
    """The agents of these tests: each takes the median of what it and the others said, plus its own first words."""
    return sorted([own, *others])[len(others) // 2 + 1 if others else 0] if others else own


def arguing(said):
    first = answers(*said)

    def spoken(request):
        if len(request.messages) == 1:
            text = first(request)
            return "" if text == "The answer is " else text
        own = numbers(request.messages[-2].text)
        others = numbers(request.messages[-1].text)
        return f"The answer is {persuaded(own[0], others)}" if own else "The answer is unclear to me, 0 even"

    return Speaker(spoken)


def by_hand(said, rounds):
    """Every agent answers again from the round before, all at once; the majority of the last round is the answer."""
    latest = list(said)
    for _ in range(rounds - 1):
        latest = [
            persuaded(latest[agent], [other for index, other in enumerate(latest) if index != agent])
            for agent in range(len(latest))
        ]
    return str(Counter(latest).most_common(1)[0][0])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 4))
def test_agents_answer_again_from_the_round_before_and_the_last_round_votes(said, rounds):
    run = think(arguing(said), agents=len(said), rounds=rounds)
    assert (run.answer, run.usage.calls) == (by_hand(said, rounds), len(said) * rounds)


def test_each_agent_has_its_own_conversation_and_sees_the_others_and_not_itself():
    model = Speaker(answers("1", "2", "3"))
    think(model, agents=3, rounds=3)
    second = [request.messages for request in model.requests if len(request.messages) == 3]
    assert [[turn.role for turn in talk] for talk in second] == [["user", "assistant", "user"]] * 3
    assert [(numbers(talk[1].text), numbers(talk[2].text)) for talk in second] == [
        ([1], [2, 3]),
        ([2], [1, 3]),
        ([3], [1, 2]),
    ]
    assert all(talk[2].text.count(QUESTION) == 1 for talk in second)
    third = [request.messages for request in model.requests if len(request.messages) == 5]
    assert {talk[:3] for talk in third} == set(second)


def test_rounds_are_branches_and_agents_are_branches_below_them():
    think(Speaker(answers("1", "1")), agents=2, rounds=2)
    counted = Counter(tttlab.connect().execute("SELECT branch FROM calls").fetchall())
    assert counted == {("0",): 2, ("1.0",): 1, ("1.1",): 1}


def test_the_vote_is_that_of_the_agents_and_abstentions_never_win():
    run = think(Speaker(lambda request: ""), agents=2)
    assert (run.status, run.answer, run.confidence) == ("ok", None, 0.0)
    run = think(arguing(["", "7", ""]), agents=3, rounds=1)
    assert (run.answer, run.confidence) == ("7", 1 / 3)


def test_an_agent_whose_call_fails_keeps_its_last_solution_and_all_failed_is_a_failed_run():
    def later_dead(request):
        return fault() if len(request.messages) > 1 else "The answer is 7"

    run = think(Speaker(later_dead), agents=2, rounds=3)
    assert (run.status, run.answer, run.usage.calls) == ("ok", "7", 6)
    first = answers("1", "5", "6")

    def only_the_first_dies(request):
        own = numbers(request.messages[-2].text) if len(request.messages) > 1 else None
        return first(request) if own is None else fault() if own == [1] else "The answer is 9"

    run = think(Speaker(only_the_first_dies), agents=3, rounds=2)
    assert run.curve[-1].votes == {"1": 1, "9": 2}
    run = think(Speaker(answers("1", fault(), "1")), agents=3, rounds=1)
    assert (run.answer, run.confidence) == ("1", 1.0)
    with pytest.raises(RunFailed, match="the line went dead"):
        think(Speaker(lambda request: fault()), agents=2)


def test_a_budget_keeps_the_vote_of_the_last_whole_round():
    said = [1, 5, 5, 9]
    run = think(arguing(said), agents=4, rounds=3, budget="7 calls")
    assert (run.status, run.answer, len(run.curve)) == ("budget", "5", 4)
    assert think(arguing(said), agents=4, rounds=3, budget="2 calls").answer == "1"


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="rounds=0"):
        think(Speaker(), rounds=0)
