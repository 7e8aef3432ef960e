"""The parameters of a strategy that is a plain function are what it takes by keyword."""

from functools import partial

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError
from tttlab.naming import name_of, parameters_of
from tttlab.protocols import Verifier
from tttlab.strategies import resolve_strategy
from tttlab.verifiers.confidence import Confidence
from tttlab.verifiers.numeric import Numeric

QUESTION = "What is 7 times 8?"


async def mine(problem, think, n=3, *, hint: str = "", strict=False, verifier: Verifier | None = None):
    """A function as users write it."""
    await think.complete(f"{problem.prompt}{hint}", n=n)
    return think.propose(f"{n} {hint} {strict} {verifier}")


def think(strategy=mine, model=None, **parameters):
    return tttlab.think(QUESTION, strategy=strategy, model=model or Speaker(), **parameters)


def test_they_are_bound_and_recorded_in_the_types_of_their_defaults():
    run = think(n="2", strict="true", hint="!", verifier="numeric(absolute=1)")
    assert (run.strategy, run.usage.calls) == ("mine", 2)
    assert run.answer == "2 ! True Numeric(relative=1e-09, absolute=1.0)"
    numeric = {"name": "numeric", "relative": 1e-9, "absolute": 1.0}
    assert run.parameters == {"n": 2, "hint": "!", "strict": True, "verifier": numeric}
    recorded = "SELECT attributes ->> '$.\"tttlab.strategy.parameters\".n' FROM spans WHERE name LIKE 'invoke%'"
    assert tttlab.connect().execute(recorded).fetchall() == [("2",)]


def test_without_any_given_the_defaults_are_its_parameters():
    run = think()
    assert run.usage.calls == 3
    assert run.parameters == {"n": 3, "hint": "", "strict": False, "verifier": None}


def test_runs_with_other_parameters_are_not_replayed_from_each_other():
    model = Speaker()
    assert [think(model=model, n=n).usage.calls for n in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rounds": 2}, "mine has no parameter 'rounds'; there are: hint, n, strict, verifier"),
        ({"hints": "x"}, "mine has no parameter 'hints'; did you mean 'hint'?"),
        ({"think": 2}, "mine has no parameter 'think'"),
        ({"n": "few"}, "mine n is a number (int), not 'few'"),
        ({"n": 2.5}, "mine n is a number (int), not 2.5"),
        ({"strict": "maybe"}, "mine strict is true or false, not 'maybe'"),
        ({"verifier": "numerc"}, "no verifier is named 'numerc'; did you mean 'numeric'?"),
    ],
)
def test_what_it_does_not_take_is_told_before_anything_is_spent(given, said):
    model = Speaker()
    with pytest.raises(OptionError) as refused:
        think(model=model, **given)
    assert str(refused.value).startswith(said)
    assert model.started == 0


def test_a_parameter_that_reads_like_an_option_of_a_run_is_the_functions():
    async def seeded(problem, think, seeds=3):
        return think.propose(str(seeds))

    assert think(seeded, seeds=4).answer == "4"
    with pytest.raises(OptionError, match="no parameter of seeded is named 'sedes'; did you mean 'seeds' or 'seed'"):
        think(seeded, sedes=4)


def test_one_that_must_be_given_is_asked_for():
    async def needing(problem, think, *, rounds: int):
        return think.propose(str(rounds))

    with pytest.raises(OptionError, match="needing needs a value for rounds"):
        think(needing)
    assert think(needing, rounds="4").answer == "4"


def test_a_function_without_parameters_and_an_object_take_none():
    async def bare(problem, think):
        return think.propose("said")

    for strategy in (bare, resolve_strategy("direct", {})):
        with pytest.raises(OptionError, match=r"parameters \(zzz\) go with a strategy's name"):
            think(strategy, zzz=1)
    assert think(bare).parameters == {}


def test_a_function_that_is_bound_already_keeps_its_name_and_can_be_bound_again():
    bound = partial(mine, n=1)
    assert (name_of(bound), parameters_of(bound)["n"]) == ("mine", 1)
    run = think(bound, hint="?")
    assert (run.strategy, run.usage.calls, run.parameters["hint"]) == ("mine", 1, "?")


def test_what_a_bound_verifier_needs_is_checked_before_anything_is_spent():
    mute = Speaker()
    mute.can = tttlab.types.Capabilities(seed=True)
    with pytest.raises(OptionError, match="confidence needs a model that can give log-probabilities"):
        think(model=mute, verifier=Confidence())
    assert mute.started == 0
    assert think(model=mute, verifier=Numeric()).status == "ok"
