"""Reflexion against an independent statement of it (Shinn et al., 2023, algorithm 1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Verdict
from tttlab.errors import RunFailed
from tttlab.strategies.reflexion import Reflexion
from tttlab.verifiers.exact_match import ExactMatch
from tttlab.verifiers.numeric import Numeric

QUESTION = "What is 7 times 8?"


def trials_of(answers, most, memory, right):
    """The answer of each trial, and the numbers of the reflections that each was given."""
    tried, notes = [], []
    for number in range(most):
        tried.append((answers[number], notes[len(notes) - memory :] if memory < len(notes) else list(notes)))
        if answers[number] == right:
            break
        notes.append(number)
    return tried


class Learner:
    """Tries its answers in turn, numbers its reflections, and says `judged` of itself."""

    def __init__(self, answers, judged="no"):
        self.answers, self.judged = answers, judged
        self.trials, self.reflected = [], []
        self.model = Speaker(self.reply)

    def reply(self, request):
        [message] = request.messages
        if "Is the proposed answer right?" in message.text:
            return self.judged
        if "say what went wrong" in message.text:
            self.reflected.append(message.text)
            return f"note <{len(self.reflected) - 1}>"
        self.trials.append(message.text)
        answer = self.answers[len(self.trials) - 1]
        return f"Answer: {answer}" if answer and isinstance(answer, str) else answer


def think(learner, verifier=None, **parameters):
    return tttlab.think(
        QUESTION, strategy=Reflexion(verifier=verifier, **parameters), model=learner.model, reference="56"
    )


def states(run):
    rows = tttlab.connect().execute(
        "SELECT attributes->>'$.\"tttlab.branch.state\"' FROM spans WHERE run_id = ? AND name LIKE 'branch%' "
        "ORDER BY start_ns",
        [run.id],
    )
    return [state for (state,) in rows.fetchall()]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["52", "54", "56"]), min_size=5, max_size=5), st.integers(1, 5), st.integers(0, 5))
def test_it_tries_and_remembers_as_the_paper_does(answers, most, memory):
    learner = Learner(answers)
    run = think(learner, ExactMatch(), trials=most, memory=memory)
    expected = trials_of(answers, most, memory, "56")
    given_notes = [[number for number in range(5) if f"note <{number}>" in trial] for trial in learner.trials]
    assert given_notes == [notes for _, notes in expected]
    assert run.answer == expected[-1][0]
    reflections = len(expected) - (run.correct or len(expected) == most)
    assert run.usage.calls == len(expected) + reflections


@pytest.mark.parametrize("explain", [False, True])
def test_the_model_is_told_the_verdict_and_its_explanation_only_if_asked_for(explain):
    learner = Learner(["52", "54", "50"])
    think(learner, Numeric(), explain=explain)
    everything = "\n".join(learner.trials + learner.reflected)
    assert "it is wrong." in learner.reflected[0]
    assert ("52 is not it" in everything) is explain
    assert "56" not in everything


def test_each_verdict_is_recorded_and_its_score_is_the_confidence():
    run = think(Learner(["52", "56"]), ExactMatch())
    assert [(point.value, point.confidence) for point in run.curve] == [
        ("52", None),
        ("52", 0.0),
        ("56", None),
        ("56", 1.0),
    ]
    assert states(run) == ["expanded", "selected"]


def test_a_trial_without_an_answer_is_no_candidate_and_the_earlier_one_stands():
    asked = []

    async def strict(problem, candidate, think):
        asked.append(candidate)
        return Verdict(score=None, passed=False)

    learner = Learner(["52", "", "54"])
    run = think(learner, strict, trials=2)
    assert (run.answer, asked, states(run)) == ("52", ["52"], ["selected", "pruned"])
    silent = Learner(["", "54"])
    assert think(silent, strict, trials=2).answer == "54"
    assert "no answer can be found in it" in silent.reflected[0]


def test_a_verifier_that_raises_is_no_verdict_and_the_trials_go_on():
    async def broken(problem, candidate, think):
        raise ValueError(candidate)

    learner = Learner(["52", "54", "50"])
    run = think(learner, broken)
    assert (run.status, run.answer, len(learner.trials)) == ("ok", "50", 3)
    assert "it is not known to be right" in learner.reflected[0]


@pytest.mark.parametrize(
    ("judged", "tried"), [("Yes.", 1), ("**no**", 3), ("The answer is 56", 3), ("Yesterday", 3), ("", 3)]
)
def test_without_a_verifier_the_model_judges_itself(judged, tried):
    learner = Learner(["52", "54", "50"], judged)
    run = think(learner)
    assert len(learner.trials) == tried
    roles = tttlab.connect().execute("SELECT role, count(*) FROM calls WHERE run_id = ? GROUP BY role", [run.id])
    assert dict(roles.fetchall()).get("judge") == tried


def test_a_later_trial_that_fails_ends_it_and_a_first_one_fails_the_run():
    run = think(Learner(["52", fault(), "56"]), ExactMatch())
    assert (run.status, run.answer, states(run)) == ("ok", "52", ["selected", "failed"])
    with pytest.raises(RunFailed, match="the line went dead"):
        think(Learner([fault()]), ExactMatch())


def test_a_budget_that_ends_it_keeps_the_latest_answer():
    learner = Learner(["52", "54", "56"])
    run = tttlab.think(QUESTION, strategy=Reflexion(verifier=ExactMatch()), model=learner.model, budget="3 calls")
    assert (run.status, run.answer) == ("budget", "54")
