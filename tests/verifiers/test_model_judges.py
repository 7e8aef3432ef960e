"""Verifiers that judge by a model: its log-probabilities, its own word, or a grade."""

import math
import time

import pytest

import tttlab
from tests.speaker import Speaker
from tests.verifiers.asking import verdict, verdicts
from tttlab.errors import OptionError
from tttlab.events import Alternatives, Finish, TokenDelta
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.types import Capabilities
from tttlab.verifiers.confidence import Confidence
from tttlab.verifiers.llm_judge import LlmJudge
from tttlab.verifiers.self_evaluation import SelfEvaluation


def in_turn(*replies):
    said = iter(replies)
    return lambda request: next(said)


class Hesitant:
    """Says its tokens one by one, each with the alternatives given for it, as a mapping of texts to probabilities."""

    name = "hesitant"
    can = Capabilities(seed=True, logprobs=True)

    def __init__(self, *tokens):
        self.tokens = tokens

    async def stream(self, request):
        for alternatives in self.tokens:
            texts = tuple(alternatives)
            logprobs = tuple(math.log(alternatives[text]) for text in texts)
            top = Alternatives((None,) * len(texts), texts, logprobs)
            yield TokenDelta(texts[0], time.time_ns(), None, logprobs[0], top)
        yield Finish("stop")


def test_confidence_is_the_mean_over_the_completions_that_say_the_candidate():
    model = ScriptedModel(
        in_turn(
            Reply(text="The answer is 56", logprob=-0.1),
            Reply(text="The answer is 54", logprob=-2.0),
            Reply(text="It is 56 I think", logprob=-9.0),
            Reply(text="So the answer is 56", logprob=-0.3),
        )
    )
    by_answer, by_text, other, unknown = verdicts(
        Confidence(), "56", "The answer is 54", "54", "99", model=model, sampled=4
    )
    assert by_answer.score == pytest.approx(math.exp(-0.2))
    assert by_answer.passed
    assert by_text.score == other.score == pytest.approx(math.exp(-2.0))
    assert not other.passed
    assert (unknown.score, unknown.passed) == (None, None)
    assert "no completion" in unknown.error


@pytest.mark.parametrize("verifier", [Confidence(), SelfEvaluation()])
def test_a_model_without_log_probabilities_is_refused_before_anything_is_spent(verifier):
    model = ScriptedModel(can=Capabilities(seed=True))
    with pytest.raises(OptionError, match="log-probabilities"):
        tttlab.think("Ask", strategy="best_of_n", verifier=verifier, model=model)
    assert model.started == 0


def test_self_evaluation_is_the_share_of_true_among_the_letters():
    found = verdict(SelfEvaluation(), "56", model=Hesitant({"A": 0.6, "B": 0.2, "The": 0.2}))
    assert (found.score, found.passed) == (pytest.approx(0.75), True)
    found = verdict(SelfEvaluation(), "56", model=Hesitant({"(": 1.0}, {" B": 0.9, " A": 0.05, "A": 0.05}))
    assert (found.score, found.passed) == (pytest.approx(0.1), False)


@pytest.mark.parametrize(("reply", "score"), [("(B) False", 0.0), ("True", 1.0), ("A.", 1.0)])
def test_self_evaluation_reads_a_letter_where_no_alternative_is_one(reply, score):
    assert verdict(SelfEvaluation(), "56", model=Hesitant({reply: 1.0})).score == score


@pytest.mark.parametrize("reply", ["The answer is 56", "", "Absolutely"])
def test_self_evaluation_without_a_letter_is_an_error(reply):
    found = verdict(SelfEvaluation(), "56", model=Speaker(reply))
    assert (found.score, found.passed) == (None, None)
    assert "neither A nor B" in found.error


def test_a_judges_grade_is_scaled():
    scores = [verdict(LlmJudge(), "56", model=Speaker(f"Well. Score: {grade}")).score for grade in (1, 5.5, 10)]
    assert scores == [0.0, 0.5, 1.0]
    assert verdict(LlmJudge(scale=2), "56", model=Speaker("Score: 2")).passed
    assert verdict(LlmJudge(), "56", model=Speaker("I said Score: 3, no: **Score:** 9/10")).score == pytest.approx(
        8 / 9
    )


@pytest.mark.parametrize(
    "reply", ["", "It is right.", "Score: 11", "Score: 0", "Score: high", "<script>alert(1)</script>"]
)
def test_a_judge_that_gives_no_grade_is_an_error_and_the_run_goes_on(reply):
    found = verdict(LlmJudge(), "56", model=Speaker(reply))
    assert (found.score, found.passed) == (None, None)
    assert "no score" in found.error


def test_a_judge_sees_the_reference_only_where_it_is_told_to():
    model = Speaker("Score: 10")
    verdict(LlmJudge(), "54", model=model, reference="fifty-six")
    assert "fifty-six" not in model.requests[-1].messages[0].text
    verdict(LlmJudge(see_reference=True), "54", model=model, reference="fifty-six")
    assert "fifty-six" in model.requests[-1].messages[0].text
    assert "no reference" in verdict(LlmJudge(see_reference=True), "54", model=model).error


def test_a_judge_that_sees_the_reference_does_not_pass_it_on():
    for reply in ("It should be fifty-six. Score: 1", "It should be fifty-six."):
        found = verdict(LlmJudge(see_reference=True), "54", model=Speaker(reply), reference="fifty-six")
        assert "fifty-six" not in f"{found.explanation} {found.error}"
        assert "fifty-six" in str(verdict(LlmJudge(), "54", model=Speaker(reply), reference="fifty-six"))


def test_another_model_may_judge_and_its_spend_is_the_runs():
    judge, model = Speaker("Score: 10", name="judge"), Speaker()
    verdict(LlmJudge(model=judge), "56", model=model, sampled=1)
    rows = tttlab.connect().execute("SELECT model, role, output_tokens FROM calls ORDER BY delivered").fetchall()
    assert rows == [("speaker", "generator", 4), ("judge", "judge", 2)]


def compared(judge, first="56", second="54", verifier=None):
    found = []

    async def ask(problem, think):
        found.append(await (verifier or LlmJudge()).compare(problem, first, second, think))

    tttlab.think("What is 7 times 8?", strategy=ask, model=judge)
    return found[0]


def prefers(candidate):
    """A judge that says which place holds the candidate."""

    def reply(request):
        shown = request.messages[0].text
        return "Better: A" if shown.index(candidate) < shown.index("</answer_a>") else "Better: B"

    return Speaker(reply)


@pytest.mark.parametrize(
    ("judge", "share"),
    [
        (prefers("56"), 1.0),
        (prefers("54"), 0.0),
        (Speaker("Better: A"), 0.5),
        (Speaker("Better: equal"), 0.5),
        (Speaker("Better: **B**"), 0.5),
        (Speaker("I like both"), None),
        (Speaker(in_turn("Better: A", "hm")), 1.0),
        (Speaker(in_turn("hm", "Better: A")), 0.0),
        (Speaker(in_turn("Better: A", "Better: equal")), 0.75),
    ],
)
def test_two_candidates_are_compared_in_both_orders(judge, share):
    assert compared(judge) == share
    assert judge.started == 2
