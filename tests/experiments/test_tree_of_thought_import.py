"""Logs of the tree-of-thought release become runs like any other: miniature ones, whose truth is known."""

import json

import pytest

import tttlab
from tests.experiments import game24_logs as logs
from tttlab.errors import OptionError, StoreError
from tttlab.experiments.importers.tree_of_thought import import_tree_of_thought
from tttlab.experiments.pooling import pool_of


def asked(sql, **values):
    return tttlab.connect().execute(sql, values).fetchall()


def test_samples_are_calls_with_the_verdict_of_the_log(tmp_path):
    done = import_tree_of_thought(logs.sample_log(tmp_path))
    assert (done.runs, done.calls, done.already) == (3, 12, 0)
    assert asked("SELECT problem_id, strategy, model, calls, imported FROM runs ORDER BY run_id") == [
        (f"game24:{idx}", "chain_of_thought", "gpt-4", 4, "tree_of_thought") for idx in (900, 901, 902)
    ]
    assert asked("SELECT run_id, sum(correct::INT), count(DISTINCT answer) FROM calls GROUP BY 1 ORDER BY 1") == [
        (done.run_ids[0], 2, 2),
        (done.run_ids[1], 0, 1),
        (done.run_ids[2], 1, 2),
    ]
    assert pool_of(done.run_ids).correct.tolist() == [
        [True, False, True, False],
        [False, False, False, False],
        [False, True, False, False],
    ]


def test_direct_samples_are_told_from_chains_of_thought(tmp_path):
    import_tree_of_thought(logs.sample_log(tmp_path, prompt="standard"))
    assert asked("SELECT DISTINCT strategy, parameters ->> 'samples' FROM runs") == [("direct", "4")]


def test_the_running_counter_is_taken_apart_where_it_begins_anew(tmp_path):
    import_tree_of_thought(logs.sample_log(tmp_path))
    spent = asked("SELECT output_tokens, prompt_tokens, tokens, round(dollars, 6) FROM runs ORDER BY run_id")
    assert spent == [(70, 140, 210, 0.07), (60, 120, 180, 0.06), (50, 100, 150, 0.05)]


def test_what_the_log_does_not_say_is_null(tmp_path):
    import_tree_of_thought(logs.sample_log(tmp_path)), import_tree_of_thought(logs.tree_log(tmp_path))
    assert asked("SELECT DISTINCT started, seconds, seed FROM runs") == [(None, None, None)]
    assert asked("SELECT DISTINCT started, seconds, tokens, dollars, messages, digest FROM calls") == [(None,) * 6]
    assert asked("SELECT DISTINCT started, ended, seconds FROM branches") == [(None, None, None)]
    assert asked("SELECT DISTINCT prompt FROM runs WHERE strategy <> 'tree_of_thought'") == [(None,)]
    assert asked("SELECT DISTINCT tokens, dollars, seconds FROM usage") == [(None, None, None)]


def test_a_tree_has_its_parents_scores_and_what_became_of_each_state(tmp_path):
    done = import_tree_of_thought(logs.tree_log(tmp_path))
    found = asked(
        """SELECT path, parent_path, depth, state, score, attributes ->> '$."tttlab.branch.thought"'
        FROM branches WHERE run_id = $run ORDER BY depth, path""",
        run=done.run_ids[0],
    )
    assert found[:4] == [
        ("0", "", 1, "expanded", 60, logs.GOOD_1),
        ("1", "", 1, "expanded", 0.003, logs.BAD_1),
        ("0.0", "0", 2, "expanded", 60, logs.GOOD_2),
        ("0.1", "0", 2, "expanded", 3, logs.BAD_2),
    ]
    assert ("1.0", "1", 2, "pruned", 0.003, logs.NOWHERE[1]) in found
    assert [row for row in found if row[3] == "selected"] == [
        ("0.0.0.0", "0.0.0", 4, "selected", 60, logs.RIGHT),
        ("0.0.0.1", "0.0.0", 4, "selected", 0.003, logs.WRONG),
    ]


def test_the_first_ranked_output_is_the_runs_answer(tmp_path):
    done = import_tree_of_thought(logs.tree_log(tmp_path))
    last = dict(zip(logs.PROBLEMS, done.run_ids, strict=True))["ranking"]
    answers = asked("SELECT step, correct, branch, spent_tokens FROM answers WHERE run_id = $run ORDER BY 1", run=last)
    assert answers == [(1, True, "0.0.0.1", 30), (2, False, "0.0.0.0", 30)]
    assert asked("SELECT answer, correct FROM runs WHERE run_id = $run", run=last) == [
        ("(4 * 5) + (10 + 6) = 24", False)
    ]


def test_a_state_that_was_not_judged_has_no_verdict_or_one_without_a_score(tmp_path):
    problem = logs.tree("won", 900)
    first = problem["steps"][0]
    first["new_ys"] += [f"{logs.BAD_1}\n", "10 / 4 = 2.5 (left: 2.5 5 6)\n"]
    first["values"] += [0, 0]
    import_tree_of_thought(logs.write(tmp_path, [problem], logs.TREES.format(end=901)))
    assert asked("SELECT branch, score, error IS NULL FROM verdicts WHERE branch IN ('1', '2', '3') ORDER BY 1") == [
        ("1", 0.003, True),
        ("3", None, False),
    ]
    marked = """SELECT path FROM branches WHERE attributes ->> '$."tttlab.branch.duplicate"'"""
    assert asked(marked) == [("2",)]


