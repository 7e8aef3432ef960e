"""What a run is: its status, its curve, its spend, and what a strategy can and cannot do."""

import asyncio
import multiprocessing
import os
from dataclasses import dataclass

import anyio
import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.budget import Budget
from tttlab.errors import CallError, OptionError, RunFailed
from tttlab.events import Finish, UsageUpdate
from tttlab.plan import plan
from tttlab.portal import portal
from tttlab.progress import CallEnded, CallStarted, Proposed, RunEnded, RunStarted, Streamed
from tttlab.runner import Runner
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.types import Capabilities, Message, Price, Problem, Usage, Verdict


def think(strategy, model=None, **options):
    return tttlab.think("7 * 8?", strategy=strategy, model=model or Speaker(), **options)


def test_direct_answers_with_one_greedy_call():
    model = Speaker()
    run = think("direct", model, reference="56")
    assert (run.status, run.answer, run.correct, len(run.curve)) == ("ok", "56", True, 1)
    assert run.usage == Usage(prompt_tokens=3, output_tokens=4, calls=1, dollars=None)
    assert model.requests[0].sampling.temperature == 0


def test_self_consistency_takes_the_majority_and_proposes_after_each_sample():
    run = think("self_consistency", Speaker(answers("54", "56", "56", "54", "56")), samples=5, reference="56")
    assert [point.value for point in run.curve] == ["54", "54", "56", "54", "56"]
    assert [point.confidence for point in run.curve] == [1.0, 0.5, 2 / 3, 0.5, 0.6]
    assert (run.answer, run.correct, dict(run.curve[-1].votes)) == ("56", True, {"54": 2, "56": 3})


def test_abstentions_never_win_and_stay_in_the_denominator():
    model = Speaker(lambda request: "" if request.seed % 2 else "56")
    run = think("self_consistency", model, samples=4)
    assert (run.answer, run.confidence) == ("56", 0.5)
    silent = think("self_consistency", Speaker(""), samples=2)
    assert (silent.answer, silent.confidence, silent.status) == (None, 0.0, "ok")


def test_a_decided_vote_cancels_the_rest():
    slow = Speaker(answers(*["56"] * 9), pause=lambda request, position: 30 if request in slow.requests[5:] else 0)
    run = think("self_consistency", slow, samples=9, stop_early=True)
    assert (run.answer, len(run.curve), slow.in_flight, run.status) == ("56", 5, 0, "ok")


def test_chain_of_thought_thinks_in_one_call_and_answers_in_another():
    model = Speaker(
        lambda request: "the answer is 56" if request.messages[-1].role == "assistant" else "7 times 8 is 56"
    )
    run = think("chain_of_thought", model)
    assert run.answer == "56"
    assert run.usage.thinking_tokens == 5
    assert run.usage.output_tokens == 9
    first, second = model.requests
    assert first.messages[-1].text.endswith("Let's think step by step.")
    assert second.messages[-1] == Message("assistant", "7 times 8 is 56\n\nTherefore, the answer is")


@pytest.mark.parametrize("limit", range(1, 60, 3))
def test_a_budget_is_exceeded_by_at_most_one_delivery_a_stream(limit):
    run = think("self_consistency", Speaker(), samples=4, budget=Budget(tokens=limit))
    whole = 4 * (3 + 4)
    assert run.status == ("budget" if limit < whole else "ok")
    # A prompt arrives as one delivery of 3 tokens; a stream that may not go on is charged nothing more.
    assert run.usage.tokens <= max(limit + 3, 0)
    assert run.answer == (run.curve[-1].value if run.curve else None)


def test_a_spent_budget_keeps_the_best_answer_so_far():
    quick_first = Speaker(pause=lambda request, position: 0 if request is quick_first.requests[0] else 30)
    run = think("self_consistency", quick_first, samples=3, budget="1 s")
    assert (run.status, run.answer, len(run.curve), quick_first.in_flight) == ("budget", "56", 1, 0)


def test_a_budget_of_calls_lets_those_in_flight_finish():
    run = think("self_consistency", samples=8, budget="3 calls")
    assert (run.status, run.usage.calls, len(run.curve), run.usage.output_tokens) == ("budget", 3, 3, 12)


def test_a_budget_in_dollars_needs_a_price_and_then_binds():
    with pytest.raises(OptionError, match="none is known"):
        think("direct", budget="$1")
    priced = Speaker(price=Price(prompt=1e6, output=1e6))
    run = think("self_consistency", priced, samples=4, budget="$10")
    assert run.status == "budget"
    assert 10 < run.usage.dollars <= 13


