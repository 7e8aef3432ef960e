"""Every strategy, served from its own trace: the same calls, answers and end, and no model."""

import random
import time

import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.strategies import strategy_names

QUESTION = "What is 7 times 8?"


@pytest.fixture(params=strategy_names())
def name(request):
    return request.param


def think(name, model, **options):
    return tttlab.think(QUESTION, strategy=name, model=model, **options)


def mixed(pause=None):
    return Speaker(answers("56", "54", "56", "57", "56"), pause=pause)


def ragged(request, position):
    """Pauses that let samples finish in another order than they were asked for."""
    return random.Random(f"{request.seed} {position}").uniform(0, 0.004)


def silent():
    return Speaker(lambda request: fault("a replay asks no model"))


def seen_of(run):
    """What a caller sees of a run: its id, its end, and its curve."""
    points = [
        (point.value, point.confidence, point.votes, point.sequence, point.spent, point.basis) for point in run.curve
    ]
    return run.id, run.status, run.answer, run.usage, points


def replayed(name, run, **options):
    nobody = silent()
    again = think(name, nobody, replay="only", **options)
    assert nobody.started == 0
    assert seen_of(again) == seen_of(run)
    assert again.replayed == run.usage.calls
    assert again.new.tokens == 0
    return again


def rows():
    tttlab.flush()
    connection = tttlab.connect()
    return {
        view: connection.execute(f"SELECT count(*) FROM {view}").fetchone()
        for view in ("runs", "calls", "tokens", "answers", "votes", "branches", "verdicts", "usage", "spans")
    }


def test_its_own_trace_gives_the_same_run_and_adds_nothing_to_the_views(name):
    run = think(name, mixed())
    before = rows()
    replayed(name, run)
    assert rows() == before
    noted = tttlab.connect().execute("SELECT replay_of FROM runs_all WHERE replay_of IS NOT NULL").fetchall()
    assert noted == [(run.id,)]


def test_samples_that_finished_in_another_order_are_replayed_in_that_order(name):
    replayed(name, think(name, mixed(ragged)))


@pytest.mark.parametrize("limit", ["1 tokens", "9 tokens", "20 tokens", "60 tokens", "1 calls", "3 calls"])
def test_a_budget_ends_its_replay_at_the_same_place(name, limit):
    replayed(name, think(name, mixed(ragged), budget=limit), budget=limit)


def test_a_budget_of_time_ends_its_replay_at_the_same_place(name):
    run = think(name, mixed(lambda request, position: 0.004), budget="0.03 s")
    started = time.monotonic()
    again = replayed(name, run, budget="0.03 s")
    assert again.seconds == pytest.approx(run.seconds, abs=0.01)
    assert time.monotonic() - started < 60


def test_a_call_that_failed_fails_again(name):
    model = Speaker(answers("56", fault(), "56", "54", "56"), pause=ragged)
    try:
        run = think(name, model)
    except tttlab.TttlabError as failed:
        with pytest.raises(type(failed), match="the line went dead"):
            think(name, silent(), replay="only")
    else:
        replayed(name, run)
