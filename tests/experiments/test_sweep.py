"""Sweeps: every combination once, paid for once, and kept whatever happens."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Problem, models
from tttlab.errors import OptionError
from tttlab.experiments.sweeps import grid, item, sweep
from tttlab.experiments.sweeps.planning import plan_sweep
from tttlab.experiments.sweeps.sweeper import Sweeper
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.portal import Interrupted
from tttlab.types import Price

TASK = [Problem(prompt=f"What is 7 times {i}?", reference=str(7 * i), id=f"p{i}") for i in range(5, 9)]


def runs(columns="count(*)", where="true"):
    return tttlab.connect().execute(f"SELECT {columns} FROM runs WHERE {where} ORDER BY ALL").fetchall()


@pytest.fixture
def named(monkeypatch):
    """Models that have a name, so that what is recorded of them may serve, however quick they are."""
    monkeypatch.setattr(item, "ASKING", 0.0)

    def name(word, model):
        monkeypatch.setitem(models.NAMES, word, lambda: model)
        return model

    return name


def test_each_combination_is_run_once_on_each_problem_with_each_seed_and_labelled():
    model = ScriptedModel(["56", "49"])
    result = sweep("votes", TASK, model=model, strategy="self_consistency", samples=[1, 3], seeds=range(2))
    assert result.complete
    assert (result.finished, result.asked, len(result.cells)) == (16, 16, 2)
    assert result.axes == ["samples"]
    labels = [(json.loads(each)["samples"], *place) for each, *place in runs("labels, problem_id, seed")]
    assert sorted(labels) == sorted((n, f"p{i}", seed) for n in (1, 3) for i in range(5, 9) for seed in range(2))
    assert {json.loads(row[0])["sweep"] for row in runs("labels")} == {"votes"}
    assert {run.id for run in result.runs} == {row[0] for row in runs("run_id")}
    assert model.started == 2 * 4 * (1 + 3)


def edited(temperature):
    async def mine(problem, think):
        [said] = await think.complete(problem.prompt, temperature=temperature)
        return think.propose(problem.extract(said.text))

    return mine


def test_a_function_that_was_edited_is_run_again_and_one_that_was_not_spends_nothing(named):
    model = named("changing", Speaker("56", name="changing"))
    asked = [
        (sweep("mine", TASK, model="changing", strategy=edited(warmth)).complete, model.started)
        for warmth in (0.7, 0.7, 0.2, 0.2)
    ]
    assert asked == [(True, 4), (True, 4), (True, 8), (True, 8)]


def test_a_run_is_what_think_would_have_made():
    model = ScriptedModel(["56", "49", "63"])
    result = sweep("same", TASK, model=model, strategy="self_consistency", samples=5, seeds=3)
    alone = [tttlab.think(each, model=model, strategy="self_consistency", samples=5, seed=3) for each in TASK]
    assert [(run.answer, run.correct, run.usage) for run in result.runs] == [
        (run.answer, run.correct, run.usage) for run in alone
    ]


def test_the_table_has_a_row_a_cell_with_an_interval_over_problems():
    result = sweep("t", TASK, model=ScriptedModel("56"), strategy="self_consistency", samples=[1, 2])
    table = result.table().to_pylist()
    assert [(row["samples"], row["runs"], row["problems"], row["accuracy"], row["unfinished"]) for row in table] == [
        (1, 4, 4, 0.25, 0),
        (2, 4, 4, 0.25, 0),
    ]
    assert all(0 <= row["low"] <= 0.25 <= row["high"] <= 1 for row in table)
    assert [(row["tokens"], row["calls"]) for row in table] == [(6, 1), (12, 2)]
    assert str(result.of(samples=2)[0].usage.calls) in repr(result)
    assert "<table" in result._repr_html_()


def test_with_one_problem_there_is_no_interval_and_without_references_no_accuracy():
    one = sweep("one", TASK[:1], model=ScriptedModel("56"), seeds=range(3)).rows()[0]
    assert (one["accuracy"], str(one["low"]), str(one["high"])) == (0, "nan", "nan")
    none = sweep("none", ["What?", "Why?"], model=ScriptedModel("56"))
    assert str(none.rows()[0]["accuracy"]) == "nan"
    assert "accuracy" not in repr(none)


def test_abstentions_stay_in_the_denominator_and_are_counted():
    model = Speaker(lambda request: "no number here" if "5" in request.messages[0].text else "56")
    row = sweep("a", TASK, model=model, extract="last_number").rows()[0]
    assert (row["runs"], row["abstained"], row["accuracy"]) == (4, 1, 0.25)


def test_what_was_written_is_escaped():
    said = "<script>alert(1)</script>"
    page = sweep(said, TASK, model=ScriptedModel(name=said), strategy=["direct", "chain_of_thought"])._repr_html_()
    assert "<script" not in page


def test_an_error_in_a_run_costs_that_run_and_it_is_tried_again():
    broken = [True]

    def reply(request):
        return fault() if broken[0] and "7 times 6" in request.messages[0].text else "56"

    result = sweep("e", TASK, model=Speaker(reply))
    assert [run.status for run in result.runs] == ["ok", "failed", "ok", "ok"]
    assert "the line went dead" in result.errors[0]
    assert result.rows()[0]["unfinished"] == 1
    assert "the line went dead" in repr(result)
    broken[0] = False
    again = Speaker(reply)
    assert sweep("e", TASK, model=again).complete
    assert again.started == 1


def test_started_again_it_spends_nothing(named):
    model = named("counted", ScriptedModel(["56", "49"], name="counted"))
    options = {"model": "counted", "strategy": "self_consistency", "samples": [1, 4], "seeds": range(2)}
    first = sweep("again", TASK, **options)
    started = model.started
    second = sweep("again", TASK, **options)
    assert model.started == started
    assert second.new.calls == second.new.tokens == 0
    assert [(run.id, run.answer, run.correct, run.usage) for run in second.runs] == [
        (run.id, run.answer, run.correct, run.usage) for run in first.runs
    ]
    assert runs() == [(16,)]


def test_an_object_without_a_digest_is_known_by_the_sweep_and_its_name():
    sweep("again", TASK, model=ScriptedModel())
    model = ScriptedModel()
    assert sweep("again", TASK, model=model).complete
    assert model.started == 0


def test_what_combinations_share_is_asked_once(named):
    model = named("counted", ScriptedModel(["56", "49"], name="counted"))
    result = sweep("shared", TASK, model="counted", strategy="self_consistency", samples=[1, 4, 16])
    assert model.started == 4 * 16
    assert result.usage.calls == 4 * (1 + 4 + 16)
    assert result.new.calls == 4 * 16


def test_the_total_counts_a_call_that_is_served_once(named):
    named("counted", ScriptedModel(["56", "49"], name="counted"))
    options = {"model": "counted", "strategy": "self_consistency", "samples": [1, 4, 16]}
    result = sweep("exact", TASK, total="64 calls", yes=True, **options)
    assert result.complete
    assert result.new.calls == 64
    assert sweep("exact", TASK, total="64 calls", **options).complete


def test_a_model_that_answers_at_once_is_asked_again_since_that_is_quicker(monkeypatch):
    model = ScriptedModel(["56", "49"], name="instant")
    monkeypatch.setitem(models.NAMES, "instant", lambda: model)
    options = {"model": "instant", "strategy": "self_consistency", "samples": [1, 4]}
    sweep("instant", TASK[:1], **options)
    assert model.started == 1 + 4
    assert sweep("instant", TASK[:1], **options).new.calls == 0


def test_one_that_has_grown_pays_for_what_is_new(named):
    model = named("counted", ScriptedModel(["56", "49"], name="counted"))
    options = {"model": "counted", "strategy": "self_consistency"}
    sweep("growing", TASK[:2], samples=8, **options)
    assert model.started == 16
    result = sweep("growing", TASK[:3], samples=[8, 16], **options)
    assert model.started == 16 + 2 * 8 + 16
    assert result.complete
    assert runs("count(*), count(DISTINCT (labels, problem_id, seed))") == [(6, 6)]


def test_a_run_of_other_parameters_is_not_taken_for_a_finished_one(named):
    named("counted", ScriptedModel(["56", "49"], name="counted"))
    first = sweep("edited", TASK, model="counted", max_tokens=20)
    second = sweep("edited", TASK, model="counted", max_tokens=30)
    assert not {run.id for run in first.runs} & {run.id for run in second.runs}
    prompts = [Problem(prompt=f"{each.prompt} Now.", reference=each.reference, id=each.id) for each in TASK]
    third = sweep("edited", prompts, model="counted", max_tokens=30)
    assert not {run.id for run in second.runs} & {run.id for run in third.runs}


def test_fresh_runs_are_asked_for(named):
    model = named("counted", ScriptedModel(["56", "49"], name="counted"))
    sweep("fresh", TASK, model="counted")
    sweep("fresh", TASK, model="counted", replay="off")
    assert model.started == 8


def test_only_what_is_recorded_runs_without_a_model(named, monkeypatch):
    named("counted", ScriptedModel(["56", "49"], name="counted"))
    options = {"model": "counted", "strategy": "self_consistency"}
    first = sweep("kept", TASK, samples=[2, 4], **options)
    monkeypatch.delitem(models.NAMES, "counted")
    monkeypatch.setenv("TTTLAB_REPLAY", "only")
    again = sweep("kept", TASK, samples=[2, 4], **options)
    assert [run.answer for run in again.runs] == [run.answer for run in first.runs]
    more = sweep("kept", TASK, samples=[2, 5], **options)
    assert [run.status for run in more.runs] == ["ok"] * 4 + ["failed"] * 4
    assert "not recorded" in more.errors[0]


def test_the_total_stops_all_runs_and_a_larger_one_goes_on_where_it_stopped(named):
    model = named("slow", Speaker("one two three four five six 56", name="slow"))
    options = {"model": "slow", "strategy": "self_consistency", "samples": 2, "parallel": 2}
    part = sweep("total", TASK, total="45 tokens", yes=True, **options)
    assert part.exhausted == "tokens"
    assert not part.complete
    assert part.finished >= 1
    # Each stream that was open may exceed it by the one delivery that was on its way.
    assert 45 <= part.new.tokens <= 45 + 4
    assert {run.status for run in part.runs} <= {"ok", "stopped"}
    assert "the total budget is spent (tokens)" in repr(part)
    asked = model.started
    assert sweep("total", TASK, total="45 tokens", yes=True, **options).new.tokens == 0
    assert model.started == asked
    whole = sweep("total", TASK, total="1000 tokens", **options)
    assert whole.complete
    assert {run.status for run in whole.runs} == {"ok"}


@pytest.mark.parametrize("total", ["3 calls", "$0.00001", "0.3 s"])
def test_a_total_is_kept_in_every_unit(total):
    model = Speaker("one two three 56", price=Price(prompt=1, output=1), pause=lambda request, place: 0.02)
    result = sweep("unit", TASK * 1, model=model, total=total, yes=True, parallel=1, seeds=range(5))
    assert 1 <= result.finished < 20
    assert result.exhausted == {"3": "calls", "$": "dollars", "0": "seconds"}[total[0]]
    assert all(run.finished for run in result.runs if run.status != "stopped")


def test_a_run_that_the_total_refuses_a_call_is_no_result_and_goes_on_later(named):
    model = named("counted", ScriptedModel(["56", "49"], name="counted"))
    options = {"model": "counted", "strategy": "self_consistency", "samples": 4, "parallel": 1}
    part = sweep("refused", TASK, total="6 calls", yes=True, **options)
    assert [run.status for run in part.runs] == ["ok", "stopped"]
    assert (part.exhausted, model.started) == ("calls", 6)
    assert sweep("refused", TASK, **options).complete


def test_a_run_sees_nothing_of_the_total():
    seen = []

    async def curious(problem, think):
        seen.append(think.budget)
        await think.complete(problem.prompt)
        return think.propose("56")

    sweep("blind", TASK, model=ScriptedModel(), strategy=curious, total="9000 tokens")
    assert {str(budget) for budget in seen} == {"no limit"}


def test_a_run_that_its_own_budget_ended_is_finished(named):
    model = named("counted", ScriptedModel("one two three 56", name="counted"))
    sweep("own", TASK, model="counted", strategy="self_consistency", samples=8, budget="20 tokens")
    asked = model.started
    result = sweep("own", TASK, model="counted", strategy="self_consistency", samples=8, budget="20 tokens")
    assert {run.status for run in result.runs} == {"budget"}
    assert result.complete
    assert model.started == asked


def interrupted_when(condition):
    """Interrupt this thread, as a user does, once it holds true."""

    def wait():
        while not condition():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends a process no interrupt alone")
def test_an_interrupt_keeps_what_there_was(named):
    def reply(request):
        return "56" if "times 5" in request.messages[0].text else "one two three"

    def pause(request, place):
        return 0 if "times 5" in request.messages[0].text or place < 2 else 60

    model = named("stalls", Speaker(reply, pause=pause, name="stalls"))
    interrupted_when(lambda: model.in_flight == 1 and model.started == 2)
    with pytest.raises(Interrupted) as caught:
        sweep("stopped", TASK, model="stalls", parallel=2)
    partial = caught.value.result
    assert [run.status for run in partial.of() if run.problem == "p5"] == ["ok"]
    assert {run.status for run in partial.runs} == {"ok", "stopped"}
    assert "started again, it goes on where it stopped" in repr(partial)
    assert model.in_flight == 0
    quick = named("stalls", Speaker("56", name="stalls"))
    assert sweep("stopped", TASK, model="stalls").complete
    assert quick.started == 3


KILLED = """
import tttlab
from tttlab import Problem, models
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.experiments.sweeps import sweep
first = {}
def reply(request):
    place = request.seed - first.setdefault(request.messages, request.seed)
    return Reply(text=f"The answer is {request.seed % 3}.", stall_after=None if place < 8 else 2)
