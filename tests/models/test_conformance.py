"""What every model must do. A model joins by a row in `MODELS`; one that needs weights is marked `embedded`."""

import asyncio
from contextlib import aclosing

import pytest

import tttlab
from tttlab.events import ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.models import NAMES
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.protocols import Model
from tttlab.types import Message, Request, Sampling

MODELS = {
    "scripted": ScriptedModel,
    "scripted-choosing": lambda: ScriptedModel(["It is 56.", "It is 54, I am sure of it.", "Who knows?"]),
    "scripted-thinking": lambda: ScriptedModel(Reply(text="It is 56.", thinking="7 times 8 is 56", logprob=-0.1)),
    "scripted-hiding": lambda: ScriptedModel(Reply(text="56 it is", thinking="well well", visibility="omitted")),
    "scripted-chunks": lambda: ScriptedModel(Reply(text="It is 56, I say", chunk=2)),
    **{name: lambda name=name: tttlab.model(name) for name in NAMES if name.startswith("local:countdown")},
    "local:smollm2": lambda: tttlab.model("local:smollm2"),
}


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.embedded if name == "local:smollm2" else ()) for name in MODELS]
)
def model(request):
    return MODELS[request.param]()


def prompt_for(model):
    return "3 5 8 -> 16" if model.name.startswith("local:countdown") else "What is 7 times 8?"


def ask(model, seed=1, **sampling):
    return Request(
        messages=(Message("user", prompt_for(model)),),
        sampling=Sampling(**{"max_tokens": 12, **sampling}),
        seed=seed,
    )


def events(model, request):
    async def main():
        async with aclosing(model.stream(request)) as stream:
            return [event async for event in stream]

    return asyncio.run(main())


def test_every_named_model_is_here():
    assert set(NAMES) - {"smollm2"} <= set(MODELS)  # a short name of the embedded model


def test_it_fits_the_protocol(model):
    assert isinstance(model, Model)
    assert model.name
    assert model.can.parallel >= 1


def test_a_stream_ends_with_one_finish(model):
    found = events(model, ask(model))
    assert [type(event) for event in found].count(Finish) == 1
    assert isinstance(found[-1], Finish)


def test_the_prompt_is_charged_before_any_text(model):
    found = events(model, ask(model))
    first_text = next(index for index, event in enumerate(found) if isinstance(event, (TokenDelta, ChunkDelta)))
    assert any(isinstance(event, UsageUpdate) and event.usage.prompt_tokens > 0 for event in found[:first_text])


def test_the_counts_never_fall_and_hold_all_that_was_said(model):
    fold, seen = Fold(), 0
    for event in events(model, ask(model)):
        fold.add(event)
        assert fold.output_tokens >= seen
        seen = fold.output_tokens
    assert fold.output_tokens >= len(fold.tokens)
    assert fold.output_tokens >= fold.thinking_tokens


def test_max_tokens_bind_and_say_so(model):
    fold = Fold()
    for event in events(model, ask(model, max_tokens=2)):
        fold.add(event)
    assert fold.output_tokens - fold.thinking_tokens <= 2
    assert fold.finish.reason == "length"


def test_the_same_seed_says_the_same(model):
    if not model.can.seed:
        pytest.skip("this model takes no seed")

    def said(seed):
        return [event.text for event in events(model, ask(model, seed)) if isinstance(event, (TokenDelta, ChunkDelta))]

    assert said(3) == said(3)


def test_logprobs_are_natural_logarithms_and_have_a_stage(model):
    found = events(model, ask(model))
    logprobs = [event.logprob for event in found if isinstance(event, TokenDelta) and event.logprob is not None]
    assert all(logprob <= 0 for logprob in logprobs)
    if logprobs:
        assert found[-1].logprob_stage in {"before_sampling", "after_sampling"}


def test_a_stream_may_be_closed_at_any_event(model):
    async def closed_after(count):
        async with aclosing(model.stream(ask(model))) as stream:
            async for _ in stream:
                count -= 1
                if not count:
                    break

    for count in (1, 2, 3):
        asyncio.run(closed_after(count))
    assert events(model, ask(model))


def test_many_streams_at_once_do_not_mix(model):
    async def main():
        async def one(seed):
            async with aclosing(model.stream(ask(model, seed))) as stream:
                return [event.text async for event in stream if isinstance(event, (TokenDelta, ChunkDelta))]

        return await asyncio.gather(*(one(seed) for seed in range(6)))

    at_once = asyncio.run(main())
    assert at_once == [
        [event.text for event in events(model, ask(model, seed)) if isinstance(event, (TokenDelta, ChunkDelta))]
        for seed in range(6)
    ]


def test_a_run_on_it_is_whole(model):
    run = tttlab.think(prompt_for(model), model=model, strategy="self_consistency", samples=2, max_tokens=8)
    assert run.status == "ok"
    assert run.usage.calls == 2
    connection = tttlab.connect()
    [(calls, deliveries, output)] = connection.execute(
        "SELECT count(DISTINCT span_id), (SELECT count(*) FROM tokens), sum(output_tokens) FROM calls"
    ).fetchall()
    assert (calls, output) == (2, run.usage.output_tokens)
    assert deliveries > 0
