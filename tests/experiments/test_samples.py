"""Samples and tasks: from problems, through the store, to what an estimator takes."""

import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError
from tttlab.experiments.samples import samples_of
from tttlab.experiments.tasks.products import products


def test_products_are_different_reproducible_and_right():
    drawn = products(60, seed=3)
    assert len({problem.prompt for problem in drawn}) == 60
    assert drawn == products(60, seed=3)
    assert drawn != products(60, seed=4)
    for problem in drawn:
        first, second = problem.prompt.split(" * ")
        assert int(first) * int(second) == int(problem.reference)
        assert 0 <= int(first) <= 9
        assert problem.extract(f"so it is {problem.reference}") == problem.reference


def test_more_products_than_there_are_is_refused():
    with pytest.raises(OptionError, match="ask for fewer"):
        products(101, seed=0)


def test_what_samples_said_comes_back_by_problem():
    said = [
        tttlab.think(prompt, strategy="self_consistency", samples=3, model=Speaker(replies), reference="56")
        for prompt, replies in (("7 * 8", answers("56", "54", fault())), ("8 * 7", lambda request: ""))
    ]
    first, second = samples_of([run.id for run in said], tttlab.connect())
    assert (first.answers, first.correct) == (("56", "54"), (True, False))
    assert first.mean_logprobs == (-0.5, -0.5)
    assert (second.answers, second.correct) == ((None,) * 3, (False,) * 3)


def test_runs_without_samples_or_a_reference_are_refused():
    with pytest.raises(OptionError, match="no finished samples"):
        samples_of(["nothing"], tttlab.connect())
    run = tttlab.think("7 * 8", model=Speaker())
    with pytest.raises(OptionError, match="has no reference"):
        samples_of([run.id], tttlab.connect())


def test_a_judge_says_what_is_right_where_many_answers_are():
    run = tttlab.think("7 * 8", strategy="self_consistency", samples=2, model=Speaker(answers("56", "57")))
    [found] = samples_of([run.id], tttlab.connect(), judge=lambda prompt, answer: prompt == "7 * 8" and answer == "57")
    assert (found.answers, found.correct) == (("56", "57"), (False, True))
    silent = tttlab.think("8 * 7", strategy="self_consistency", samples=2, model=Speaker(lambda request: ""))
    [found] = samples_of([silent.id], tttlab.connect(), judge=lambda prompt, answer: True)
    assert found.correct == (False, False)
