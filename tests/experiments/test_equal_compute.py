"""Accuracy at equal compute: from steps, from the store, and in SQL."""

import json
import math

import duckdb
import numpy as np
import pytest

import tttlab
from benchmarks import experiments as benchmark
from tests.speaker import Speaker, answers
from tttlab.errors import OptionError
from tttlab.experiments.equal_compute import at_equal_compute, budget_grid, curve
from tttlab.experiments.recorded_curves import UNITS, define_macros, recorded_curves

QUICK = curve("p", [(10, True), (20, False)], total=30)
LATE = curve("q", [(15, None), (25, True)], total=25)


def test_before_the_first_proposal_there_is_no_answer_and_it_is_wrong():
    at = at_equal_compute([QUICK, LATE], [5, 10, 15, 20, 25, 30])
    assert at.problems == ("p", "q")
    assert at.correct.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1]]
    assert at.answered.tolist() == [[0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert at.ended.tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]]
    rows = at.table()
    assert [row.accuracy.mean for row in rows] == [0, 0.5, 0.5, 0, 0.5, 0.5]
    assert [row.answered for row in rows] == [0, 0.5, 0.5, 0.5, 1, 1]


def test_a_run_that_never_answered_counts():
    at = at_equal_compute([QUICK, curve("q", [])], [10])
    assert at.table()[0].accuracy.mean == 0.5
    assert math.isnan(at.table()[0].ended)


def test_runs_of_one_problem_are_averaged_before_problems_are():
    at = at_equal_compute([QUICK, QUICK, curve("p", [(10, False)]), LATE], [10])
    assert at.correct[:, 0] == pytest.approx([2 / 3, 0])
    assert at.table()[0].accuracy.mean == pytest.approx(1 / 3)
    assert at.table()[0].accuracy.problems == 2


def test_a_later_answer_that_rests_on_less_replaces_those_before_it():
    rests = curve("p", [(30, False), (10, True), (20, False)])
    assert at_equal_compute([rests], [5, 10, 20, 30]).correct.tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize("seed", range(20))
def test_a_curve_at_a_budget_is_its_last_affordable_proposal(seed):
    rng = np.random.default_rng(seed)
    spent, right = rng.integers(0, 20, 8), rng.random(8) < 0.5
    budgets = [1, 5, 9, 14, 21]
    affordable = [[flag for cost, flag in zip(spent, right, strict=True) if cost <= budget] for budget in budgets]
    found = at_equal_compute([curve("p", list(zip(spent, right.tolist(), strict=True)))], budgets)
    assert found.correct[0].tolist() == [float(bool(each and each[-1])) for each in affordable]


def test_two_methods_are_compared_on_the_same_problems_and_budgets():
    one = at_equal_compute([QUICK, LATE], [10, 25])
    other = at_equal_compute([LATE, curve("p", [(10, False)])], [10, 25])
    assert [each.mean for each in one.less(other)] == [0.5, 0]
    assert {each.kind for each in one.less(other)} == {"Tango's score over paired problems"}
    with pytest.raises(OptionError, match="same budgets"):
        one.less(at_equal_compute([QUICK, LATE], [10, 26]))
    with pytest.raises(OptionError, match="1 problems are of one method alone, such as 'q'"):
        one.less(at_equal_compute([QUICK], [10, 25]))


def test_a_grid_of_budgets_spans_what_was_spent():
    grid = budget_grid([QUICK, LATE], points=5)
    assert len(grid) == 5
    assert (grid[0], grid[-1]) == (pytest.approx(10), pytest.approx(25))
    with pytest.raises(OptionError, match="no proposal"):
        budget_grid([curve("p", [])])


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: at_equal_compute([], [1]), "no curves"),
        (lambda: at_equal_compute([QUICK], [2, 1]), "rising"),
        (lambda: at_equal_compute([QUICK], []), "rising"),
        (lambda: curve("p", [(math.nan, True)]), "unknown"),
    ],
)
def test_what_cannot_be_compared_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()


def voted(prompt, replies, *, reference="56", price=None):
    model = Speaker(answers(*replies), price=price)
    return tttlab.think(prompt, strategy="self_consistency", samples=4, model=model, reference=reference)


@pytest.fixture
def runs():
    return [voted("7 * 8", ("56", "54", "56", "56")), voted("8 * 7", ("54", "54", "56", "54"))]


