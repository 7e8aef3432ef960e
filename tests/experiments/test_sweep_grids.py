"""What a sweep combines, and what is refused before anything is spent."""

import pytest

import tttlab
from tttlab import Problem
from tttlab.errors import ModelError, OptionError
from tttlab.experiments.sweeps import grid, sweep
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.types import Capabilities

PROBLEM = Problem(prompt="What is 7 times 8?", reference="56")


def cells(model=None, problems=(PROBLEM,), **options):
    """What the cells of a sweep are labelled with."""
    model = model or tttlab.ScriptedModel()
    return [dict(cell) for cell in sweep("s", list(problems), model=model, **options).cells]


def test_a_list_a_tuple_and_a_range_are_axes_and_other_values_are_fixed():
    found = cells(strategy="self_consistency", samples=[1, 4], temperature=0.5, max_tokens=range(8, 10))
    assert [(cell["samples"], cell["max_tokens"], cell["temperature"]) for cell in found] == [
        (1, 8, 0.5),
        (1, 9, 0.5),
        (4, 8, 0.5),
        (4, 9, 0.5),
    ]


def test_strategies_with_different_parameters_are_added():
    own = grid(strategy="self_consistency", samples=(1, 4)) + grid(strategy="direct")
    found = cells(cells=own, budget=["9 calls", "8 calls"])
    assert [(cell["strategy"], cell.get("samples"), cell["budget"]) for cell in found] == [
        ("self_consistency", 1, "9 calls"),
        ("self_consistency", 1, "8 calls"),
        ("self_consistency", 4, "9 calls"),
        ("self_consistency", 4, "8 calls"),
        ("direct", None, "9 calls"),
        ("direct", None, "8 calls"),
    ]


def test_objects_are_told_apart_by_what_is_not_the_default():
    async def mine(problem, think):
        return think.propose("56")

    named = [SelfConsistency(samples=4), SelfConsistency(samples=2, temperature=0.1), SelfConsistency(), mine, "direct"]
    assert [cell["strategy"] for cell in cells(strategy=named)] == [
        "self_consistency(samples=4)",
        "self_consistency(samples=2, temperature=0.1)",
        "self_consistency",
        "mine",
        "direct",
    ]


def test_models_are_an_axis_by_name_and_as_objects():
    own = tttlab.ScriptedModel(name="own")
    assert [cell["model"] for cell in cells(model=["scripted", own])] == ["scripted", "own"]


def test_values_are_labelled_as_they_were_understood():
    found = cells(strategy="best_of_n", samples="2", verifier="numeric", extract="last_number", budget="1e3 tokens")
    assert found == [
        {
            "strategy": "best_of_n",
            "samples": 2,
            "verifier": "numeric",
            "extract": "last_number",
            "budget": "1000 tokens",
            "model": "scripted",
        }
    ]


REFUSED = [
    ({"strategy": "self_consitency"}, "did you mean 'self_consistency'"),
    ({"strategy": "self_consistency", "sampels": [1, 2]}, "did you mean 'samples'"),
    ({"strategy": "self_consistency", "budgte": "9 calls"}, "did you mean 'budget'"),
    ({"strategy": ["self_consistency", "direct"], "samples": [1, 2]}, r"direct has no parameter 'samples'.*grid\("),
    ({"strategy": "self_consistency", "samples": [1, 0]}, "samples"),
    ({"strategy": "self_consistency", "samples": []}, "the axis 'samples' has no values"),
    ({"strategy": "self_consistency", "samples": {1, 2}}, "give a list"),
    ({"strategy": "self_consistency", "samples": [4, 4]}, "two cells of the sweep are the same: .*samples=4"),
    ({"strategy": SelfConsistency(), "samples": 2}, "no parameter, 'samples'"),
    ({"cells": grid(samples=[2]), "samples": 2}, "given twice"),
    ({"cells": [{"samples": 2}]}, "give a grid"),
    ({"model": "scriptd"}, "scriptd"),
    ({"model": 7}, "is not a model"),
    ({"model": "local:countdown", "problems": ["3 5 8 -> 16"], "thinking_budget": [0, -1]}, "thinking_budget"),
    ({"model": tttlab.ScriptedModel(can=Capabilities()), "thinking_budget": 5}, "cannot hold its thinking"),
    ({"reference": "56"}, "belongs to its problem"),
    ({"seed": 3}, "it has `seeds`"),
    ({"seeds": [1, 1]}, "has one twice"),
    ({"seeds": []}, "whole numbers"),
    ({"seeds": "01"}, "whole numbers"),
    ({"seeds": 1.5}, "whole numbers"),
    ({"parallel": 0}, "parallel"),
    ({"total": 2000}, "2000 tokens"),
    ({"total": "$1"}, "a budget in dollars needs a price"),
    ({"problems": []}, "has no problems"),
    ({"problems": [PROBLEM, PROBLEM]}, "problems 0, 1 .* have the id"),
    ({"problems": [PROBLEM, "What is 2 + 2?", "What?"]}, "2 of 3 problems have no reference and no check"),
    ({"problems": [PROBLEM, 7]}, "7 is not a problem"),
    ({"problems": 7}, "give a Task"),
    ({"model": "local:countdown", "problems": ["3 5 8 -> 16", "What?"]}, "the problem 'sha256:[0-9a-f]+': "),
    ({"name": " "}, "a sweep has a name"),
    ({"replay": "onyl"}, "'only'"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cannot_work_is_refused_before_anything_is_spent(options, said):
    model = tttlab.ScriptedModel()
    given = {"name": "s", "problems": [PROBLEM], "model": model, **options}
    with pytest.raises((OptionError, ModelError), match=said):
        sweep(given.pop("name"), given.pop("problems"), **given)
    assert model.started == 0
    assert tttlab.connect().execute("SELECT count(*) FROM runs").fetchone() == (0,)
