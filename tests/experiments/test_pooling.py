"""A pool holds what the store recorded of independent samples."""

import numpy as np
import pytest

import tttlab
from tttlab.answers import Check
from tttlab.errors import OptionError
from tttlab.experiments.pool import ABSTAINED, NO_SAMPLE
from tttlab.experiments.pooling import pool_of
from tttlab.types import Problem
from tttlab.verifiers.exact_match import ExactMatch


def said(*texts):
    """A model that says these, sample after sample."""
    left = list(texts)
    return tttlab.ScriptedModel(lambda request: left.pop(0))


def asked(prompt, *texts, reference="7", **options):
    return tttlab.think(
        prompt, strategy="self_consistency", samples=len(texts), model=said(*texts), reference=reference, **options
    )


def test_samples_are_there_by_problem_with_what_was_right_and_what_they_cost():
    runs = [asked("3 + 4", "The answer is 7", "The answer is 8", ""), asked("10 - 3", "The answer is 7")]
    pool = pool_of(runs)
    assert len(pool.problems) == 2
    assert pool.counts.tolist() == [3, 1]
    assert pool.samples == 1
    assert [pool.values[0][code] for code in pool.answers[0, :2]] == ["7", "8"]
    assert pool.answers[0, 2] == ABSTAINED
    assert pool.answers[1, 1] == NO_SAMPLE
    assert pool.correct.tolist() == [[True, False, False], [True, False, False]]
    assert pool.costs["calls"][0].tolist() == [1, 1, 1]
    assert np.isnan(pool.costs["calls"][1, 1])
    tokens = tttlab.connect().execute("SELECT sum(tokens) FROM calls").fetchone()[0]
    assert np.nansum(pool.cost("tokens")) == tokens


def test_several_runs_of_a_problem_are_one_row_in_their_order():
    first, second = asked("3 + 4", "The answer is 7", seed=1), asked("3 + 4", "The answer is 9", seed=2)
    assert pool_of([second.id, first.id]).correct.tolist() == [[False, True]]


def test_a_check_says_what_is_right_where_more_than_one_answer_is():
    even = Check("even", 1, lambda answer: int(answer) % 2 == 0)
    run = asked(Problem(prompt="an even number", check=even), "2", "3", "4", reference=None)
    assert pool_of(run).correct.tolist() == [[True, False, True]]
    rows = tttlab.connect().execute('SELECT "check", correct FROM runs').fetchall()
    assert rows == [("even@1", run.correct)]
    assert tttlab.connect().execute("SELECT correct FROM calls ORDER BY ordinal").fetchall() == [
        (True,),
        (False,),
        (True,),
    ]


def test_no_strategy_sees_the_check_and_verifiers_do():
    seen = []

    async def mine(problem, think):
        seen.append(problem.check)

        async def check(whole, candidate, think):
            seen.append(whole.check)

        await think.verify(check, problem, "2")
        think.propose("2")

    even = Check("even", 1, lambda answer: int(answer) % 2 == 0)
    assert tttlab.think(Problem(prompt="an even number", check=even), strategy=mine, model=said("2")).correct
    assert seen == [None, even]


def test_a_check_that_fails_leaves_the_run_and_says_so():
    broken = Check("broken", 1, lambda answer: int(answer) == 2)
    with pytest.warns(UserWarning, match="the check 'broken' failed on 'two': ValueError"):
        run = tttlab.think(Problem(prompt="two?", check=broken), model=said("two"))
    assert (run.status, run.answer, run.correct) == ("ok", "two", None)


def test_what_a_verifier_said_of_a_sample_is_a_score_of_it():
    run = tttlab.think(
        "3 + 4", strategy="best_of_n", samples=3, verifier=ExactMatch(), reference="7", model=said("7", "8", "7")
    )
    assert pool_of(run).score("exact_match").tolist() == [[1, 0, 1]]
    with pytest.raises(OptionError, match="no score 'exact_mach'; did you mean 'exact_match'"):
        pool_of(run).score("exact_mach")


def test_the_runs_of_a_sweep_are_found_by_its_label():
    asked("3 + 4", "The answer is 7", labels={"sweep": "mine", "size": 1})
    asked("3 + 4", "The answer is 8", labels={"sweep": "other"})
    assert pool_of(sweep="mine").correct.tolist() == [[True]]
    with pytest.raises(OptionError, match="no run with the label sweep='their'"):
        pool_of(sweep="their")


def test_parts_of_a_pool_keep_its_shape():
    pool = pool_of([asked("3 + 4", "7", "8"), asked("10 - 3", "7")])
    assert pool.first(1).correct.tolist() == [[True], [True]]
    assert pool.of_problems([1, 1]).answers.tolist() == [[0], [0]]
    with pytest.raises(OptionError, match="has 1 samples, and not 2"):
        pool.first(2)


def test_samples_that_nothing_judges_are_refused():
    run = asked("3 + 4", "7", reference=None)
    with pytest.raises(OptionError, match="needs a reference, or a check"):
        pool_of(run)
