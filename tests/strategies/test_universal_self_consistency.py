"""Universal self-consistency: what the judge picks is what is answered, and nothing else is."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError

QUESTION = "What is 7 times 8?"


def asking(judge, *said):
    """A model that answers with `said` in turn, and judges with `judge(responses)`, a reply or a fault."""
    reply = answers(*said)

    def spoken(request):
        text = request.messages[-1].text
        if "Select the most consistent response" in text:
            return judge(re.findall(r"^Response \d+: ?(.*)$", text, re.MULTILINE))
        answered = reply(request)
        return "" if answered == "The answer is " else answered

    return Speaker(spoken)


def think(model, samples, **options):
    return tttlab.think(QUESTION, strategy="universal_self_consistency", model=model, samples=samples, **options)


def majority(said):
    counts = Counter(value for value in said if value).most_common(1)
    return counts[0][0] if counts else None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["1", "2", "3", ""]), min_size=1, max_size=6), st.integers(0, 7))
def test_the_picked_response_is_the_answer_and_an_unusable_pick_leaves_the_majority(said, pick):
    model = asking(lambda responses: f"The most consistent response is Response {pick}, since", *said)
    run = think(model, len(said))
    usable = pick < len(said) and said[pick]
    assert run.answer == (said[pick] if usable else majority(said))
    assert run.confidence == (said.count(run.answer) / len(said) if run.answer else 0.0)
    assert run.usage.calls == len(said) + (len(set(said) - {""}) > 1)


@pytest.mark.parametrize(
    "verdict", ["I like Response 1 best", "", "The most consistent response is the second", fault()]
)
def test_an_unparsable_or_failing_judge_abstains(verdict):
    run = think(asking(lambda responses: verdict, "1", "2", "1"), 3)
    assert (run.status, run.answer, run.usage.calls) == ("ok", "1", 4)


def test_the_judge_sees_every_response_whole_and_the_question():
    heard = []

    def judge(responses):
        heard.append(responses)
        return "The most consistent response is Response 0"

    model = asking(judge, "1", "2", "3")
    think(model, 3)
    assert heard == [["The answer is 1", "The answer is 2", "The answer is 3"]]
    assert QUESTION in model.requests[-1].messages[-1].text
    assert tttlab.connect().execute("SELECT count(*) FROM calls WHERE role = 'judge'").fetchone() == (1,)


def test_more_orders_show_the_responses_shuffled_and_count_picks_of_responses_not_of_places():
    shown = []

    def wants_two(responses):
        shown.append(tuple(responses))
        return f"The most consistent response is Response {responses.index('The answer is 2')}."

    run = think(asking(wants_two, "1", "2", "3", "4", "1"), 5, orders=4)
    assert (run.answer, run.usage.calls) == ("2", 9)
    assert shown[0] == tuple(f"The answer is {value}" for value in "12341")
    assert len(set(shown)) > 1
    assert {tuple(sorted(order)) for order in shown} == {tuple(sorted(shown[0]))}


def test_another_model_may_judge():
    judge = Speaker("The most consistent response is Response 1", name="other")
    run = think(asking(None, "1", "2", "1"), 3, judge=judge)
    assert (run.answer, judge.started) == ("2", 1)


def test_until_the_judge_has_spoken_the_majority_is_the_best_so_far():
    model = asking(lambda responses: "The most consistent response is Response 0", "1", "2", "2", "3")
    run = think(model, 4, budget="4 calls")
    assert (run.status, run.answer) == ("budget", "2")
    assert think(model, 4).answer == "1"


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="orders=0"):
        think(asking(None, "1"), 1, orders=0)


def test_a_response_without_an_answer_cannot_be_picked_however_often():
    verdicts = iter([0, 0, "The answer is 2"])

    def judge(responses):
        wanted = next(verdicts)
        place = responses.index(wanted) if wanted else responses.index("")
        return f"The most consistent response is Response {place}"

    assert think(asking(judge, "", "2", "3", "3"), 4, orders=3).answer == "2"
