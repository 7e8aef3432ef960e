"""The embedded model itself: what it streams, what it shares, and that it says the same thing every time."""

import asyncio
from contextlib import aclosing

import pytest

import tttlab
from tttlab.errors import CallError
from tttlab.events import Finish, Fold, TokenDelta
from tttlab.models.engine import groups
from tttlab.models.local import LocalModel
from tttlab.models.sample import Sample
from tttlab.types import Message, Request, Sampling

pytestmark = pytest.mark.embedded

STORY = "Tell a story about a ship that found an island."


@pytest.fixture(scope="module")
def model():
    return tttlab.model("local:smollm2")


def request(prompt=STORY, *, seed=0, **sampling):
    messages = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
    return Request(
        messages=messages, sampling=Sampling(**{"temperature": 0.8, "max_tokens": 24, **sampling}), seed=seed
    )


async def completed(model, asked):
    fold = Fold()
    async with aclosing(model.stream(asked)) as stream:
        async for event in stream:
            fold.add(event)
    return fold.completion()


def together(model, requests):
    async def main():
        return await asyncio.gather(*(completed(model, each) for each in requests))

    return asyncio.run(main())


def alone(model, asked):
    [completion] = together(model, [asked])
    return completion


def said(completion):
    return [(token.token_id, token.logprob, token.top) for token in completion.tokens]


def test_every_token_comes_with_its_id_its_logprob_and_its_alternatives(model):
    completion = alone(model, request(temperature=0, logprobs=3))
    assert "".join(token.text for token in completion.tokens) == completion.text
    assert completion.usage.output_tokens == len(completion.tokens) == 24
    assert (completion.finish_reason, completion.served_model) == ("length", "SmolLM2-135M-Instruct.Q4_1.gguf")
    for token in completion.tokens:
        assert len(token.top.token_ids) == 3
        # Greedy takes the likeliest, and alternatives are likeliest first.
        assert (token.token_id, token.logprob) == (token.top.token_ids[0], token.top.logprobs[0])
        assert token.top.logprobs == tuple(sorted(token.top.logprobs, reverse=True))
    times = [token.time_ns for token in completion.tokens]
    assert times == sorted(times)
    assert times[0] < times[-1]


def test_logprobs_are_those_before_the_sampling(model):
    cool, hot = (alone(model, request("Say yes.", temperature=heat, max_tokens=1, seed=3)) for heat in (0.01, 5.0))
    assert dict(zip(cool.tokens[0].top.token_ids, cool.tokens[0].top.logprobs, strict=True)) == dict(
        zip(hot.tokens[0].top.token_ids, hot.tokens[0].top.logprobs, strict=True)
    )


@pytest.mark.parametrize("length", [48, pytest.param(512, marks=pytest.mark.slow)])
def test_the_same_seed_says_the_same_to_the_bit_alone_and_among_others(model, length):
    asked = [request(seed=seed, max_tokens=length) for seed in range(16)]
    others = [request("Name ten animals.", seed=40 + 3 * seed, max_tokens=length) for seed in range(8)]
    batch = together(model, asked)
    among = together(model, [*others, *asked[3:9]])[len(others) :]
    for index in (0, 3, 8):
        one = said(alone(model, asked[index]))
        assert len(one) > 1
        assert one == said(batch[index])
        if index >= 3:
            assert one == said(among[index - 3])
    assert len({completion.text for completion in batch}) == 16


def test_a_cold_prompt_and_a_cached_one_give_the_same(model):
    asked = request("What grows in a garden?", seed=5)
    cold = alone(model, asked)
    warm = alone(model, asked)
    alone(model, request("What grows in a garden in winter?", seed=5))
    partly_warm = alone(model, asked)
    assert said(cold) == said(warm) == said(partly_warm)
    assert warm.usage.cached_tokens > cold.usage.cached_tokens


def test_samples_of_one_prompt_share_its_evaluation(model):
    batch = together(model, [request("Count to four.", seed=seed, max_tokens=2) for seed in range(4)])
    size = batch[0].usage.prompt_tokens
    assert [completion.usage.prompt_tokens for completion in batch] == [size] * 4
    assert [completion.usage.cached_tokens for completion in batch][1:] == [size] * 3
    assert batch[0].usage.cached_tokens < size


def test_it_goes_on_from_a_partial_answer(model):
    messages = [Message("user", "What is the capital of France?"), Message("assistant", "The capital of France is")]
    completion = alone(model, request(messages, temperature=0, max_tokens=3))
    assert completion.text.startswith(" Paris")


def test_stop_strings_and_grammars_bind(model):
    counted = alone(model, request("Count: 1, 2, 3, 4, 5, 6, 7", temperature=0, max_tokens=60, stop=("3",)))
    assert "3" not in counted.text
    assert counted.finish_reason == "stop"
    chosen = alone(model, request("Yes or no?", grammar='root ::= "yes" | "no"'))
    assert chosen.text in {"yes", "no"}


def test_a_character_of_several_tokens_is_one_row_marked_merged(model):
    completion = alone(model, request("?", grammar='root ::= "a🚀é"'))
    rows = [(token.text, token.merged) for token in completion.tokens if token.text]
    assert rows == [("a", False), ("🚀", True), ("é", True)]
    assert completion.usage.output_tokens > len(completion.tokens)


