"""The scripted model does what its script says, in ways that strategies and notebooks must cope with."""

import asyncio
from contextlib import aclosing

import pytest

import tttlab
from tttlab.errors import CallError, RunFailed
from tttlab.events import ChunkDelta, Fold, TokenDelta
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.types import Message, Request, Sampling


def fold_of(model, seed=0, **sampling):
    async def main():
        fold = Fold()
        request = Request(messages=(Message("user", "hi"),), sampling=Sampling(**sampling), seed=seed)
        async with aclosing(model.stream(request)) as stream:
            async for event in stream:
                fold.add(event)
        return fold

    return asyncio.run(main())


def test_it_thinks_in_its_own_channel():
    fold = fold_of(ScriptedModel(Reply(text="It is 56.", thinking="7 times 8", logprob=-0.5)))
    completion = fold.completion()
    assert (completion.thinking, completion.text, completion.visibility) == ("7 times 8", "It is 56.", "full")
    assert completion.usage.thinking_tokens == 3
    assert completion.mean_logprob == -0.5


@pytest.mark.parametrize("visibility", ["omitted", "encrypted"])
def test_hidden_thinking_is_counted_and_not_shown(visibility):
    completion = fold_of(ScriptedModel(Reply(text="56", thinking="a b c", visibility=visibility))).completion()
    assert (completion.thinking, completion.visibility) == ("", visibility)
    assert (completion.usage.thinking_tokens, completion.usage.output_tokens) == (3, 4)


def test_chunks_hide_the_token_boundaries():
    async def main():
        return [event async for event in ScriptedModel(Reply(text="a b c d e", chunk=2)).stream(Request(messages=()))]

    seen = asyncio.run(main())
    assert [event.text for event in seen if isinstance(event, ChunkDelta)] == ["a b", " c d", " e"]
    assert not any(isinstance(event, TokenDelta) for event in seen)


def test_a_list_is_a_distribution_that_the_seed_draws_from():
    model = ScriptedModel(["56", "56", "54"])
    said = [fold_of(model, seed).completion().text for seed in range(300)]
    assert said == [fold_of(model, seed).completion().text for seed in range(300)]
    assert 0.55 < said.count("56") / 300 < 0.78


def test_it_fails_after_so_many_tokens_and_keeps_what_it_said():
    with pytest.raises(CallError, match="after 2 tokens"):
        fold_of(ScriptedModel(Reply(text="a b c", fail_after=2)))
    with pytest.raises(RunFailed):
        tttlab.think("x", model=ScriptedModel(Reply(text="a b c", fail_after=2)))
    [(status, text, tokens)] = (
        tttlab.connect().execute("SELECT status, text, (SELECT count(*) FROM tokens) FROM calls").fetchall()
    )
    assert (status, text, tokens) == ("failed", "a b", 2)


def test_a_stalled_stream_is_ended_by_a_budget():
    model = ScriptedModel(Reply(text="a b c", stall_after=1))
    run = tttlab.think("x", model=model, budget="0.2 s")
    assert (run.status, model.in_flight, model.started) == ("budget", 0, 1)


def test_it_speaks_by_the_request():
    model = ScriptedModel(lambda request: request.messages[-1].text.upper())
    assert tttlab.think("hello", model=model).answer == "hello"
    assert fold_of(model).completion().text == "HI"
