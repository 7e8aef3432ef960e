"""Labels say what a run is part of."""

import json

import pytest

import tttlab
from tttlab.errors import OptionError


def labels():
    return [
        json.loads(row[0] or "null")
        for row in tttlab.connect().execute("SELECT labels FROM runs ORDER BY run_id").fetchall()
    ]


def test_they_are_recorded_with_the_run():
    tttlab.think("2 + 2", model=tttlab.ScriptedModel("4"), labels={"sweep": "pilot", "size": 8, "warm": True})
    assert labels() == [{"sweep": "pilot", "size": 8, "warm": True}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": float("nan")}, "the label 'size' is nan"),
        ({"size": [1]}, r"the label 'size' is \[1\]"),
        ({1: "a"}, "named by a text, not 1"),
        (["sweep"], "give a dict"),
    ],
)
def test_others_are_refused_before_anything_is_spent(given, said):
    with pytest.raises(OptionError, match=said):
        tttlab.think("2 + 2", model=tttlab.ScriptedModel("4"), labels=given)


def test_a_replay_with_the_same_labels_is_the_same_run_and_with_others_one_of_its_own_that_spends_nothing():
    def run(**options):
        return tttlab.think("3 5 8 -> 16", model="local:countdown", replay="reuse", seed=1, **options)

    first = run(labels={"sweep": "a"})
    again, other = run(labels={"sweep": "a"}), run(labels={"sweep": "b"})
    assert again.id == first.id
    assert other.id != first.id
    assert other.new.tokens == 0
    assert sorted(each["sweep"] for each in labels()) == ["a", "b"]