models.NAMES["slow"] = lambda: ScriptedModel(reply, name="slow")
task = [Problem(prompt=f"What is 7 times {i}?", reference=str(7 * i), id=f"p{i}") for i in range(5, 9)]
sweep("killed", task, model="slow", strategy="self_consistency", samples=12, parallel=4)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_and_started_again_it_pays_for_no_call_twice(named):
    killed = subprocess.Popen([sys.executable, "-c", KILLED])
    ended = "SELECT count(*) FROM calls WHERE status = 'ok'"
    try:
        _wait_until(lambda: tttlab.connect().execute(ended).fetchone()[0] >= 16)
    finally:
        killed.kill()
        killed.wait()
    [there] = tttlab.connect().execute(ended).fetchone()
    assert {status for (status,) in runs("status")} == {"incomplete"}
    model = named("slow", ScriptedModel(lambda request: f"The answer is {request.seed % 3}.", name="slow"))
    result = sweep("killed", TASK, model="slow", strategy="self_consistency", samples=12)
    assert result.complete
    assert model.started == 4 * 12 - there
    assert {run.usage.calls for run in result.runs} == {12}


def _wait_until(condition):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def test_what_it_will_cost_is_told_from_a_pilot_that_is_part_of_it():
    model = ScriptedModel("56")
    result = sweep("pilot", TASK, model=model, strategy="self_consistency", samples=[1, 3], seeds=range(2))
    assert result.estimate.runs == 12
    assert result.estimate.tokens == 6 * 6 + 6 * 18
    assert result.estimate.basis == "from the first 4 runs"
    assert model.started == 8 * 4


