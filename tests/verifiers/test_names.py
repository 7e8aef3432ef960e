"""Verifiers by their names, alone and as parameters of strategies and of each other."""

import pytest

import tttlab
from tests.speaker import Speaker, answers
from tttlab.errors import OptionError
from tttlab.strategies import resolve_strategy
from tttlab.types import Verdict
from tttlab.verifiers import resolve_verifier, verifier_names
from tttlab.verifiers.exact_match import ExactMatch
from tttlab.verifiers.multiple_choice import MultipleChoice
from tttlab.verifiers.numeric import Numeric
from tttlab.verifiers.process import Process
from tttlab.verifiers.regular_expression import RegularExpression

QUESTION = "What is 7 times 8?"


@pytest.mark.parametrize("name", verifier_names())
def test_every_verifier_has_its_name(name):
    assert resolve_verifier(name) == type(resolve_verifier(name))()
    assert resolve_verifier(name.replace("_", "-")) == resolve_verifier(name)


@pytest.mark.parametrize(
    ("text", "verifier"),
    [
        ("exact_match", ExactMatch()),
        ("numeric(relative=0.01)", Numeric(relative=0.01)),
        (" numeric( relative = 1, absolute='0.5') ", Numeric(relative=1.0, absolute=0.5)),
        ("exact_match()", ExactMatch()),
        ("multiple_choice(choices=('Rome', 'Paris'))", MultipleChoice(choices=("Rome", "Paris"))),
        ("regular_expression(pattern='5[67]', whole=True)", RegularExpression(pattern="5[67]", whole=True)),
        ("process(aggregation=min, step_verifier=numeric)", Process(aggregation="min", step_verifier=Numeric())),
        (
            "process(step_verifier=numeric(absolute=2), threshold=0.7)",
            Process(step_verifier=Numeric(absolute=2.0), threshold=0.7),
        ),
        ("process(step_verifier=None)", Process()),
    ],
)
def test_parameters_stand_in_brackets_behind_a_name(text, verifier):
    assert resolve_verifier(text) == verifier


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numerc", "no verifier is named 'numerc'; did you mean 'numeric'?"),
        ("numeric(relativ=1)", "numeric has no parameter 'relativ'; did you mean 'relative'?"),
        ("numeric(relative=wide)", "numeric relative is a number (float), not 'wide'"),
        ("numeric(**{})", "numeric has no parameter '**'"),
        ("process(step_verifier=numerc)", "no verifier is named 'numerc'; did you mean 'numeric'?"),
        ("numeric(0.1)", "cannot read the verifier 'numeric(0.1)': write a name, or name(parameter=value)"),
        ("numeric(", "cannot read the verifier 'numeric(': write a name, or name(parameter=value)"),
        ("", "cannot read the verifier ''"),
        ("__import__('os')", "cannot read the verifier"),
    ],
)
def test_what_cannot_be_read_says_why_in_one_line(text, said):
    with pytest.raises(OptionError) as refused:
        resolve_verifier(text)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_an_object_and_a_function_are_verifiers_as_they_are():
    def judge(problem, candidate, think):
        return Verdict(score=1.0)

    assert resolve_verifier(judge) is judge
    with pytest.raises(OptionError, match="5 is not a verifier"):
        resolve_verifier(5)


@pytest.mark.parametrize("strategy", ["best_of_n", "reflexion", "beam_search", "mcts"])
def test_a_strategy_takes_a_verifier_by_name(strategy):
    assert resolve_strategy(strategy, {"verifier": "numeric(absolute=1)"}).verifier == Numeric(absolute=1.0)
    assert resolve_strategy(strategy, {"verifier": "none"}).verifier is None
    with pytest.raises(OptionError, match="no verifier is named 'nummeric'; did you mean 'numeric'"):
        resolve_strategy(strategy, {"verifier": "nummeric"})


def test_a_run_with_a_verifier_by_name_is_the_run_with_the_verifier():
    def run(verifier):
        model = Speaker(answers("54", "56", "57"))
        return tttlab.think(
            QUESTION, strategy="best_of_n", samples=3, verifier=verifier, reference="56", model=model, replay="off"
        )

    named, given = run("numeric(relative=0)"), run(Numeric(relative=0.0))
    assert (named.answer, named.parameters) == (given.answer, given.parameters) == ("56", given.parameters)
    names = tttlab.connect().execute("SELECT DISTINCT verifier FROM verdicts").fetchall()
    assert names == [("numeric",)]