def test_importing_a_file_again_adds_nothing(tmp_path):
    path = logs.tree_log(tmp_path)
    first = import_tree_of_thought(path)
    before = asked("SELECT * FROM spans ORDER BY span_id")
    again = import_tree_of_thought(
        path.rename(path.with_name(f"gpt-4_0.7_propose1_value3_greedy2_start{path.name[-8:]}"))
    )
    assert (again.runs, again.branches, again.already, again.run_ids) == (0, 0, 7, first.run_ids)
    assert "7 runs of this file were there already" in str(again)
    assert asked("SELECT * FROM spans ORDER BY span_id") == before


def test_what_was_deleted_can_be_imported_again(tmp_path, own_store):
    from tttlab.store.deletion import delete

    path = logs.tree_log(tmp_path)
    run = import_tree_of_thought(path).run_ids[2]
    delete(own_store, [run])
    assert asked("SELECT count(*) FROM runs") == [(6,)]
    assert (import_tree_of_thought(path).runs, asked("SELECT count(*) FROM runs")) == (1, [(7,)])


def test_imported_runs_go_through_a_bundle(tmp_path, own_store):
    from tttlab.store.bundles import export_bundle
    from tttlab.store.database import connect

    done = import_tree_of_thought(logs.tree_log(tmp_path))
    bundle = export_bundle(connect(own_store), [], tmp_path / "bundle")
    there = "SELECT run_id, imported, started FROM runs ORDER BY 1"
    assert tttlab.connect(bundle.folder).execute(there).fetchall() == [
        (run, "tree_of_thought", None) for run in done.run_ids
    ]


def test_a_folder_of_traces_may_be_named(tmp_path):
    done = import_tree_of_thought(logs.sample_log(tmp_path), store=tmp_path / "elsewhere", labels={"sweep": "cot"})
    other = tttlab.connect(tmp_path / "elsewhere")
    assert other.execute("SELECT DISTINCT labels ->> 'sweep' FROM runs").fetchall() == [("cot",)]
    assert len(pool_of(sweep="cot", connection=other).problems) == len(done.run_ids) == 3
    assert asked("SELECT count(*) FROM runs") == [(0,)]


def test_charts_draw_runs_without_times_or_prompts(tmp_path):
    from tttlab.charts.curve import curve
    from tttlab.charts.run_tree import run_tree

    tree = import_tree_of_thought(logs.tree_log(tmp_path)).run_ids[0]
    samples = import_tree_of_thought(logs.sample_log(tmp_path)).run_ids[0]
    drawn = [run_tree(tree).to_dict(), run_tree(samples).to_dict(), curve(tree).to_dict()]
    assert [["no times" in " ".join(each["title"]["subtitle"])] for each in drawn] == [[True], [True], [False]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log[1].pop("usage_so_far"), "problem number 1 of the log has no 'usage_so_far'"),
        (lambda log: log[1].update(usage_so_fare=log[1].pop("usage_so_far")), "did you mean 'usage_so_fare'"),
        (lambda log: log[0]["infos"].pop(), "problem 900 has 2 outputs and 1 verdicts on them"),
        (lambda log: log[0]["steps"][1]["new_ys"].append("out of the blue"), "goes on from no state that was selected"),
        (lambda log: log[0]["steps"][1]["values"].pop(), "proposals and"),
        (lambda log: log[0]["steps"][0]["select_new_ys"].append("never"), "was selected, and never proposed"),
    ],
)
def test_a_damaged_log_is_named_and_nothing_of_it_written(tmp_path, change, said):
    path = logs.tree_log(tmp_path)
    log = json.loads(path.read_text())
    change(log)
    path.write_text(json.dumps(log))
    with pytest.raises(OptionError, match=said):
        import_tree_of_thought(path)
    assert asked("SELECT count(*) FROM spans") == [(0,)]


def test_another_file_is_told_from_a_log(tmp_path):
    path = logs.tree_log(tmp_path)
    with pytest.raises(OptionError, match=f"did you mean '{path.name}'"):
        import_tree_of_thought(path.with_name(path.name.replace("_end", "_ends")))
    renamed = path.rename(tmp_path / "trees.json")
    with pytest.raises(OptionError, match=r"'trees\.json' does not say which model"):
        import_tree_of_thought(renamed)
    renamed.write_text("{}")
    with pytest.raises(OptionError, match="no list of problems"):
        import_tree_of_thought(renamed)
    renamed.write_text("[{")
    with pytest.raises(OptionError, match="is no JSON"):
        import_tree_of_thought(renamed)


def test_a_store_that_cannot_be_written_to_says_so(tmp_path):
    (tmp_path / "occupied").write_text("a file, no folder")
    with pytest.raises(StoreError, match="cannot be written to"):
        import_tree_of_thought(logs.sample_log(tmp_path), store=tmp_path / "occupied")
