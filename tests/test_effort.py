"""What a run says of thinking, `effort` and `thinking_budget`: who is told it, and who refuses."""

import asyncio

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError, RunFailed
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.types import Capabilities

CAN = Capabilities(thinking=True, thinking_budget=True, effort=("low", "high"))


class Asked(ScriptedModel):
    """Keeps what it is asked."""

    def __init__(self, can=CAN, name="scripted"):
        super().__init__(self._said, name=name, can=can)
        self.requests = []

    def _said(self, request):
        self.requests.append(request.sampling)
        return Reply(text="56", thinking="seven times eight is fifty six")

    def describe(self):
        return {"digest": f"that-of-{self.name}"}


def test_the_model_is_told_and_the_run_says_so():
    model = Asked()
    run = tttlab.think("7 * 8?", model=model, effort="low", thinking_budget=2)
    assert [(each.effort, each.thinking_budget) for each in model.requests] == [("low", 2)]
    assert run.usage.thinking_tokens == 2
    sql = "SELECT attributes ->> '$.\"tttlab.run.thinking\"' FROM spans WHERE run_id = ? AND parent_key IS NULL"
    [[said]] = tttlab.connect().execute(sql, [run.id]).fetchall()
    assert said == '{"effort":"low","thinking_budget":2}'


@pytest.mark.parametrize(
    ("told", "can", "said"),
    [
        ({"effort": "hihg"}, CAN, "scripted knows no effort 'hihg'; did you mean 'high'?"),
        ({"effort": "low"}, Capabilities(), "scripted knows no effort 'low'"),
        ({"effort": 3}, CAN, "scripted knows no effort 3; there are: high, low"),
        ({"thinking_budget": 9}, Capabilities(), "scripted cannot hold its thinking to a number of tokens"),
        (
            {"thinking_budget": 9},
            Capabilities(effort=("low",)),
            "scripted cannot hold its thinking to a number of tokens; give an effort",
        ),
        ({"thinking_budget": -1}, CAN, "thinking_budget=-1"),
    ],
)
def test_what_the_model_cannot_is_refused_before_anything_is_spent(told, can, said):
    model = Asked(can)
    with pytest.raises(OptionError) as refused:
        tttlab.think("7 * 8?", model=model, **told)
    assert str(refused.value).startswith(said)
    assert model.started == 0


def test_another_model_of_the_run_is_not_told_and_a_strategy_may_say_otherwise():
    first, second = Asked(), Asked(Capabilities(), name="other")

    async def both(problem, think):
        await think.complete("one")
        await think.complete("two", effort="high")
        await think.complete("three", model=second)
        return think.propose("56")

    tttlab.think("7 * 8?", strategy=both, model=first, effort="low")
    assert [each.effort for each in first.requests] == ["low", "high"]
    assert [each.effort for each in second.requests] == [None]


def test_a_strategy_that_asks_for_what_the_model_cannot_fails_with_the_reason():
    async def hard(problem, think):
        await think.complete("one", effort="high")

    with pytest.raises(RunFailed, match="speaker knows no effort 'high'"):
        tttlab.think("7 * 8?", strategy=hard, model=Speaker())


def test_a_run_with_another_effort_is_another_run():
    def asked(**told):
        model = Asked()
        run = tttlab.think("7 * 8?", model=model, replay="reuse", **told)
        return run.id, model.started

    low, plain = asked(effort="low"), asked()
    assert (low[1], plain[1]) == (1, 1)
    assert asked(effort="low") == (low[0], 0)
    assert asked() == (plain[0], 0)
    assert asked(effort="high")[1] == 1


def test_athink_takes_them_too():
    model = Asked()
    asyncio.run(tttlab.athink("7 * 8?", model=model, effort="high"))
    assert [each.effort for each in model.requests] == ["high"]