def test_max_tokens_are_capped_before_hidden_thinking_can_overrun():
    model = Speaker()
    think("direct", model, budget="10 tokens")
    assert model.requests[0].sampling.max_tokens == 11


def test_a_limit_inside_a_run_ends_its_block_and_not_the_run():
    async def mine(problem, think):
        with think.limit(Budget(tokens=5)) as inner:
            await think.complete(problem.prompt)
            pytest.fail("the block goes on after its budget was spent")
        assert inner.exhausted == "tokens"
        assert think.budget.tokens == 100 - 6
        with think.limit(Budget(calls=1)) as calls:
            await think.complete(problem.prompt, n=2)
        assert calls.exhausted == "calls"
        with think.limit(Budget(seconds=0.01)) as clock:
            await anyio.sleep(30)
        think.propose(f"{inner.exhausted} {calls.exhausted} {clock.exhausted}")

    run = think(mine, budget=Budget(tokens=100))
    assert (run.status, run.answer) == ("ok", "tokens calls seconds")


def test_one_failed_call_costs_one_sample_and_all_failed_is_a_failed_run():
    run = think("self_consistency", Speaker(answers("56", fault(), "56")), samples=3)
    assert (run.status, len(run.curve), run.usage.calls) == ("ok", 2, 3)
    with pytest.raises(RunFailed, match="the line went dead") as failed:
        think("self_consistency", Speaker(lambda request: fault()), samples=3)
    assert isinstance(failed.value.__cause__, CallError)
    assert failed.value.run.status == "failed"


def test_a_stream_without_its_end_is_a_failure_and_not_an_answer():
    class Cut(Speaker):
        async def stream(self, request):
            async for event in super().stream(request):
                if type(event).__name__ != "Finish":
                    yield event

    with pytest.raises(RunFailed, match="without saying that it had finished"):
        think("direct", Cut())


def test_a_strategy_that_raises_fails_the_run_and_keeps_what_it_had():
    async def mine(problem, think):
        think.propose("54")
        raise ValueError("no idea")

    with pytest.raises(RunFailed, match="ValueError: no idea") as failed:
        think(mine)
    assert (failed.value.run.answer, failed.value.run.error) == ("54", "ValueError: no idea")
    assert isinstance(failed.value.__cause__, ValueError)


def test_a_strategy_never_sees_the_reference_and_a_verifier_does():
    seen = {}

    async def oracle(problem, candidate, think):
        seen["verifier"] = problem.reference
        return Verdict(score=1.0, passed=candidate == problem.reference)

    async def broken(problem, candidate, think):
        raise RuntimeError("out of order")

    async def mine(problem, think):
        seen["strategy"] = problem.reference
        seen["broken"] = (await think.verify(broken, problem, "56")).error
        return think.propose("right" if (await think.verify(oracle, problem, "56")).passed else "wrong")

    assert think(mine, reference="56").answer == "right"
    assert seen == {"strategy": None, "verifier": "56", "broken": "RuntimeError: out of order"}


def test_what_a_verifier_asks_is_charged_to_the_run():
    async def judge(problem, candidate, think):
        await think.complete("is it right?", role="judge")
        return Verdict(score=0.5)

    async def mine(problem, think):
        await think.verify(judge, problem, "56")
        think.propose("56")

    assert think(mine).usage == Usage(prompt_tokens=3, output_tokens=4, calls=1, dollars=None)


@pytest.mark.parametrize(("order", "expected"), [("index", "0 1 2"), ("finished", "1 2 0")])
def test_samples_come_in_index_order_unless_asked_otherwise(order, expected):
    def slow_first(request, position):
        return 0.05 if request is model.requests[0] else 0

    async def mine(problem, think):
        async with think.sample(problem.prompt, n=3, order=order) as samples:
            think.propose(" ".join([str(c.identity.ordinal) async for c in samples]))

    model = Speaker(pause=slow_first)
    assert think(mine, model).answer == expected


def test_map_runs_at_once_in_branches_and_gives_results_in_order():
    async def mine(problem, think):
        async def one(number):
            await anyio.sleep(0.02 * (3 - number))
            [completion] = await think.complete(f"{number}?")
            return completion.identity.branch, think.rng.random()

        found = await think.map(one, [1, 2, 3])
        assert [path for path, _ in found] == ["0", "1", "2"]
        think.propose(str([round(draw, 6) for _, draw in found]))

    first, again, other = think(mine), think(mine), think(mine, seed=1)
    assert first.answer == again.answer != other.answer


