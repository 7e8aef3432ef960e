"""What every strategy must do. A new file in `tttlab/strategies/` falls in by itself."""

import asyncio
import dataclasses
from collections import Counter
from contextlib import aclosing
from random import Random

import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import RunFailed
from tttlab.plan import plan
from tttlab.portal import portal
from tttlab.progress import CallEnded, Proposed
from tttlab.runner import Runner
from tttlab.strategies import strategy_class, strategy_names

QUESTION = "What is 7 times 8?"


@pytest.fixture(params=strategy_names())
def name(request):
    return request.param


def think(name, model, **options):
    return tttlab.think(QUESTION, strategy=name, model=model, **options)


def mixed():
    return Speaker(answers("56", "54", "56", "57", "56"))


def test_it_is_a_frozen_dataclass_with_defaults_and_says_where_it_comes_from(name):
    cls = strategy_class(name)
    strategy = cls()
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert len(cls.__doc__) > 60
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(strategy, field.name, getattr(strategy, field.name))


def test_it_answers_and_its_answer_is_its_last_proposal(name):
    run = think(name, mixed(), reference="56")
    assert run.status == "ok"
    assert run.answer == "56"
    assert run.correct is True
    assert run.answer == run.curve[-1].value


def test_it_never_sees_the_reference(name):
    seen = []

    async def watched(problem, think):
        seen.append(problem.reference)
        return await strategy_class(name)()(problem, think)

    think(watched, mixed(), reference="56")
    assert seen == [None]


def test_the_same_seed_gives_the_same_curve(name):
    first, again = (think(name, mixed(), seed=3) for _ in range(2))
    assert [(point.value, point.confidence) for point in first.curve] == [
        (point.value, point.confidence) for point in again.curve
    ]
    assert first.usage == again.usage


def late_first(request, position):
    return 0.002 * (7 - request.seed % 7)


def jumbled(number):
    return lambda request, position: Random(f"{number} {request.seed} {position}").uniform(0, 0.004)


@pytest.mark.parametrize("pause", [late_first, jumbled(1), jumbled(2)], ids=["late_first", "jumbled", "jumbled_again"])
def test_which_call_finishes_first_changes_nothing(name, pause):
    quick, slow = think(name, mixed()), think(name, Speaker(mixed().reply, pause=pause))
    assert [(point.value, point.confidence, point.votes) for point in quick.curve] == [
        (point.value, point.confidence, point.votes) for point in slow.curve
    ]


def test_each_proposal_costs_at_least_what_the_one_before_did(name):
    run = think(name, mixed())
    for earlier, later in zip(run.curve, run.curve[1:], strict=False):
        assert earlier.spent.tokens <= later.spent.tokens
        assert earlier.sequence < later.sequence
    for point in run.curve:
        assert 0 < point.basis.tokens <= point.spent.tokens <= run.usage.tokens


@pytest.mark.parametrize("limit", [1, 5, 9, 20])
def test_a_spent_budget_keeps_the_best_answer_and_leaves_nothing_running(name, limit):
    model = mixed()
    run = think(name, model, budget=f"{limit} tokens")
    assert run.status in {"ok", "budget"}
    assert model.in_flight == 0
    assert run.answer == (run.curve[-1].value if run.curve else None)
    if run.status == "ok":
        assert run.usage.tokens <= limit


class Crowd(Speaker):
    """Knows how many streams were open at once."""

    most = 0

    async def stream(self, request):
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                self.most = max(self.most, self.in_flight)
                yield event


