"""The notebook about thinking, sampling and size, from its bundle: it runs, and what its prose claims holds there."""

import re

import pytest

from tests.kept_notebooks import execute, images, is_kept_as_it_should_be, shown

NUMBER = r"([-+]?\d+\.\d+)"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
UNITS = ["output_tokens", "tokens", "flops", "seconds"]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return execute("does-thinking-longer-help", tmp_path_factory.mktemp("thinking"))


def compared(told):
    """By unit: how many answers are bought, and the intervals of the differences from their vote and their coverage."""
    pattern = rf"^(\w+) +buys +(\d+) .*?: {INTERVAL}.*?: {INTERVAL}"
    return {
        unit: (int(bought), tuple(map(float, numbers[:3])), tuple(map(float, numbers[3:])))
        for unit, bought, *numbers in re.findall(pattern, told, re.MULTILINE)
    }


def accuracies(told):
    """The means of one sample, the vote and the coverage, of both ways."""
    means = [float(mean) for mean, *_ in re.findall(INTERVAL, told)]
    return means[:3], means[3:]


def test_it_is_small_and_kept_without_outputs():
    models = {"local:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "local:smollm2"}
    is_kept_as_it_should_be("does-thinking-longer-help", models=models)


def test_its_charts_are_drawn(notebook):
    assert images(notebook) == 3


def test_thinking_helps_and_voting_on_direct_answers_does_not(notebook):
    (direct, vote, some), (chain, chains, _) = accuracies(shown(notebook, "def told"))
    assert direct < 0.25
    assert abs(vote - direct) < 0.1
    assert some > 0.5
    assert 0.5 < chain < chains


def test_one_chain_beats_the_answers_that_it_would_buy_in_every_unit(notebook):
    told = compared(shown(notebook, "def at_equal"))
    assert list(told) == UNITS
    assert all(mean > 1 / 3 and low > 0.25 for _, (mean, low, _), _ in told.values())
    assert {unit for unit, (_, _, (_, low, _)) in told.items() if low > 0} == {"output_tokens", "tokens", "seconds"}
    assert told["tokens"][0] == 1
    assert told["output_tokens"][0] == 5
    assert told["flops"][0] > 20


def test_the_larger_model_once_beats_the_smaller_one_often(notebook):
    (small, vote, some), (large, _, _) = accuracies(shown(notebook, "told(sizes)"))
    assert small < 0.5
    assert small < vote < 0.75
    assert some > 0.9
    assert large == 1
    told = compared(shown(notebook, 'for unit in ("flops", "seconds")'))
    assert list(told) == ["flops", "seconds"]
    assert all(low > 0.2 for _, (_, low, _), _ in told.values())
    assert told["flops"][0] == 108