def test_a_stream_closed_in_mid_generation_stops_the_engine(model):
    async def main():
        async with aclosing(model.stream(request(max_tokens=1500))) as stream:
            async for event in stream:
                if isinstance(event, TokenDelta):
                    break
        # Were it still running, this one would be deferred behind 1,500 tokens.
        return await asyncio.wait_for(completed(model, request(max_tokens=2)), timeout=8)

    assert asyncio.run(main()).usage.output_tokens == 2


def test_more_samples_than_slots_wait_for_their_turn(model):
    batch = together(model, [request("Say a word.", seed=seed, max_tokens=4) for seed in range(40)])
    assert len(batch) == 40
    assert said(batch[39]) == said(alone(model, request("Say a word.", seed=39, max_tokens=4)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (request("word " * 3000), r"3,0\d\d tokens .* a context of 2,048: shorten it, or load the model as"),
        (request(grammar="root ::= (("), "failed to parse grammar"),
    ],
    ids=["too long", "bad grammar"],
)
def test_what_cannot_be_generated_says_why(model, asked, message):
    with pytest.raises(CallError, match=message):
        alone(model, asked)
    assert alone(model, request(max_tokens=1)).usage.output_tokens == 1


def test_a_full_context_ends_a_sample_by_length():
    small = LocalModel(tttlab.model("local:smollm2").path, name="small", parallel=1, context=256)
    completion = alone(small, request(max_tokens=500, grammar='root ::= "ab"*'))
    assert completion.finish_reason == "length"
    assert completion.usage.tokens == 256
    small.close()


def test_a_closed_model_is_closed_for_all_of_its_kind_and_says_what_to_do(model):
    first, second, other = (LocalModel(model.path, name="small", parallel=slots, context=256) for slots in (1, 1, 2))
    first.close()
    first.close()
    second.close()
    for closed in (first, second):
        with pytest.raises(CallError, match=r"was closed: load it again, as in tttlab\.model\("):
            alone(closed, request(max_tokens=1))
    assert alone(other, request(max_tokens=1)).usage.output_tokens == 1
    other.close()


def test_closing_a_model_ends_what_runs_and_what_waits():
    small = LocalModel(tttlab.model("local:smollm2").path, name="small", parallel=2, context=256)

    async def main():
        asked = [
            request(f"Count from {seed}.", seed=seed, max_tokens=200, grammar='root ::= "ab"*') for seed in (1, 5, 9)
        ]
        streams = [asyncio.create_task(completed(small, each)) for each in asked]
        async for event in small.stream(request("Go.", max_tokens=200, grammar='root ::= "ab"*')):
            if isinstance(event, TokenDelta):
                break
        small.close()
        return await asyncio.wait_for(asyncio.gather(*streams, return_exceptions=True), timeout=5)

    assert [str(error).partition(":")[0] for error in asyncio.run(main())] == [
        "the model of SmolLM2-135M-Instruct.Q4_1.gguf was closed"
    ] * 3


def test_one_prompt_is_evaluated_at_a_time(model):
    async def main():
        seen = []

        async def listen(seed):
            async for event in model.stream(request(f"{seed} " + "word " * 100, seed=seed, max_tokens=8)):
                if (step := (seed, type(event).__name__)) not in seen:
                    seen.append(step)

        await asyncio.gather(*(listen(7 * seed) for seed in range(6)))
        return [step for step in seen if step[1] != "Finish"]

    seen = asyncio.run(main())
    assert len(seen) == 12
    for begun, heard in zip(seen[::2], seen[1::2], strict=True):
        assert (begun[1], heard) == ("UsageUpdate", (begun[0], "TokenDelta"))


def test_prompts_that_were_given_up_are_not_evaluated(model):
    async def main():
        begun = asyncio.Queue()

        async def listen(seed):
            async for _event in model.stream(request(f"{seed} " + "word " * 200, seed=seed)):
                begun.put_nowait(seed)

        streams = [asyncio.create_task(listen(7 * seed)) for seed in range(6)]
        first = await begun.get()
        for stream in streams:
            stream.cancel()
        # This one comes after them: by its end, any other would have begun.
        await completed(model, request("Say a word.", max_tokens=1))
        return [first, *(begun.get_nowait() for _ in range(begun.qsize()))]

    assert len(asyncio.run(main())) == 1


def test_a_budget_stops_it_in_mid_stream_and_an_early_stop_cancels_the_rest(model):
    run = tttlab.think(STORY, model=model, strategy="self_consistency", samples=8, budget="500 tokens")
    assert run.status == "budget"
    assert 500 < run.usage.tokens <= 500 + 8
    early = tttlab.think(
        "Say yes.", model=model, strategy="self_consistency", samples=16, temperature=0.0, max_tokens=8, stop_early=True
    )
    assert early.status == "ok"
    assert len(early.curve) < 16


def test_samples_are_grouped_by_prompt_and_by_seeds_that_count_up():
    loop = asyncio.new_event_loop()
    samples = [
        Sample(request(prompt, seed=seed), loop)
        for prompt, seed in [("a", 5), ("b", 6), ("a", 6), ("a", 8), ("b", None), ("b", None), ("a", 7)]
    ]
    found = [[(each.request.messages[0].text, each.request.seed) for each in group] for group in groups(samples)]
    assert found == [
        [("a", 5), ("a", 6), ("a", 7), ("a", 8)],
        [("b", None)],
        [("b", None)],
        [("b", 6)],
    ]
    loop.close()


def test_finish_is_the_last_event_and_comes_once(model):
    async def main():
        return [event async for event in model.stream(request(max_tokens=3))]

    events = asyncio.run(main())
    assert [isinstance(event, Finish) for event in events] == [False] * (len(events) - 1) + [True]