def test_a_budget_of_any_size_is_exceeded_by_at_most_one_delivery_a_running_stream(name):
    whole = think(name, mixed()).usage.tokens
    for limit in sorted({*range(1, 8), *(max(1, whole * tenth // 10) for tenth in range(1, 11))}):
        model = Crowd(mixed().reply)
        run = think(name, model, budget=f"{limit} tokens")
        # A delivery is a token, or the host's count of a prompt.
        assert run.usage.tokens <= limit + model.most * model.prompt_tokens
        assert (run.status == "budget") == (run.usage.tokens > limit)
        assert model.in_flight == 0


def test_cancelling_it_at_any_await_leaves_complete_spans_and_no_running_call(name):
    ended = {}
    for turns in (0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 28, 37, 50, 70, 100, 200):
        model = mixed()
        runner = Runner(plan(QUESTION, strategy=name, model=model))
        ended[runner.run_id] = portal().call(_cancelled_after, runner, turns)
        assert model.in_flight == 0
    connection = tttlab.connect()
    assert connection.execute("SELECT count(*) FROM spans WHERE NOT complete").fetchone() == (0,)
    told = dict(connection.execute("SELECT run_id, status FROM runs").fetchall())
    assert told == {run_id: status for run_id, status in ended.items() if status}
    assert "stopped" in told.values()


async def _cancelled_after(runner, turns):
    """The status of a run whose task is cancelled after some turns of the loop; None if it had not begun."""
    task = asyncio.create_task(runner.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    begun = runner.span is not None
    task.cancel()
    try:
        return (await task).status
    except asyncio.CancelledError:
        return "stopped" if begun else None


def test_a_stop_keeps_the_best_answer_and_leaves_nothing_running(name):
    model = mixed()

    def stop_at_first_news(event):
        if isinstance(event, (CallEnded, Proposed)):
            runner.stop()

    runner = Runner(plan(QUESTION, strategy=name, model=model), stop_at_first_news)
    run = portal().call(runner.run)
    assert run.status in {"ok", "stopped"}
    assert model.in_flight == 0


def test_a_model_that_says_nothing_gives_no_answer_and_no_error(name):
    run = think(name, Speaker(""))
    assert (run.status, run.confidence or 0.0) == ("ok", 0.0)
    assert run.answer is None or name == "chain_of_thought"  # whose own words come before the model's


def test_a_model_that_always_fails_fails_the_run_with_its_reason(name):
    with pytest.raises(RunFailed, match="the line went dead"):
        think(name, Speaker(lambda request: fault()))


def test_all_that_it_spent_is_recorded(name):
    run = think(name, mixed())
    connection = tttlab.connect()
    calls, output, delivered = connection.execute(
        "SELECT count(*), sum(output_tokens), count(delivered) FROM calls WHERE run_id = ?", [run.id]
    ).fetchone()
    assert (calls, output) == (run.usage.calls, run.usage.output_tokens)
    assert delivered == calls
    assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (run.usage.output_tokens,)
    proposed = connection.execute("SELECT answer FROM answers WHERE run_id = ? ORDER BY step", [run.id]).fetchall()
    assert [value for (value,) in proposed] == [point.value for point in run.curve]


def test_every_call_branch_and_verdict_has_its_place_in_the_store(name):
    run = think(name, mixed())
    connection = tttlab.connect()
    there = {key for (key,) in connection.execute("SELECT span_key FROM spans WHERE run_id = ?", [run.id]).fetchall()}
    calls = connection.execute(
        "SELECT parent_key, role, branch, tokens, status FROM calls WHERE run_id = ?", [run.id]
    ).fetchall()
    branches = connection.execute(
        "SELECT path, parent_path, parent_key, state FROM branches WHERE run_id = ?", [run.id]
    ).fetchall()
    paths = {"", *(path for path, *_ in branches)}
    assert calls
    for parent, role, branch, tokens, status in calls:
        assert (parent in there, branch in paths) == (True, True)
        assert (bool(role), tokens > 0, status) == (True, True, "ok")
    for _, parent_path, parent, state in branches:
        assert (parent in there, parent_path in paths) == (True, True)
        assert state
    for (parent,) in connection.execute(
        "SELECT spans.parent_key FROM verdicts JOIN spans USING (span_key) WHERE verdicts.run_id = ?", [run.id]
    ).fetchall():
        assert parent in there


def test_calls_are_the_same_calls_in_another_run(name):
    think(name, mixed(), seed=1)
    think(name, mixed(), seed=2)
    identities = tttlab.connect().execute("SELECT digest, branch, ordinal FROM calls").fetchall()
    counted = Counter(identities)
    # The first call of each run asks the same, whatever its seed.
    assert max(counted.values()) == 2
