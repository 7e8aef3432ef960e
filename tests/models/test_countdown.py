"""The package's own thinking model: what it reads, how its thinking is held, cut and gone on with, how good it is."""

import asyncio
from contextlib import aclosing

import pytest

import tttlab
from tttlab.countdown.checking import judge_steps, trouble
from tttlab.countdown.drawing import held_out_puzzles
from tttlab.countdown.wording import read_puzzle
from tttlab.errors import CallError, OptionError, RunFailed
from tttlab.events import Fold
from tttlab.experiments.tasks.countdown import countdown
from tttlab.models.countdown import CONTEXT, CountdownModel
from tttlab.types import Message, Request, Sampling
from tttlab.verifiers.countdown import Countdown

PUZZLES = held_out_puzzles(3, 12)


@pytest.fixture(scope="module")
def model():
    return tttlab.model("local:countdown")


def drawn(model, prompt, *, count=1, begun=None, cap=None, **sampling):
    """`count` completions, which are drawn at once."""
    messages = (Message("user", str(prompt)), *([Message("assistant", begun)] if begun else []))

    async def one(seed):
        fold = Fold()
        request = Request(messages=messages, sampling=Sampling(**sampling), seed=seed, cap=cap)
        async with aclosing(model.stream(request)) as events:
            async for event in events:
                fold.add(event)
        return fold.completion()

    async def main():
        return await asyncio.gather(*(one(seed) for seed in range(count)))

    return asyncio.run(main())


def right(puzzle, completion):
    return trouble(puzzle, completion.text.rpartition(":")[2]) is None


def test_it_thinks_before_it_answers_and_thinking_pays(model):
    shares = {}
    for budget in (0, None):
        samples = [(puzzle, drawn(model, puzzle, count=4, thinking_budget=budget)) for puzzle in PUZZLES]
        shares[budget] = sum(right(puzzle, each) for puzzle, of in samples for each in of) / (4 * len(PUZZLES))
    assert shares[0] < 0.55
    assert shares[None] > 0.75


def test_its_thinking_is_a_search_whose_steps_are_nearly_all_right(model):
    steps = [
        step for puzzle in PUZZLES for step in judge_steps(puzzle, drawn(model, puzzle, temperature=0.8)[0].thinking)
    ]
    assert len(steps) > 80
    assert sum(step.trouble is None for step in steps) / len(steps) > 0.95


def test_thinking_is_held_to_its_budget_and_the_answer_follows(model):
    for budget in (0, 7, 25):
        for completion in drawn(model, "4 5 6 10 -> 24", count=3, thinking_budget=budget, max_tokens=24):
            assert completion.usage.thinking_tokens <= budget
            assert completion.text.strip()
            assert completion.finish_reason == "stop"
            assert completion.visibility == ("full" if budget else "none")
            assert (completion.thinking != "") == (budget > 0)


def test_an_answer_that_the_budget_of_thinking_meets_is_finished(model):
    met = 0
    for budget in range(28, 64, 2):
        for completion in drawn(model, "3 5 8 -> 16", count=4, thinking_budget=budget):
            assert completion.finish_reason == "stop"
            met += completion.usage.thinking_tokens < budget < completion.usage.output_tokens
    assert met > 0


def test_tokens_are_counted_and_no_tag_is_shown(model):
    [completion] = drawn(model, "3 5 8 -> 16")
    assert "think>" not in completion.thinking + completion.text
    thought = [token for token in completion.tokens if token.channel == "thinking"]
    assert len(thought) == completion.usage.thinking_tokens
    assert len(completion.tokens) <= completion.usage.output_tokens
    assert thought[-1].token_id is not None
    assert completion.usage.prompt_tokens < 15


def test_a_budget_of_all_tokens_ends_it_wherever_it_is(model):
    for cap in (3, 20):
        [completion] = drawn(model, "4 5 6 10 -> 24", cap=cap)
        assert completion.usage.output_tokens <= cap
        assert completion.finish_reason == "length"


def test_it_ends_within_its_context_whatever_it_is_asked(model):
    for completion in drawn(model, "13 13 13 13 -> 59", count=3, thinking_budget=5000, max_tokens=5000):
        assert completion.usage.output_tokens < CONTEXT