def test_recorded_runs_are_curves_in_every_unit(runs):
    store = tttlab.connect()
    for unit, cost in (("prompt_tokens", "basis"), ("calls", "spent"), ("seconds", "spent")):
        found = recorded_curves(*runs, unit=unit, cost=cost)
        assert len({each.problem for each in found}) == 2
        last = at_equal_compute(found, [1e9], unit=unit)
        assert last.correct[:, 0].tolist() == [1, 0]
        assert last.ended[:, 0].tolist() == [1, 1]
    [tokens] = recorded_curves(runs[0].id)
    asked = store.execute("SELECT spent_tokens FROM answers WHERE run_id = ? ORDER BY step", [runs[0].id]).fetchall()
    assert tokens.spent.tolist() == [cost for (cost,) in asked]
    assert tokens.total == store.execute("SELECT tokens FROM runs WHERE run_id = ?", [runs[0].id]).fetchone()[0]


def test_what_a_basis_costs_grows_a_sample_at_a_time(runs):
    [basis] = recorded_curves(runs[1], unit="calls", cost="basis")
    assert basis.spent[0] == 1
    assert basis.spent[-1] >= 2


def test_flops_are_spread_over_the_tokens_of_a_run_of_known_size():
    connection = duckdb.connect()
    for statement in (benchmark._RUNS, benchmark._ANSWERS):
        connection.execute(statement.replace("1000000", "80").replace("25000", "2"))
    connection.execute("ALTER TABLE runs ADD COLUMN output_tokens BIGINT")
    for name in ("status", "prompt", "answer", "confidence", "correct", "seed", "thinking_tokens"):
        connection.execute(f"ALTER TABLE runs ADD COLUMN {name} VARCHAR")
    connection.execute("CREATE TABLE calls AS SELECT run_id, 'ok' AS status, 100 AS tokens, 700.0 AS flops FROM runs")
    tokens = recorded_curves("run-0000000", connection=connection, unit="output_tokens", cost="basis")
    flops = recorded_curves("run-0000000", connection=connection, unit="flops", cost="basis")
    whole = [row[0] for row in connection.execute("SELECT basis_tokens FROM answers LIMIT 40").fetchall()]
    assert len(tokens[0].spent) == 40
    assert flops[0].spent == pytest.approx(7 * np.array(whole))
    assert flops[0].total == 700
    connection.execute("UPDATE calls SET flops = NULL")
    with pytest.raises(OptionError, match="flops of the run run-0000000 are not known"):
        recorded_curves("run-0000000", connection=connection, unit="flops")


def test_every_unit_is_a_cost_that_the_views_can_tell():
    store = tttlab.connect()
    for costs in UNITS.values():
        for expression in costs.values():
            if "computed" not in expression:
                assert store.execute(f"SELECT {expression} FROM answers").fetchall() == []


def test_unknown_prices_runs_units_and_truths_are_refused(runs):
    for ask, why in (
        (lambda: recorded_curves(*runs, unit="dollars"), "dollars of the run"),
        (lambda: recorded_curves(*runs, unit="token"), "tokens"),
        (lambda: recorded_curves(*runs, unit="seconds", cost="basis"), "'spent', not 'basis'"),
        (lambda: recorded_curves("nothing"), "no run 'nothing'"),
        (lambda: recorded_curves(voted("9 * 9", ("81",), reference=None)), "no reference"),
    ):
        with pytest.raises(OptionError, match=why):
            ask()


def test_sql_says_the_same_as_the_curves(runs):
    store = tttlab.connect()
    define_macros(store)
    voted("9 * 9", ("81",), reference=None)
    at_once = {cost for each in recorded_curves(*runs) for cost in each.spent.tolist()}
    budgets = sorted({1, *at_once, 1000})
    rows = store.cursor().execute(
        "SELECT budget, problems, runs, accuracy, answered FROM accuracy_against_compute('spent_tokens', $budgets)",
        {"budgets": budgets},
    )
    at = at_equal_compute(recorded_curves(*runs), budgets)
    assert rows.fetchall() == [(row.budget, 2, 2, row.accuracy.mean, row.answered) for row in at.table()]
    unpriced = store.execute("SELECT accuracy FROM accuracy_against_compute('spent_dollars', [1.0])").fetchall()
    assert unpriced == [(None,)]
    with pytest.raises(duckdb.Error, match="no compute tokns"):
        store.execute("FROM accuracy_against_compute('tokns', [1.0])")


def test_the_tables_of_the_benchmark_have_the_columns_of_the_views():
    store, made = tttlab.connect(), duckdb.connect()
    for statement in (benchmark._RUNS, benchmark._ANSWERS):
        made.execute(statement.replace("1000000", "80").replace("25000", "2"))
    for table in ("runs", "answers"):
        columns = [{row[0] for row in each.execute(f"DESCRIBE {table}").fetchall()} for each in (made, store)]
        assert columns[0] <= columns[1], json.dumps(sorted(columns[0] - columns[1]))
