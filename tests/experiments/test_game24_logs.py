"""The published Game of 24 logs, through the store, give again what was published, to the printed digits.

The logs are not part of the project: they are looked for in a folder `shared/data` above the repository or beside it,
or in the one that TTTLAB_SHARED names.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import tttlab
from tests.experiments import game24_logs as logs
from tttlab.experiments.coverage_law import coverage_law
from tttlab.experiments.estimators import majority_at_ks, pass_at_ks, single_sample
from tttlab.experiments.importers.tree_of_thought import import_tree_of_thought
from tttlab.experiments.intervals import bootstrap
from tttlab.experiments.judged_trees import judged_trees
from tttlab.experiments.pooling import pool_of
from tttlab.experiments.resampling import resampled_means
from tttlab.experiments.tasks.game24 import is_right, reachable, solvable
from tttlab.experiments.verifier_quality import verifier_quality
from tttlab.experiments.waterfall import waterfall

FILES = {
    "direct": "gpt-4_0.7_naive_standard_sample_100_start900_end1000.json",
    "chain_of_thought": "gpt-4_0.7_naive_cot_sample_100_start900_end1000.json",
    "tree_of_thought": "gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json",
}
FOUND = {strategy: logs.published(name) for strategy, name in FILES.items()}
pytestmark = pytest.mark.skipif(not all(FOUND.values()), reason="the published logs are not there")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "traces"
    done = {strategy: import_tree_of_thought(path, store=folder) for strategy, path in FOUND.items()}
    connection = tttlab.connect(folder)
    pools = {
        strategy: pool_of(done[strategy].run_ids, connection=connection) for strategy in ("direct", "chain_of_thought")
    }
    yield SimpleNamespace(folder=folder, done=done, connection=connection, pools=pools)
    connection.close()


@pytest.fixture(scope="module")
def trees(store):
    return judged_trees(store.done["tree_of_thought"].run_ids, solvable, connection=store.connection)


def asked(store, sql, **values):
    return store.connection.execute(sql, values).fetchall()


@pytest.mark.parametrize(
    ("strategy", "mean", "any_of_100", "output", "prompt", "dollars"),
    [
        ("direct", "7.34", 33, "1,800", "1,000", "0.138"),
        ("chain_of_thought", "4.03", 49, "6,749", "2,185", "0.470"),
    ],
)
def test_samples(store, strategy, mean, any_of_100, output, prompt, dollars):
    right, solved, drawn = asked(
        store,
        """SELECT avg(right_share), sum(any_right::INT), min(drawn) FROM (
            SELECT avg(calls.correct::INT) AS right_share, bool_or(calls.correct) AS any_right, count(*) AS drawn
            FROM calls JOIN runs USING (run_id) WHERE strategy = $strategy GROUP BY problem_id)""",
        strategy=strategy,
    )[0]
    assert (f"{100 * right:.2f}", solved, drawn) == (mean, any_of_100, 100)
    spent = "SELECT avg(output_tokens), avg(prompt_tokens), avg(dollars) FROM runs WHERE strategy = $strategy"
    [(a, b, c)] = asked(store, spent, strategy=strategy)
    assert (f"{a:,.0f}", f"{b:,.0f}", f"{c:.3f}") == (output, prompt, dollars)
    pool = store.pools[strategy]
    assert f"{100 * single_sample(pool.correct).mean():.2f}" == mean
    assert round(100 * pass_at_ks(pool.correct, [100]).mean()) == any_of_100


def test_trees(store):
    any_of_5, mean_of_5, fewest = asked(
        store,
        """SELECT sum(solved::INT), avg(share), min(given) FROM (
            SELECT bool_or(correct) AS solved, avg(correct::INT) AS share, count(*) AS given
            FROM answers GROUP BY run_id)""",
    )[0]
    assert (any_of_5, f"{100 * mean_of_5:.1f}", fewest) == (69, "23.8", 5)
    top_1, output, prompt, dollars = asked(
        store,
        """SELECT sum(correct::INT), avg(output_tokens), avg(prompt_tokens), avg(dollars)
        FROM runs WHERE strategy = 'tree_of_thought'""",
    )[0]
    assert top_1 == 62
    assert (f"{output:,.0f}", f"{prompt:,.0f}", f"{dollars:.3f}") == ("5,479", "13,879", "0.745")


def test_the_loss_waterfall(trees):
    found = waterfall(trees)
    told = [(row.stage, row.depth, row.left) for row in found.rows if row.stage != "expanded"]
    assert told == [
        ("proposed", 1, 97),
        ("kept", 1, 85),
        ("proposed", 2, 77),
        ("kept", 2, 77),
        ("proposed", 3, 75),
        ("kept", 3, 75),
        ("answered", None, 69),
        ("ranked first", None, 62),
    ]
    assert {row.lost for row in found.rows if row.stage == "expanded"} == {0}
    assert found.losers == {"proposer": 13, "evaluator": 12, "search": 0, "last step": 6, "ranking": 7}


def test_no_problem_was_saved_by_a_wrong_step(trees):
    """The rule that what ends right was never lost moves none of these figures: each stage alone gives the same."""
    found = waterfall(trees)
    assert (found.good.sum(axis=0) == found.left.sum(axis=0)).all()


def test_by_exact_arithmetic_the_evaluator_loses_two_more(store):
    """A few states say other numbers than their steps leave; without taking their word the proposer loses one less."""
    done = waterfall(judged_trees(store.done["tree_of_thought"].run_ids, reachable, connection=store.connection))
    assert [row.left for row in done.rows if row.stage != "expanded"] == [96, 84, 76, 76, 76, 74, 69, 62]
    assert done.losers == {"proposer": 12, "evaluator": 14, "search": 0, "last step": 5, "ranking": 7}


def test_the_evaluator_by_numbers_left(trees):
    found = {4 - each.group: f"{each.auc:.3f}" for each in verifier_quality(trees)}
    assert found == {3: "0.766", 2: "1.000", 1: "1.000"}


@pytest.mark.parametrize(
    ("strategy", "a", "b", "residual", "predicted"),
    [
        ("direct", "-2.573", "-0.176", "0.012", "32.1"),
        ("chain_of_thought", "-3.314", "-0.333", "0.004", "48.4"),
    ],
)
def test_the_coverage_law(store, strategy, a, b, residual, predicted):
    right = store.pools[strategy].correct
    whole = coverage_law(right)
    assert (f"{whole.a:.3f}", f"{whole.b:.3f}", f"{whole.residual:.3f}") == (a, b, residual)
    small = coverage_law(right, up_to=10)
    said = 100 * small.at([100])[0].mean
    assert f"{said:.1f}" == predicted
    assert abs(said - 100 * pass_at_ks(right, [100]).mean()) < 1.5


def test_trap_10_the_interval_of_pass_at_10(store):
    """The published one is of plain percentiles; that of `bootstrap` reaches a little further up."""
    estimates = pass_at_ks(store.pools["chain_of_thought"].correct, [10])
    low, high = 100 * np.quantile(resampled_means(estimates, 50_000, seed=0), (0.025, 0.975))
    assert (low, high) == (pytest.approx(15.8, abs=0.2), pytest.approx(27.6, abs=0.2))
    found = bootstrap(estimates[:, 0])
    assert f"{100 * found.mean:.1f}" == "21.5"
    assert (100 * found.low, 100 * found.high) == (pytest.approx(15.8, abs=1), pytest.approx(27.6, abs=1.2))


def test_trap_12_coverage_is_not_the_majority(store):
    pool = store.pools["chain_of_thought"]
    assert f"{100 * majority_at_ks(pool.answers, pool.correct, [100]).mean():.0f}" == "8"
    assert f"{100 * pass_at_ks(pool.correct, [100]).mean():.0f}" == "49"


def test_the_tasks_own_check_agrees_with_all_20_500_verdicts_of_the_logs(store):
    found = asked(
        store,
        """WITH puzzle AS (SELECT problem_id, prompt FROM runs WHERE strategy = 'tree_of_thought'),
        judged AS (SELECT run_id, answer, correct FROM calls UNION ALL SELECT run_id, answer, correct FROM answers)
        SELECT puzzle.prompt, judged.answer, judged.correct
        FROM judged JOIN runs USING (run_id) JOIN puzzle USING (problem_id)""",
    )
    assert len(found) == 20_500
    assert [(puzzle, said) for puzzle, said, right in found if is_right(puzzle, said) != right] == []


def test_importing_them_again_adds_nothing(store):
    before = asked(store, "SELECT count(*) FROM spans")
    again = [import_tree_of_thought(path, store=store.folder) for path in FOUND.values()]
    assert [(each.runs, each.already) for each in again] == [(0, 100)] * 3
    assert asked(store, "SELECT count(*) FROM spans") == before
