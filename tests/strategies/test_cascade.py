"""A cascade takes the steps that it should, and no more of them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError, RunFailed
from tttlab.strategies.direct import Direct
from tttlab.strategies.self_consistency import SelfConsistency

QUESTION = "What is 7 times 8?"


def saying(*said, name="cheap"):
    """A model whose calls give these answers in the order in which they are started."""
    rest = iter(said)

    def spoken(request):
        value = next(rest)
        return value if isinstance(value, Exception) else f"The answer is {value}" if value else ""

    return Speaker(spoken, name=name)


def think(model, **options):
    return tttlab.think(QUESTION, strategy="cascade", model=model, **options)


def by_hand(stream, sizes, threshold):
    """Samples up to each size, until the commonest answer's share of them reaches the threshold."""
    for size in sizes:
        seen = stream[:size]
        counts = Counter(value for value in seen if value).most_common(1)
        if counts and counts[0][1] / size >= threshold:
            break
    return (counts[0][0] if counts else None), size


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(["1", "2", ""]), min_size=8, max_size=8),
    st.sampled_from([(2,), (1, 4), (2, 5, 8)]),
    st.sampled_from([0.5, 0.8, 1.0]),
)
def test_it_samples_more_only_while_the_answers_disagree(stream, sizes, threshold):
    run = think(saying(*stream), steps=sizes, threshold=threshold)
    assert (run.answer, run.usage.calls) == by_hand(stream, sizes, threshold)


def test_a_dearer_model_is_asked_only_where_the_cheap_one_disagrees_with_itself():
    dear = saying("3", "3", "3", name="dear")
    run = think(saying("1", "1", "1"), steps=(3, dear))
    assert (run.answer, dear.started) == ("1", 0)
    run = think(saying("1", "2", "1"), steps=(3, dear))
    assert (run.answer, run.confidence, dear.started) == ("3", 1.0, 3)
    query = (
        """SELECT attributes ->> '$."tttlab.branch.asked"', state, score FROM branches WHERE run_id = ? ORDER BY 1"""
    )
    rows = tttlab.connect().execute(query, [run.id]).fetchall()
    assert [(asked, state) for asked, state, _ in rows] == [("3 samples", "pruned"), ("dear", "selected")]
    assert [round(score, 3) for *_, score in rows] == [0.667, 1.0]


def test_a_model_may_be_named():
    assert think(saying("1", "2", "3"), steps=(3, "scripted"), samples=1).answer == "56"


def test_the_last_answer_stands_where_none_is_trusted():
    assert think(saying("1", "2"), steps=(2, saying("3", "4", name="dear")), samples=2).answer == "3"
    assert think(saying("1", "2"), steps=(2, saying("", "", name="dear")), samples=2).answer == "1"


def test_steps_may_be_strategies_and_one_without_confidence_is_trusted_when_an_earlier_step_agrees():
    third = SelfConsistency(samples=5)
    run = think(saying("1", "1"), steps=(Direct(), Direct(), third))
    assert (run.answer, run.usage.calls) == ("1", 2)
    run = think(saying("1", "2", *["3"] * 5), steps=(Direct(), Direct(), third))
    assert (run.answer, run.usage.calls, run.confidence) == ("3", 7, 1.0)
    run = think(saying("1", *["1", "1", "1", "2"], *["2"]), steps=(Direct(), SelfConsistency(samples=4), Direct()))
    assert (run.answer, run.usage.calls) == ("2", 6)


def test_each_step_may_be_a_strategy_on_a_model_of_its_own():
    cheap, dear = saying("1", "2", "1"), saying("3", "3", "3", name="dear")
    steps = ((SelfConsistency(samples=3), cheap), (SelfConsistency(samples=3), dear), (Direct(), "scripted"))
    own = saying("9", name="own")
    run = think(own, steps=steps)
    assert (run.answer, run.confidence) == ("3", 1.0)
    assert (own.started, cheap.started, dear.started) == (0, 3, 3)
    query = "SELECT attributes ->> '$.\"tttlab.branch.asked\"' FROM branches WHERE run_id = ? AND depth = 1 ORDER BY 1"
    asked = tttlab.connect().execute(query, [run.id]).fetchall()
    assert asked == [("SelfConsistency on cheap",), ("SelfConsistency on dear",)]
    assert run.parameters["steps"][1][1] == "dear"
    assert think(own, steps=steps[2:]).answer == "56"


def test_a_step_that_fails_is_passed_over_and_all_failed_is_a_failed_run():
    run = think(saying(fault(), fault()), steps=(2, saying("3", "3", name="dear")), samples=2)
    assert (run.status, run.answer) == ("ok", "3")
    assert tttlab.connect().execute("SELECT state FROM branches ORDER BY path").fetchall() == [
        ("failed",),
        ("selected",),
    ]
    with pytest.raises(RunFailed, match="the first line went dead"):
        think(saying(fault("the first line went dead"), fault(), fault()), steps=(1, 2))


def test_no_answer_anywhere_is_no_answer():
    run = think(saying(*[""] * 4), steps=(2, 4))
    assert (run.status, run.answer, run.confidence) == ("ok", None, 0.0)


def test_a_budget_keeps_the_best_so_far_and_an_unfinished_dearer_step_does_not_replace_it():
    run = think(saying("1", "1", "2"), steps=(3, saying(*["9"] * 8, name="dear")), samples=8, budget="6 calls")
    assert (run.status, run.answer) == ("budget", "1")
    run = think(saying("1", "2", "2", "2", "1"), steps=(2, 5), budget="4 calls")
    assert (run.status, run.answer, run.confidence) == ("budget", "2", 0.75)
    run = think(saying("1", "2", *["1"] * 6), steps=(2, saying("3", "4", name="dear"), 8), samples=2, budget="7 calls")
    assert (run.status, run.answer) == ("budget", "3")


def test_nothing_is_proposed_twice():
    run = think(saying("1", "2", "2", "2"), steps=(2, 4))
    assert [(point.value, point.confidence) for point in run.curve] == [("1", 1), ("1", 0.5), ("2", 2 / 3), ("2", 0.75)]


def test_a_run_of_a_cascade_of_cascades():
    inner = SelfConsistency(samples=2)
    run = tttlab.think(
        QUESTION,
        strategy="best_of_n",
        inner=tttlab.strategies.strategy_class("cascade")(steps=(inner, 4)),
        samples=2,
        model=Speaker(answers("56")),
    )
    assert (run.answer, run.usage.calls) == ("56", 4)


@pytest.mark.parametrize("steps", [(), "3,8", (3, 0), (3, 2.5), [3], ((3, "scripted"),), ((Direct(), 3),)])
def test_steps_that_cannot_be_taken_are_refused(steps):
    with pytest.raises(OptionError):
        think(saying("1"), steps=steps)