def test_it_goes_on_from_its_thinking_and_from_the_word_wait(model):
    puzzle = read_puzzle("3 5 8 -> 16")
    first = "8 * 5 = 40 : 40 3 ; 40 - 3 = 37 ? 16 x ;"
    [gone_on] = drawn(model, puzzle, begun=f"<think> {first}")
    steps = list(judge_steps(puzzle, f"{first} {gone_on.thinking}"))
    assert len(steps) > 2
    assert all(step.trouble is None for step in steps)
    [waited] = drawn(model, puzzle, begun="<think>\n5 + 3 = 8 : 8 8 ; 8 + 8 = 16 ? 16 ! ;\n\nWait")
    assert list(judge_steps(puzzle, waited.thinking))
    [answered] = drawn(model, puzzle, begun="<think> 5 + 3 = 8 : 8 8 ; 8 + 8 = 16 ? 16 ! ; </think>")
    assert answered.thinking == ""
    assert right(puzzle, answered)


def test_extended_thinking_makes_it_think_longer():
    run = tttlab.think(
        "3 5 8 -> 16",
        model="local:countdown",
        strategy="extended_thinking",
        extract="expression",
        max_thinking_tokens=300,
        min_thinking_tokens=300,
    )
    assert run.usage.calls == 3
    assert len(run.curve) == 3


@pytest.mark.parametrize("name", ["local:countdown-best", "local:countdown-bfs", "local:countdown-noisy"])
def test_every_way_of_searching_solves(name):
    model = tttlab.model(name)
    assert model.name == name
    solved = [any(right(puzzle, each) for each in drawn(model, puzzle, count=4)) for puzzle in PUZZLES[:8]]
    assert sum(solved) >= 6


def test_a_noisy_one_says_wrong_things_of_its_results_and_an_exact_one_hardly_ever():
    def wrong(name):
        model = tttlab.model(name)
        last = [
            step
            for puzzle in PUZZLES
            for completion in drawn(model, puzzle, count=2)
            for step in judge_steps(puzzle, completion.thinking)
            if step.last
        ]
        return sum(step.trouble is not None for step in last) / len(last)

    assert wrong("local:countdown") < 0.04 < wrong("local:countdown-noisy") < 0.2


@pytest.mark.parametrize(
    ("name", "prompt", "said"),
    [
        (
            "local:countdown",
            "What is 7 times 8?",
            "there is no puzzle of Countdown in 'What is 7 times 8?': write it as",
        ),
        ("local:countdown", "3 5 99 -> 16", "3 5 99 -> 16 has the number 99"),
        ("local:countdown-bfs", "4 5 6 10 -> 24", "local:countdown-bfs searches three numbers only"),
    ],
)
def test_what_it_cannot_read_is_refused_before_it_runs(name, prompt, said):
    with pytest.raises(OptionError) as refused:
        tttlab.think(prompt, model=name)
    assert said in str(refused.value)
    assert tttlab.connect().execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_what_a_strategy_makes_of_a_prompt_is_refused_by_the_call(model):
    async def other(problem, think):
        await think.complete("What is 7 times 8?")

    with pytest.raises(RunFailed, match="there is no puzzle of Countdown"):
        tttlab.think("3 5 8 -> 16", model=model, strategy=other)


def test_what_it_does_not_take_is_said(model):
    with pytest.raises(CallError, match="takes no stop strings and no grammar"):
        drawn(model, "3 5 8 -> 16", stop=("x",))
    with pytest.raises(OptionError, match="there is no order of search 'dsf'; did you mean 'dfs'"):
        CountdownModel("dsf")


def test_the_task_and_its_verifier_judge_exactly():
    problems = countdown(6, seed=3)
    assert problems == countdown(6, seed=3)
    assert len({problem.id for problem in problems}) == 6

    async def judged(problem, think):
        verdicts = []
        for completion in await think.complete(problem.prompt, n=4):
            verdicts.append(await think.verify(Countdown(), problem, completion.text))
            assert verdicts[-1].passed == right(read_puzzle(problem.prompt), completion)
        return think.propose(str(sum(verdict.passed for verdict in verdicts)))

    counts = [int(tttlab.think(problem, strategy=judged, model="local:countdown").answer) for problem in problems]
    assert sum(counts) > 12


@pytest.mark.parametrize("options", [{"numbers": 5}, {"count": 0}, {"count": 5000}])
def test_a_task_that_is_not_to_be_had_is_refused(options):
    with pytest.raises(OptionError):
        countdown(**{"count": 3, "seed": 0, **options})