def test_branches_number_their_children_and_take_marks_until_the_run_ends():
    async def mine(problem, think):
        with think.branch(state="open") as parent, think.branch() as child:
            [inside] = await think.complete(problem.prompt)
        with think.branch(parent, note="second") as sibling:
            pass
        sibling.mark(state="pruned", score=0.1)
        think.propose(f"{parent.path} {child.path} {sibling.path} {inside.identity.branch}")

    assert think(mine).answer == "0 0.0 0.1 0.0"


def test_the_same_seed_asks_the_same_and_another_asks_otherwise():
    seeds = []
    for seed in (0, 0, 1):
        model = Speaker()
        think("self_consistency", model, samples=3, seed=seed)
        seeds.append([request.seed for request in model.requests])
    assert seeds[0] == seeds[1]
    assert not set(seeds[0]) & set(seeds[2])
    assert seeds[0] == list(range(seeds[0][0], seeds[0][0] + 3))


def test_the_cost_so_far_counts_calls_in_flight_and_the_basis_does_not():
    run = think("self_consistency", Speaker(answers("56")), samples=4)
    first = run.curve[0]
    assert first.basis.tokens == 7
    assert first.spent.calls == 4
    assert first.spent.tokens > first.basis.tokens
    assert run.curve[-1].basis == run.curve[-1].spent == run.usage


def test_deliveries_are_numbered_over_the_whole_run():
    news = []
    think("self_consistency", samples=2, observer=news.append)
    numbers = [event.sequence for event in news if isinstance(event, Streamed)]
    proposals = [event.answer.sequence for event in news if isinstance(event, Proposed)]
    assert sorted({*numbers, *proposals}) == sorted([*numbers, *proposals])
    assert isinstance(news[0], RunStarted)
    assert isinstance(news[-1], RunEnded)
    assert sum(isinstance(event, CallStarted) for event in news) == 2


def test_an_observer_that_raises_is_dropped_and_the_run_goes_on():
    def bad(event):
        raise RuntimeError("no screen")

    runner = Runner(plan("x", strategy="direct", model=Speaker()), bad)
    with pytest.warns(UserWarning, match=r"unwatched.*no screen"):
        run = asyncio.run(runner.run())
    assert run.answer == "56"


def test_a_stopped_run_keeps_its_best_answer():
    model = Speaker(pause=lambda request, position: 0 if request is model.requests[0] else 30)
    runner = Runner(plan("x", strategy="self_consistency", samples=3, model=model))
    runner._observer = lambda event: runner.stop() if isinstance(event, Proposed) else None
    run = portal().call(runner.run)
    assert (run.status, run.answer, model.in_flight) == ("stopped", "56", 0)


def test_a_run_cancelled_from_outside_ends_its_calls():
    async def main():
        model = Speaker(pause=lambda request, position: 30)
        task = asyncio.create_task(tttlab.athink("x", model=model, strategy="self_consistency", samples=3))
        while model.started < 3:  # noqa: ASYNC110 - the model is the thing under test
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.in_flight == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategy": "self_consitency"}, "self_consistency"),
        ({"strategy": "self_consistency", "sample": 3}, "'samples'"),
        ({"strategy": "self_consistency", "samples": 0}, "samples=0"),
        ({"strategy": "self_consistency", "samples": "many"}, "number"),
        ({"strategy": "self_consistency", "samples": 2.5}, "number"),
        ({"strategy": "self_consistency", "stop_early": "maybe"}, "true or false"),
        ({"strategy": lambda problem, think: None}, "async def"),
        ({"strategy": 3}, "not a strategy"),
        ({"extract": "nothing_like_it"}, "final_answer"),
        ({"budget": "5 tokns"}, "'tokens'"),
    ],
)
def test_bad_options_are_refused_in_one_line_before_anything_is_spent(options, said):
    model = Speaker()
    with pytest.raises(OptionError, match=said) as refused:
        tttlab.think("x", model=model, **options)
    assert "\n" not in str(refused.value)
    assert model.started == 0


def test_an_empty_prompt_and_an_unknown_sampling_option_are_refused():
    with pytest.raises(OptionError, match="empty"):
        tttlab.think("  \n", model=Speaker())

    async def mine(problem, think):
        await think.complete("x", temprature=1)

    with pytest.raises(RunFailed, match="'temperature'"):
        think(mine)


