"""`think` and `athink` show their options, know them when they are misspelt, and say what became of a stopped run."""

import inspect
import signal
import threading

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.models.scripted import Reply
from tttlab.plan import plan
from tttlab.portal import Interrupted

QUICK = tttlab.ScriptedModel("The answer is 56.")


def keywords(function):
    return {
        name: each for name, each in inspect.signature(function).parameters.items() if each.kind is each.KEYWORD_ONLY
    }


@pytest.mark.parametrize("function", [tttlab.think, tttlab.athink])
def test_help_and_completion_see_every_option_of_a_run(function):
    shown = keywords(function)
    for name, option in keywords(plan).items():
        assert (name, shown[name].default, shown[name].annotation) == (name, option.default, option.annotation)
    assert inspect.signature(function).parameters["parameters"].kind is inspect.Parameter.VAR_KEYWORD


def test_the_help_of_think_explains_every_option():
    assert [name for name in keywords(tttlab.think) if f"`{name}`" not in tttlab.think.__doc__] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"bugdet": "3 calls"},
            "no option and no parameter of direct is named 'bugdet'; did you mean 'budget'? direct has: max_",
        ),
        (
            {"strategy": "self_consistency", "modle": "scripted", "samples": 2},
            "no option and no parameter of self_consistency is named 'modle'; did you mean 'model' or 'samples'?",
        ),
        (
            {"strategy": "self_consistency", "sampels": 2},
            "self_consistency has no parameter 'sampels'; did you mean 'sam",
        ),
        ({"Seed": 3}, "no option and no parameter of direct is named 'Seed'; did you mean 'seed'?"),
    ],
)
def test_a_misspelt_option_names_the_nearest_option_and_parameter(given, said):
    with pytest.raises(OptionError) as refused:
        tttlab.think("7 * 8?", **{"model": QUICK, **given})
    assert str(refused.value).startswith(said)


def test_the_nearer_of_an_option_and_a_parameter_comes_first(monkeypatch):
    monkeypatch.setenv("TTTLAB_STRATEGY", "universal_self_consistency")
    with pytest.raises(OptionError, match=r"is named 'judges'; did you mean 'judge' or 'budget'"):
        tttlab.think("7 * 8?", model=QUICK, judges=3)


def test_an_option_misspelt_beside_a_strategy_of_ones_own_is_told_too():
    async def mine(problem, think):
        return think.propose("56")

    with pytest.raises(OptionError, match="there is no option 'bugdet'; did you mean 'budget'"):
        tttlab.think("7 * 8?", model=QUICK, strategy=mine, bugdet="3 calls")
    with pytest.raises(OptionError, match=r"parameters \(zzz\) go with a strategy's name"):
        tttlab.think("7 * 8?", model=QUICK, strategy=mine, zzz=3)


@pytest.mark.anyio
async def test_the_awaited_one_takes_the_same_options():
    run = await tttlab.athink("7 * 8?", model=QUICK, strategy="self_consistency", samples=3, reference="56", seed=4)
    assert (run.answer, run.correct, run.seed, run.usage.calls) == ("56", True, 4, 3)
    with pytest.raises(OptionError, match="did you mean 'budget'"):
        await tttlab.athink("7 * 8?", model=QUICK, bugdet="3 calls")


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to this thread here")
def test_the_error_of_an_interrupted_run_says_where_the_run_is():
    model = tttlab.ScriptedModel(Reply(text="The answer is 56 but", stall_after=4))
    main = threading.main_thread().ident

    def interrupt():
        signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(Interrupted, match=r"stopped and is kept: `error.result`") as stopped:
        tttlab.think("7 * 8?", model=model, while_waiting=interrupt)
    assert stopped.value.result.status == "stopped"
