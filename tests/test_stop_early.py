"""The notebook about when to stop sampling, from its bundle: it runs, and what its prose claims holds there."""

import re

import pytest

from tests.kept_notebooks import execute, images, is_kept_as_it_should_be, shown

NUMBER = r"([-+]?\d+\.\d+)"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return execute("stop-early", tmp_path_factory.mktemp("stop"))


def test_it_is_small_and_kept_without_outputs():
    is_kept_as_it_should_be("stop-early", models={"local:countdown"})


def test_its_charts_are_drawn(notebook):
    assert images(notebook) == 2


def test_more_samples_find_what_the_vote_does_not(notebook):
    told = shown(notebook, "from tttlab.experiments.estimators import")
    one, vote, any_of = (
        float(re.search(rf"{name}\s+{NUMBER} \[", told)[1])
        for name in ("one sample is right", r"the majority of \d+", r"some sample of \d+")
    )
    assert one + 0.05 < vote < any_of - 0.2
    assert any_of > 0.9


def against_the_whole_vote(notebook):
    """By rule: tokens saved in percent, and the verdict."""
    [cell] = [cell for cell in notebook.cells if cell.source.startswith("import pandas as pd\n\nwhole")]
    html = cell.outputs[-1]["data"]["text/html"]
    rows = re.findall(r"<tr>\s*<th>(.*?)</th>\s*<td>(.*?)</td>.*?<td>([a-z ]+)</td>\s*</tr>", html, re.DOTALL)
    return {rule: (float(saved.rstrip("%")), verdict) for rule, saved, verdict in rows}


def test_stopping_early_is_free(notebook):
    told = against_the_whole_vote(notebook)
    careful, bold = told["adaptive (to 0.95, at most 24)"], told["adaptive (to 0.9, at most 24)"]
    assert careful[1] == bold[1] == "as good"
    assert 10 < careful[0] < bold[0] < 60


def test_it_stops_where_the_model_agrees_with_itself_and_the_best_is_right_where_no_vote_is(notebook):
    rows = re.findall(rf"\s(\d+)\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}$", shown(notebook, "stops = spread"), re.MULTILINE)
    [few, some, many] = [(float(samples), float(vote), float(best)) for _, samples, vote, best in rows]
    assert few[0] < some[0]
    assert many[0] < some[0]
    assert few[1] < 0.1 < few[2]
    assert many[1] > 0.9


def test_choosing_pays_more_than_voting(notebook):
    told = shown(notebook, "from tttlab.experiments.intervals import difference")
    verdicts = re.findall(r"^best of \d+ by .*?(\w+)$", told, re.MULTILINE)
    assert verdicts == ["better"] * 6
    rules = against_the_whole_vote(notebook)
    assert rules["best of 12 by mean_logprob"][1] == "better"
    best = [line for line in shown(notebook, "print(found)").splitlines() if line.endswith("on the frontier")]
    assert {line.split(" of ")[0].split("  ")[0] for line in best} == {"one sample", "best"}


def test_a_choice_is_given_for_each_budget_and_holds_on_other_problems(notebook):
    reasons = shown(notebook, "from tttlab.experiments.choosing import choose").split("\n\n")
    assert sum("44 recorded problems" in reason for reason in reasons) == 5
    told = shown(notebook, "halves = ")
    lows = [float(low) for low, _ in re.findall(rf"{NUMBER}, {NUMBER}\], n=44 minus a fixed vote", told)]
    assert all(low > 0 for low in lows[:3])
    costs = re.findall(r"at ([\d,]+) tokens against ([\d,]+) a problem", told)
    assert len(costs) == 4
    assert all(int(ours.replace(",", "")) <= int(fixed.replace(",", "")) + 1 for ours, fixed in costs)
