"""Sweeps in processes that the user brings: the same answers, each run once in the one store."""

import multiprocessing
import os
import threading
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import Problem
from tttlab.experiments.sweeps import sweep
from tttlab.experiments.sweeps.planning import plan_sweep
from tttlab.experiments.sweeps.sweeper import Sweeper
from tttlab.experiments.tasks.countdown import countdown
from tttlab.models.scripted import ScriptedModel
from tttlab.portal import Interrupted, wait_for

TASK = [Problem(prompt=f"What is 7 times {i}?", reference=str(7 * i), id=f"p{i}") for i in range(2, 8)]
VOTES = {"strategy": "self_consistency", "samples": [1, 4], "seeds": range(2)}


def came_of(result):
    """What came of each place of a sweep, but for ids, times, and what a process had in its cache."""
    return {
        (run.cell, run.problem, run.seed): (run.status, run.answer, run.correct, replace(run.usage, cached_tokens=0))
        for run in result.runs
    }


def in_store():
    """How many runs the default store has, and of how many places."""
    return tttlab.connect().execute("SELECT count(*), count(DISTINCT (labels, problem_id, seed)) FROM runs").fetchone()


def by_process(result):
    return Counter(run.process for run in result.runs)


@pytest.fixture
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_processes_of_a_pool_give_what_this_one_gives(processes, tmp_path):
    model = ScriptedModel(["14", "21", "28"])
    sent = sweep("pool", TASK, model=model, executor=processes, **VOTES)
    assert in_store() == (24, 24)
    assert set(by_process(sent)) <= set(processes._processes)
    assert sum(by_process(sent).values()) == 24
    assert model.started == 0
    assert sent.estimate.tokens > 0
    again = sweep("pool", TASK, model=model, executor=processes, **VOTES)
    assert (again.new.calls, in_store()) == (0, (24, 24))
    tttlab.configure(traces=tmp_path / "other")
    assert came_of(sweep("pool", TASK, model=model, **VOTES)) == came_of(sent)


def test_workers_of_a_dask_cluster_give_what_this_process_gives(tmp_path):
    distributed = pytest.importorskip("distributed")
    task = countdown(4, seed=1)
    options = {
        "model": "local:countdown",
        "strategy": "self_consistency",
        "samples": [1, 3],
        "thinking_budget": [0, 40],
    }
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = set(client.run(os.getpid).values())
        sent = sweep("dask", task, executor=client.get_executor(), **options)
    assert sent.complete
    assert in_store() == (16, 16)
    assert len(workers) == 2
    assert set(by_process(sent)) == workers
    assert os.getpid() not in workers
    tttlab.configure(traces=tmp_path / "other")
    here = sweep("dask", task, **options)
    assert set(by_process(here)) == {os.getpid()}
    assert came_of(here) == came_of(sent)


def test_what_is_configured_here_holds_there(processes, tmp_path):
    tttlab.configure(traces=tmp_path / "elsewhere", allow_code=True)
    assert (
        sweep("home", TASK[:2], model=ScriptedModel("14"), executor=processes, strategy="program_of_thoughts").errors
        == []
    )
    assert in_store() == (2, 2)


def test_what_cannot_be_sent_is_said_of_each_run(processes):
    async def local(problem, think):
        return think.propose("14")

    result = sweep("sent", TASK[:2], model=ScriptedModel(), strategy=local, executor=processes)
    assert [run.status for run in result.runs] == ["failed", "failed"]
    assert "local" in result.errors[0]


class Breaking:
    """An executor whose second future says that its worker is gone."""

    def __init__(self, executor):
        self.executor = executor
        self.sent = 0

    def submit(self, function, *arguments):
        self.sent += 1
        if self.sent != 2:
            return self.executor.submit(function, *arguments)
        future = Future()
        future.set_exception(RuntimeError("the worker is gone"))
        return future


def test_a_worker_that_dies_costs_its_runs_and_these_are_run_when_it_is_started_again():
    with ThreadPoolExecutor(1) as executor:
        result = sweep("dies", TASK[:3], model=ScriptedModel("14"), executor=Breaking(executor), parallel=1)
    assert [run.status for run in result.runs] == ["ok", "failed", "ok"]
    assert result.errors == ["RuntimeError: the worker is gone"]
    model = ScriptedModel("14")
    assert sweep("dies", TASK[:3], model=model).complete
    assert model.started == 1


def test_the_total_holds_for_what_was_sent():
    with ThreadPoolExecutor(1) as executor:
        model = Speaker("one two three four five six 56")
        result = sweep("t", TASK, model=model, executor=executor, parallel=1, total="35 tokens", yes=True)
    assert result.exhausted == "tokens"
    assert 35 <= result.new.tokens <= 37
    assert {run.status for run in result.runs} == {"ok", "stopped"}


def test_an_interrupt_does_not_wait_for_what_was_sent():
    class Slow:
        def __init__(self):
            self.sent = []

        def submit(self, *arguments):
            self.sent.append(Future())
            return self.sent[-1]

    slow = Slow()
    sweeper = Sweeper(plan_sweep("slow", TASK, model=ScriptedModel(), parallel=2, sent=True), slow)

    def interrupt():
        if len(slow.sent) == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        wait_for(sweeper.run, stop=sweeper.stop, while_waiting=interrupt)
    assert caught.value.result.runs == ()
    assert [future.cancelled() for future in slow.sent] == [True, True]


def test_threads_of_this_process_are_left_as_they_are_configured():
    tttlab.configure(replay="reuse")
    with ThreadPoolExecutor(2) as executor:
        result = sweep("threads", TASK, model="scripted", executor=executor, **VOTES)
    assert result.complete
    assert in_store() == (24, 24)
    assert threading.current_thread() is threading.main_thread()
    assert tttlab.options.resolve("traces").source == "environment"