def test_parameters_may_be_texts_as_from_a_command_line():
    run = think("self_consistency", samples="2", stop_early="true", temperature="0.5")
    assert run.parameters == {"samples": 2, "temperature": 0.5, "max_tokens": 512, "stop_early": True}


def test_a_problem_brings_its_own_reference_and_extractor():
    problem = Problem(prompt="7 * 8?", reference="56", id="mine")
    run = tttlab.think(problem, model=Speaker("56 it is, or 57"), extract="last_number")
    assert (run.answer, run.correct, run.problem.id) == ("57", False, "mine")


def test_a_strategy_inside_another_proposes_for_itself_and_is_charged_to_the_run():
    async def outer(problem, think):
        inner = await think.solve(SelfConsistency(samples=3))
        assert (inner.value, inner.basis.calls) == ("56", 3)
        return think.propose(f"inner said {inner.value}")

    run = think(outer, Speaker(answers("54", "56", "56")), reference="56")
    assert [point.value for point in run.curve] == ["inner said 56"]
    assert run.curve[0].basis == run.usage
    assert run.usage.calls == 3
    connection = tttlab.connect()
    assert connection.execute("SELECT answer FROM answers").fetchall() == [("inner said 56",)]
    assert connection.execute(
        "SELECT path, attributes ->> '$.\"tttlab.branch.strategy\"' FROM branches"
    ).fetchall() == [("0", "self_consistency")]
    assert connection.execute("SELECT count(*) FROM spans WHERE name = 'propose'").fetchone() == (4,)


def test_a_strategy_inside_another_that_meets_its_own_budget_gives_its_best_answer():
    async def outer(problem, think):
        inner = await think.solve(SelfConsistency(samples=8), budget=Budget(calls=2))
        nothing = await think.solve(SelfConsistency(samples=2), budget=Budget(tokens=1))
        return think.propose(f"{inner.value} {nothing.value}")

    run = think(outer)
    assert (run.status, run.answer) == ("ok", "56 None")


def test_another_model_is_asked_by_name_or_as_an_object_and_charged_to_the_same_budgets():
    judge = Speaker("no", name="judge", prompt_tokens=5)

    async def mine(problem, think):
        [said] = await think.complete(problem.prompt)
        [verdict] = await think.complete(said.text, model=judge, role="judge")
        [scripted] = await think.complete(said.text, model="scripted")
        return think.propose(f"{verdict.text} {scripted.text}")

    run = think(mine)
    assert run.answer == "no The answer is 56."
    assert run.usage.calls == 3
    rows = tttlab.connect().execute("SELECT model, role, prompt_tokens FROM calls ORDER BY delivered").fetchall()
    assert rows[:2] == [("speaker", "generator", 3), ("judge", "judge", 5)]


def test_another_model_without_a_price_cannot_be_asked_under_a_budget_in_dollars():
    async def mine(problem, think):
        await think.complete(problem.prompt, model=Speaker(name="unpriced"))

    with pytest.raises(RunFailed, match="none is known for unpriced"):
        think(mine, Speaker(price=Price(prompt=1, output=1)), budget="$1")


def test_what_a_model_cannot_do_is_said_before_anything_is_spent():
    @dataclass(frozen=True)
    class Confident:
        needs = ("logprobs",)

    @dataclass(frozen=True)
    class Mine:
        verifier: object = Confident()

        async def __call__(self, problem, think):
            think.propose("x")

    model = Speaker()
    model.can = Capabilities(seed=True)
    with pytest.raises(OptionError, match=r"confident needs .* give log-probabilities, and speaker cannot"):
        think(Mine(), model)
    assert model.started == 0


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=["exit", "kbd", "close"])
def test_a_strategy_that_raises_what_ends_programs_fails_its_run_and_no_other(raised):
    async def mine(problem, think):
        think.propose("54")
        raise raised

    with pytest.raises(RunFailed, match=type(raised).__name__) as failed:
        think(mine)
    assert failed.value.run.answer == "54"
    assert think("direct").status == "ok"
    statuses = tttlab.connect().execute("SELECT status FROM runs ORDER BY run_id").fetchall()
    assert sorted(statuses) == [("failed",), ("ok",)]


def test_an_error_of_the_strategy_is_not_hidden_behind_a_spent_budget():
    async def mine(problem, think):
        with think.limit(Budget(calls=1)):
            await think.complete(problem.prompt, n=2)
        raise ValueError("a bug")

    with pytest.raises(RunFailed, match="a bug"):
        think(mine, budget=Budget(calls=2))


