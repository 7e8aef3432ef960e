"""What every strategy must do. A new file in `tttlab/strategies/` falls in by itself."""

import dataclasses
from collections import Counter

import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import RunFailed
from tttlab.plan import plan
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


def test_which_call_finishes_first_changes_nothing(name):
    def late_first(request, position):
        return 0.002 * (7 - request.seed % 7)

    quick = think(name, mixed())
    slow = think(name, Speaker(mixed().reply, pause=late_first))
    assert [point.value for point in quick.curve] == [point.value for point in slow.curve]


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


def test_a_stop_keeps_the_best_answer_and_leaves_nothing_running(name):
    model = mixed()

    def stop_at_first_news(event):
        if isinstance(event, (CallEnded, Proposed)):
            runner.stop()

    runner = Runner(plan(QUESTION, strategy=name, model=model), stop_at_first_news)
    run = tttlab.portal.portal().call(runner.run)
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


def test_calls_are_the_same_calls_in_another_run(name):
    think(name, mixed(), seed=1)
    think(name, mixed(), seed=2)
    identities = tttlab.connect().execute("SELECT digest, branch, ordinal FROM calls").fetchall()
    counted = Counter(identities)
    # The first call of each run asks the same, whatever its seed.
    assert max(counted.values()) == 2
