"""`auto` is the strategy, with its size, that the record of the model speaks for."""

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.experiments.tasks.countdown import countdown


def recorded(count, samples):
    for puzzle in countdown(count, seed=3):
        tttlab.think(
            puzzle,
            strategy="self_consistency",
            samples=samples,
            stop_early=False,
            model="local:countdown",
            thinking_budget=25,
        )


def test_it_is_chosen_within_the_budget_and_the_run_says_why():
    recorded(12, 8)
    run = tttlab.think(
        "6 10 7 -> 18", strategy="auto", model="local:countdown", budget="400 tokens", thinking_budget=25
    )
    assert run.strategy != "auto"
    [reason] = run.notes
    assert reason.startswith("chosen: ")
    assert "12 recorded problems of local:countdown" in reason
    [(said, source)] = (
        tttlab.connect()
        .execute(
            "SELECT strategy, options ->> '$.strategy.source' FROM runs WHERE prompt = $prompt",
            {"prompt": "6 10 7 -> 18"},
        )
        .fetchall()
    )
    assert (said, source) == (run.strategy, "auto")


def test_a_replay_takes_what_was_chosen_then_whatever_was_recorded_since():
    def asked(replay):
        return tttlab.think(
            "6 10 7 -> 18",
            strategy="auto",
            model="local:countdown",
            budget="400 tokens",
            thinking_budget=25,
            replay=replay,
        )

    recorded(12, 4)
    first = asked("reuse")
    recorded(30, 8)
    for mode in ("reuse", "only"):
        again = asked(mode)
        assert (again.answer, again.parameters, again.notes, again.new.tokens) == (
            first.answer,
            first.parameters,
            first.notes,
            0,
        )
    assert asked("off").notes != first.notes


def test_where_little_is_recorded_it_says_what_to_record():
    with pytest.raises(OptionError, match="record"):
        tttlab.think("6 10 7 -> 18", strategy="auto", model="local:countdown")


def test_it_takes_no_parameters():
    with pytest.raises(OptionError, match="leave out samples"):
        tttlab.think("6 10 7 -> 18", strategy="auto", model="local:countdown", samples=3)
