"""The notebook about the Game of 24, from its bundle: it runs, with the published logs and without them."""

import re

import pytest

from tests.experiments.game24_logs import published
from tests.kept_notebooks import execute, images, is_kept_as_it_should_be, shown

INTERVAL = r"(-?\d\.\d+) \[(-?\d\.\d+), (-?\d\.\d+)\]"
LOG = published("gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json")


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("game")
    return execute("game-of-24", folder, PUBLISHED=str(LOG.parent if LOG else folder / "nothing"), LOTS=20)


def test_it_is_small_and_kept_without_outputs():
    is_kept_as_it_should_be("game-of-24", models={"local:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"})


def test_its_charts_are_drawn(notebook):
    assert images(notebook) == (2 if LOG else 1)


def test_no_puzzle_came_out_right_and_most_were_lost_by_proposer_and_evaluator(notebook):
    told = shown(notebook, "for run, stage in zip(runs")
    losers = re.findall(r"lost by the ([a-z ]+) \(", told)
    assert len(losers) == len(told.splitlines()) == 10
    assert losers.count("proposer") + losers.count("evaluator") >= 7


def test_its_search_is_about_what_lots_would_do(notebook):
    told = shown(notebook, "from functools import cache")
    gains = re.findall(rf"{INTERVAL}, n=10$", told, re.MULTILINE)
    assert len(gains) == 6
    assert all(float(low) < 0 < float(high) for _, low, high in gains)


def test_its_proposals_are_no_better_than_chance(notebook):
    told = shown(notebook, "def proposing").splitlines()
    assert all(float(re.search(r"; (\S+) of 6 differ", line)[1]) < 4.5 for line in told)
    mean, low, high = map(float, re.search(INTERVAL, told[0]).groups())
    assert low < 0 < high
    assert mean < 0.1


def test_its_judgement_is_worth_something_at_the_first_depth_and_misses_living_pairs(notebook):
    first, pairs = re.findall(rf"AUC {INTERVAL}", shown(notebook, "for depth, group in words"))[:2]
    assert float(first[1]) > 0.5
    assert float(pairs[1]) < 0.5


@pytest.mark.skipif(LOG is None, reason="the published logs are not there")
def test_gpt_4_loses_elsewhere(notebook):
    mine, theirs = shown(notebook, "if published:\n    asked").splitlines()
    assert "of 10: [" in mine
    assert int(re.search(r"(\d+)\], lost by", mine)[1]) == 0 < int(re.search(r"(\d+)\], lost by", theirs)[1])
    assert re.search(r"first-ranked +0\.62 \[", shown(notebook, "if published:\n    for kind"))


def test_without_the_published_logs_the_rest_is_left_out(notebook):
    if LOG is None:
        assert "the rest is left out" in shown(notebook, "import tempfile")
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert bool(last.outputs) == bool(LOG)
