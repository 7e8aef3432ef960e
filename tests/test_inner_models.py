"""A strategy inside another one, on a model of its own."""

import asyncio

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError, RunFailed
from tttlab.strategies.confidence_filtering import ConfidenceFiltering
from tttlab.strategies.direct import Direct
from tttlab.strategies.program_of_thoughts import ProgramOfThoughts
from tttlab.types import Capabilities, Price
from tttlab.verifiers.llm_judge import LlmJudge

QUESTION = "What is 7 times 8?"
PRICE = Price(prompt=1.0, output=1.0)


def named(name, said="The answer is 56", can=None, price=None):
    model = Speaker(said, name=name, price=price)
    model.can = can or Speaker.can
    return model


def think(strategy, model, **options):
    return tttlab.think(QUESTION, strategy=strategy, model=model, **options)


def test_all_that_is_asked_inside_is_asked_of_that_model_and_nothing_else_is():
    cheap, dear = named("cheap", "The answer is 1"), named("dear", "Score: 10", Capabilities(thinking=True))
    seen = []

    async def inner(problem, think):
        seen.append(think.can)
        await think.complete(problem.prompt, n=2)
        await think.verify(LlmJudge(), problem, "56")
        await think.solve(Direct())
        await think.map(lambda n: think.complete(f"{problem.prompt} {n}"), range(2))

    async def outer(problem, think):
        await think.solve(inner, model=dear)
        seen.append(think.can)
        await think.complete(problem.prompt)

    run = think(outer, cheap)
    assert seen == [dear.can, cheap.can]
    assert (cheap.started, dear.started) == (1, 6)
    [(attributes,)] = (
        tttlab.connect()
        .execute("SELECT attributes ->> '$.\"tttlab.branch.model\"' FROM branches WHERE path = '0'")
        .fetchall()
    )
    assert attributes == "dear"
    rows = tttlab.connect().execute("SELECT model, count(*) FROM calls WHERE run_id = ? GROUP BY 1", [run.id])
    assert dict(rows.fetchall()) == {"cheap": 1, "dear": 6}


def test_inner_strategies_at_the_same_time_keep_to_their_own_models():
    models = {name: named(name, f"The answer is {name}") for name in ("one", "two", "three")}

    async def outer(problem, think):
        answers = await asyncio.gather(*(think.solve(Direct(), model=model) for model in models.values()))
        return think.propose(" ".join(answer.value for answer in answers))

    assert think(outer, named("own")).answer == "one two three"


def test_what_the_inner_strategy_needs_is_asked_of_its_own_model():
    mute = named("mute", can=Capabilities(seed=True))

    async def outer(problem, think):
        return await think.solve(ConfidenceFiltering(samples=2), model=named("able"))

    async def refused(problem, think):
        return await think.solve(ConfidenceFiltering(samples=2), model=mute)

    assert think(outer, mute).answer == "56"
    with pytest.raises(RunFailed, match="log-probabilities, and mute cannot"):
        think(refused, named("able"))
    assert mute.started == 0


def test_a_budget_in_dollars_asks_for_the_price_of_the_model_inside():
    async def outer(problem, think):
        return await think.solve(Direct(), model=named("unpriced"))

    async def limited(problem, think):
        return await think.solve(Direct(), model=named("priced", price=PRICE), budget=tttlab.Budget(dollars=1))

    with pytest.raises(RunFailed, match="none is known for unpriced"):
        think(outer, named("priced", price=PRICE), budget="$1")
    run = think(limited, named("unpriced"))
    assert (run.status, run.answer) == ("ok", "56")


def test_a_model_may_be_named():
    async def outer(problem, think):
        return await think.solve(Direct(), model="scripted")

    own = named("own")
    assert (think(outer, own).answer, own.started) == ("56", 0)


def test_pairs_among_the_parameters_are_held_to_their_own_models_before_anything_is_spent():
    mute, able = named("mute", can=Capabilities(seed=True)), named("able")
    steps = (ConfidenceFiltering(samples=2), able), (ConfidenceFiltering(samples=2), mute)
    with pytest.raises(OptionError, match=r"confidence_filtering needs .* and mute cannot"):
        think("cascade", mute, steps=steps)
    with pytest.raises(OptionError, match="program_of_thoughts runs programs"):
        think("cascade", mute, steps=((ProgramOfThoughts(), "scripted"),))
    assert think("cascade", mute, steps=steps[:1]).answer == "56"
    assert mute.started == 0