def test_and_from_what_is_recorded_of_the_same_kind():
    model = ScriptedModel("56")
    for _ in range(3):
        tttlab.think("What?", model=model, strategy="self_consistency", samples=3)
    tttlab.think("What?", model=model, strategy="self_consistency", samples=2)
    estimate = sweep("known", TASK, model=model, strategy="self_consistency", samples=3).estimate
    assert (estimate.runs, estimate.tokens, estimate.calls) == (4, 4 * 3 * 2, 12)
    assert estimate.basis == "from 3 recorded runs of the same kind"
    assert estimate.seconds > 0


def test_where_the_first_runs_fail_it_says_that_it_does_not_know():
    estimate = sweep("unknown", TASK, model=Speaker(lambda request: fault())).estimate
    assert estimate.tokens is None
    assert str(estimate) == (
        "2 runs, whose cost is not known: nothing like 2 of them is recorded, and none of the first came to its end"
    )


def test_one_that_is_estimated_beyond_its_total_asks_first():
    model, asked = ScriptedModel("56"), []
    options = {"model": model, "total": "40 tokens", "seeds": range(4), "progress": False}
    with pytest.raises(OptionError, match=r"estimated at 14 runs, about 84 tokens.*larger total.*yes=True"):
        sweep("dear", TASK, **options)
    assert model.started == 2
    with pytest.raises(OptionError, match="it was not gone on with"):
        sweep("dear", TASK, confirm=asked.append, **options)
    assert "Go on?" in asked[0]
    assert model.started == 2
    assert sweep("dear", TASK, confirm=lambda question: True, **options).exhausted == "tokens"
    assert sweep("cheap", TASK, model=model, total="4000 tokens").complete