def test_a_refused_call_is_no_call():
    run = think("self_consistency", samples=5, budget="2 calls")
    rows = tttlab.connect().execute("SELECT count(*), (SELECT sum(calls) FROM usage) FROM calls").fetchall()
    assert rows == [(2, 2)] == [(run.usage.calls, run.usage.calls)]


def test_calls_that_never_began_leave_nothing_open():
    async def mine(problem, think):
        async with think.sample(problem.prompt, n=3):
            pass
        think.propose("done")

    assert think(mine).status == "ok"
    assert tttlab.connect().execute("SELECT count(*) FROM spans WHERE NOT complete").fetchall() == [(0,)]


def test_what_was_spent_when_the_budget_ended_is_counted():
    class Hiding(Speaker):
        async def stream(self, request):
            yield UsageUpdate(Usage(prompt_tokens=3, output_tokens=100, thinking_tokens=100))
            yield Finish("stop")

    run = think("self_consistency", Hiding(), samples=4, budget="50 tokens")
    assert run.status == "budget"
    assert run.usage.tokens == run.usage.calls * 103


def test_proposals_link_each_call_once():
    think("self_consistency", Speaker(answers("56")), samples=6)
    [links] = tttlab.connect().execute("SELECT list(json_array_length(links) ORDER BY step) FROM answers").fetchone()
    assert links == [1] * 6


def test_a_branch_keeps_its_place_whatever_is_said_of_it():
    async def mine(problem, think):
        with think.branch(note="fine") as branch:
            branch.mark(depth="deep")

    with pytest.raises(RunFailed, match="'depth' is given by its place"):
        think(mine)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 0}, "needs its unit"),
        ({"budget": 2000}, "'2000 tokens'"),
        ({"budget": {}}, "needs its unit"),
        ({"budget": Budget(tokens=0)}, "leaves nothing"),
        ({"budget": "1e400 tokens"}, "too large"),
        ({"extract": 3}, "extractor's name"),
        ({"strategy": SelfConsistency}, "SelfConsistency()"),
        ({"strategy": "self_consistency", "samples": float("inf")}, "number"),
        ({"strategy": "direct", "temperature": float("nan")}, "number"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused_in_one_line(options, said):
    model = Speaker()
    with pytest.raises(OptionError, match=said) as refused:
        tttlab.think("x", model=model, **options)
    assert "\n" not in str(refused.value)
    assert model.started == 0


@pytest.mark.parametrize("prompt", [123, None, ["x"]])
def test_a_prompt_that_is_no_text_is_refused(prompt):
    with pytest.raises(OptionError, match="must be a text"):
        tttlab.think(prompt, model=Speaker())


def test_a_lone_surrogate_and_a_number_as_reference_are_taken():
    assert tttlab.think("7 * 8? \ud83d", model=Speaker(), reference=56).correct is True


@pytest.mark.parametrize("options", [{"max_tokens": 0}, {"temperature": -1.0}, {"logprobs": -1}, {"top_p": "x"}])
def test_sampling_that_cannot_be_is_refused(options):
    async def mine(problem, think):
        await think.complete(problem.prompt, **options)

    with pytest.raises(RunFailed, match=next(iter(options))):
        think(mine)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_thinks_with_a_loop_of_its_own():
    think("direct")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(think("direct").answer))
    child.start()
    assert queue.get(timeout=30) == "56"
    child.join()


@pytest.mark.parametrize("cut", ["budget", "stop"])
def test_a_run_that_is_cut_still_counts_the_samples_that_had_finished(cut):
    def first_stalls(request, position):
        return 30 if request is model.requests[0] else 0

    def stop_when_three_have_ended(event):
        ended.extend([event] if isinstance(event, CallEnded) and event.status == "ok" else [])
        if cut == "stop" and len(ended) == 3:
            runner.stop()

    ended = []
    model = Speaker(answers("1", "54", "56", "56"), pause=first_stalls)
    budget = "0.3 s" if cut == "budget" else None
    runner = Runner(
        plan("x", strategy="self_consistency", samples=4, model=model, budget=budget), stop_when_three_have_ended
    )
    run = portal().call(runner.run)
    assert run.status == ("budget" if cut == "budget" else "stopped")
    assert [point.value for point in run.curve] == ["54", "54", "56"]
    assert model.in_flight == 0


def test_a_strategy_that_returns_completions_is_told_what_to_return():
    async def mine(problem, think):
        return await think.complete(problem.prompt)

    with pytest.raises(RunFailed, match=r"returned a list, which is no answer: `complete` gives a list"):
        tttlab.think("What?", strategy=mine, model=Speaker())
