"""Steps are scored one by one and put together as declared."""

import pytest

import tttlab
from tttlab import Verdict
from tttlab.errors import OptionError
from tttlab.types import Problem
from tttlab.verifiers.process import Process

THREE = "First, 7 * 8.\n\nThat is 56.\n\n\n\nThe answer is 56."


def verdict(verifier, candidate=THREE, model="Step 1: 9\nStep 2: 5\nStep 3: 8"):
    found = []

    async def ask(problem, think):
        found.append(await think.verify(verifier, problem, candidate))
        think.propose("done")

    run = tttlab.think(Problem(prompt="7 * 8?", reference="secret"), strategy=ask, model=tttlab.ScriptedModel(model))
    return found[0], run


@pytest.mark.parametrize(
    ("aggregation", "score"), [("min", 0.5), ("prod", 0.9 * 0.5 * 0.8), ("last", 0.8), ("mean", 2.2 / 3)]
)
def test_the_declared_aggregation_is_the_one_that_is_used(aggregation, score):
    found, run = verdict(Process(aggregation=aggregation))
    assert round(found.score, 9) == round(score, 9)
    assert found.explanation == f"{aggregation} of 0.9, 0.5, 0.8"
    assert run.usage.calls == 1


@pytest.mark.parametrize(
    "reply", ["Step 1: 9\nStep 2: 5", "splendid", "", "Step 1: 9\nStep 2: 5\nStep 3: 80", "Step 3: -4"]
)
def test_a_step_without_a_readable_score_gives_an_error_and_no_guess(reply):
    found, _ = verdict(Process(), model=reply)
    assert (found.score, found.passed) == (None, None)
    assert "3" in found.error


def test_scores_are_read_in_the_ways_in_which_models_write_them():
    found, _ = verdict(Process(), model="**Step 1:** 9/10, good\n- step 2 is 5.5 of 10\nSTEP 3 - 10.")
    assert found.explanation == "last of 0.9, 0.55, 1"


def test_a_step_verifier_is_asked_about_each_step_with_those_before_it():
    seen = []

    async def by_length(problem, candidate, think):
        seen.append(candidate)
        return Verdict(score=1 / (1 + candidate.count("\n\n")))

    found, run = verdict(Process(aggregation="prod", step_verifier=by_length))
    assert seen == ["First, 7 * 8.", "First, 7 * 8.\n\nThat is 56.", THREE.replace("\n\n\n\n", "\n\n")]
    assert round(found.score, 9) == round(1 / 6, 9)
    assert run.usage.calls == 0
    assert tttlab.connect().execute("SELECT count(*) FROM verdicts").fetchone() == (4,)


def test_a_step_verifier_that_raises_gives_an_error_and_the_run_goes_on():
    async def broken(problem, candidate, think):
        if "56" in candidate:
            raise ValueError("no")
        return Verdict(score=1.0)

    found, run = verdict(Process(step_verifier=broken))
    assert (found.score, found.error) == (None, "no score for the steps 2, 3")
    assert run.answer == "done"


def test_no_model_is_shown_the_reference():
    asked = []

    def reply(request):
        asked.append(request.messages[0].text)
        return "Step 1: 9\nStep 2: 5\nStep 3: 8"

    verdict(Process(), model=reply)
    assert "secret" not in asked[0]
    assert "<step_3>\nThe answer is 56.\n</step_3>" in asked[0]


def test_a_text_without_steps_scores_nothing_and_asks_nobody():
    found, run = verdict(Process(), candidate=" \n\n ")
    assert (found.score, found.passed, run.usage.calls) == (0.0, False, 0)


def test_an_aggregation_that_there_is_not_is_refused():
    with pytest.raises(OptionError, match="'prod'"):
        Process(aggregation="product")