def test_it_goes_problem_by_problem_so_that_a_part_compares_all_cells():
    order = []

    async def noting(problem, think, size=1):
        order.append((problem.id, size))
        return think.propose("56")

    sweep("order", TASK, model=ScriptedModel(), strategy=noting, size=[1, 2], parallel=1)
    assert order == [(f"p{i}", size) for i in range(5, 9) for size in (1, 2)]


def test_so_many_runs_at_once_as_the_model_takes():
    def plan(**options):
        return plan_sweep("n", TASK, model=ScriptedModel(), **options).parallel

    assert plan(strategy="direct") == 16
    assert plan(strategy="self_consistency", samples=4) == 4
    assert plan(strategy="self_consistency", samples=64) == 2
    assert plan(strategy="direct", parallel=7) == 7
    model = ScriptedModel(Reply(text="a b c 56", seconds_per_token=0.01))
    most = []
    model._replies = lambda request: most.append(model.in_flight) or Reply(text="a b 56", seconds_per_token=0.01)
    sweep("most", TASK, model=model, parallel=3, seeds=range(3))
    assert max(most) == 2  # Told before it counts itself.


def test_a_bar_shows_how_far_it_is_and_one_that_fails_does_not_matter(capsys, monkeypatch):
    assert sweep("seen", TASK, model=ScriptedModel("56"), progress=True).complete
    shown = capsys.readouterr().err
    assert "seen: 100%" in shown
    assert "4/4" in shown
    assert "24 tokens" in shown
    assert "from the first 2 runs" in shown
    monkeypatch.setattr("tqdm.auto.tqdm.refresh", lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match="the progress bar failed"):
        assert sweep("unseen", TASK, model=ScriptedModel("56"), progress=True).complete


