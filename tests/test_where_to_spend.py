"""The notebook about spreading one budget over many problems, from its bundle: it runs, and its prose holds there."""

import re

import pytest

from tests.kept_notebooks import execute, images, is_kept_as_it_should_be, shown

NUMBER = r"([-+]?\d+\.\d+)"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return execute("where-to-spend", tmp_path_factory.mktemp("spend"))


def intervals(told, beginning):
    """Mean, low and high of each line that begins so."""
    found = re.findall(rf"^{beginning}.*?{INTERVAL}", told, re.MULTILINE)
    return [tuple(map(float, each[-3:])) for each in found]


def test_it_is_small_and_kept_without_outputs():
    is_kept_as_it_should_be("where-to-spend", models={"local:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"})


def test_its_charts_are_drawn(notebook):
    assert images(notebook) == 4


def test_nearly_every_problem_has_a_right_sample_and_the_vote_adds_little(notebook):
    told = shown(notebook, "hard = np.array")
    assert all(mean >= 0.85 for mean, *_ in intervals(told, "    any of 24 is right"))
    gains = intervals(told, "    majority of 24 less one sample:")
    assert len(gains) == 2
    assert all(low < 0 < mean < 0.12 for mean, low, _ in gains)


def test_no_rule_is_clearly_better_than_giving_all_the_same(notebook):
    told = intervals(shown(notebook, "for point in replayed.points"), " *[468] calls a problem, ")
    assert len(told) == 9
    assert all(low < 0 < high + 0.01 and abs(mean) < 0.03 for mean, low, high in told)


def test_stopping_at_what_passes_solves_more_for_the_same_samples(notebook):
    told = intervals(shown(notebook, "for budget in (2, 3, 4)"), "[234] calls a problem: ")
    assert len(told) == 3
    assert all(low > 0.03 and 0.06 < mean < 0.2 for mean, low, _ in told)


def test_the_real_run_agrees_with_the_replay(notebook):
    told = shown(notebook, "spread = {")
    assert re.findall(r"^(\w+) +240 samples", told, re.MULTILINE) == ["uniform", "posterior"]
    [(_, low, high)] = intervals(told, "posterior less uniform:")
    assert low < 0 < high
