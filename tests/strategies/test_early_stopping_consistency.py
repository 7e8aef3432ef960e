"""Early-stopping self-consistency against the loop of the paper's published code."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError, RunFailed

QUESTION = "What is 7 times 8?"


def think(*said, **options):
    reply = answers(*said)

    def spoken(request):
        text = reply(request)
        return "" if text == "The answer is " else text

    return tttlab.think(QUESTION, strategy="early_stopping_consistency", model=Speaker(spoken), **options)


def published(said, window, most):
    """Windows of `window` until one holds a single answer, which is returned; else the most common of all."""
    for start in range(0, most - window + 1, window):
        values = said[start : start + window]
        if "" not in values and values.count(values[0]) == window:
            return start + window, values[0]
    counts = Counter(value for value in said[:most] if value).most_common(1)
    return most, counts[0][0] if counts else None


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from(["1", "1", "2", ""]), min_size=14, max_size=14),
    st.integers(1, 4),
    st.sampled_from([12, 14]),
)
def test_it_stops_and_answers_as_the_published_code_does(said, window, most):
    run = think(*said, window=window, max_samples=most)
    assert (run.usage.calls, run.answer) == published(said, window, most)


def test_the_answer_is_that_of_the_unanimous_window_and_not_the_majority_so_far():
    run = think("1", "1", "1", "1", "3", *["2"] * 5, *["1"] * 5)
    assert (run.answer, run.usage.calls, run.confidence) == ("2", 10, 0.5)
    run = think("1", "1", "1", "2", "2", "2", window=2, max_samples=6)
    assert (run.answer, run.usage.calls) == ("1", 2)
    run = think("1", "3", "1", "4", "1", "5", "2", "2", window=2, max_samples=8)
    assert (run.answer, run.confidence, run.curve[-2].value) == ("2", 0.25, "1")


def test_without_a_unanimous_window_the_majority_of_all_answers():
    run = think("2", "1", "3", "1", "1", "2", max_samples=6, window=3)
    assert (run.answer, run.usage.calls, run.confidence) == ("1", 6, 0.5)


def test_a_window_cut_short_is_not_a_window():
    run = think("1", "2", "2", "1", "3", "3", "3", window=4, max_samples=7)
    assert run.answer == "3"
    run = think("1", "1", "2", "1", "3", "3", window=4, max_samples=6)
    assert run.answer == "1"


def test_abstentions_are_not_unanimous_and_never_win():
    assert (think("", window=2, max_samples=6).answer, think("", window=2, max_samples=6).usage.calls) == (None, 6)
    assert (think("", "1", window=2, max_samples=6).answer, think("", "1", window=2).usage.calls) == ("1", 40)


def test_a_failed_call_leaves_its_window_undecided_and_all_failed_is_a_failed_run():
    run = think("1", fault(), "1", "1", window=2, max_samples=8)
    assert (run.status, run.answer, run.usage.calls) == ("ok", "1", 4)
    with pytest.raises(RunFailed, match="the line went dead"):
        think(fault(), window=2, max_samples=4)


def test_a_budget_keeps_the_leader_so_far():
    run = think("1", "2", "2", budget="7 calls")
    assert (run.status, run.answer, len(run.curve)) == ("budget", "2", 7)


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="window=0"):
        think("1", window=0)