def test_a_cancelled_sweep_in_code_that_is_asynchronous_leaves_no_stream_open():
    opened = asyncio.Event()
    model = Speaker("56", pause=lambda request, place: opened.set() or 60)

    async def main():
        task = asyncio.create_task(Sweeper(plan_sweep("c", TASK, model=model)).pilot())
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert model.in_flight == 0
    assert {status for (status,) in runs("status")} == {"stopped"}


def test_a_served_call_has_the_times_at_which_it_ran(named):
    named("timed", ScriptedModel(Reply(text="a b 56", seconds_per_token=0.02), name="timed"))
    first = sweep("times", TASK[:1], model="timed", strategy="self_consistency", samples=[2, 3])
    again = sweep("later", TASK[:1], model="timed", strategy="self_consistency", samples=[2])
    assert again.new.calls == 0
    assert again.runs[0].seconds == pytest.approx(first.runs[0].seconds, abs=0.05)
    assert again.runs[0].seconds > 0.04


def test_its_runs_are_found_by_their_labels():
    cells = grid(strategy="self_consistency", samples=[1, 2]) + grid(strategy="direct")
    sweep("found", TASK, model=ScriptedModel("56"), cells=cells)
    found = runs(
        "labels ->> 'strategy', (labels ->> 'samples')::INT, count(*)", "labels ->> 'sweep' = 'found' GROUP BY ALL"
    )
    assert found == [("direct", None, 4), ("self_consistency", 1, 4), ("self_consistency", 2, 4)]
