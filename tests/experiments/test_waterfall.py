"""The waterfall says who lost each problem: of miniature trees whose losers are known, imported and recorded alike."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

import tttlab
from tests.experiments import game24_logs as logs
from tttlab.answers import FINAL_ANSWER
from tttlab.errors import OptionError
from tttlab.experiments.importers.tree_of_thought import import_tree_of_thought
from tttlab.experiments.judged_trees import judged_trees
from tttlab.experiments.tasks.game24 import game24, reachable, solvable
from tttlab.experiments.verifier_quality import verifier_quality
from tttlab.experiments.waterfall import Stage, Waterfall, waterfall
from tttlab.models.scripted import Reply
from tttlab.strategies.tree_of_thought import TreeOfThought

EXPECTED = [
    ("proposed", 1, 6, "proposer"),
    ("kept", 1, 5, "evaluator"),
    ("expanded", 1, 5, "search"),
    ("proposed", 2, 4, "proposer"),
    ("kept", 2, 4, "evaluator"),
    ("expanded", 2, 4, "search"),
    ("proposed", 3, 4, "proposer"),
    ("kept", 3, 3, "evaluator"),
    ("expanded", 3, 3, "search"),
    ("answered", None, 2, "last step"),
    ("ranked first", None, 1, "ranking"),
]
WORDS = {
    60: ["sure"] * 3,
    22: ["sure", "likely", "likely"],
    3: ["likely"] * 3,
    2.001: ["likely", "likely", "impossible"],
}


def told(found):
    return [(row.stage, row.depth, row.left, row.loser) for row in found.rows]


def losers(found):
    return [
        "won" if stage is None else stage.loser if stage.depth is None else f"{stage.loser}, depth {stage.depth}"
        for stage in found.lost_at
    ]


def think(problem, **options):
    """Our own tree of thought, with a model that proposes and values what the miniature log holds."""
    asked = Counter()

    def reply(request):
        kind, _, text = request.messages[0].text.partition("\n")
        if kind == "propose":
            proposed = logs.children(problem, "" if text == "(none)" else f"{text}\n")
            return Reply(text="\n".join(thought for thought, _ in proposed), chunk=10_000)
        if kind != "value":
            return "none"  # The answer of a best state that states none.
        above, _, thought = f"\n{text}".rpartition("\n")
        value = dict(logs.children(problem, f"{above[1:]}\n" if above[1:] else ""))[thought]
        asked[text] += 1
        return WORDS.get(value, ["impossible"] * 3)[asked[text] % 3]

    strategy = TreeOfThought(
        depth=4, n_select=2, propose_prompt="propose\n{steps}", value_prompt="value\n{steps}", max_tokens=5000
    )
    puzzle = replace(game24([logs.PUZZLE])[0], id=problem, extractor=FINAL_ANSWER)
    return tttlab.think(puzzle, strategy=strategy, model=tttlab.ScriptedModel(reply), **options)


@pytest.mark.parametrize("truth", [solvable, reachable])
def test_the_loser_of_each_imported_problem_is_found(tmp_path, truth):
    found = waterfall(judged_trees(import_tree_of_thought(logs.tree_log(tmp_path)).run_ids, truth))
    assert told(found) == EXPECTED
    assert losers(found) == list(logs.PROBLEMS)
    assert found.losers == {"proposer": 2, "evaluator": 2, "search": 0, "last step": 1, "ranking": 1}
    assert found.data.column("lost").to_pylist() == [1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1]


def test_our_own_recorded_trees_have_the_same_waterfall():
    runs = [think(problem) for problem in logs.PROBLEMS]
    found = waterfall(judged_trees(runs, solvable))
    assert told(found) == EXPECTED
    assert dict(zip(found.problems, losers(found), strict=True)) == {problem: problem for problem in logs.PROBLEMS}


def test_a_search_that_its_budget_ended_has_lost_what_it_kept():
    found = waterfall(judged_trees([think("won", budget="7 calls"), think("won")], solvable))
    assert losers(found) == ["search, depth 1", "won"]


def test_what_ends_right_was_not_lost_on_the_way():
    stages = (Stage("proposed", 1, "proposer"), Stage("kept", 1, "evaluator"), Stage("answered", None, "last step"))
    good = np.array([[True, False, True], [True, True, False], [False, False, False]])
    found = Waterfall(problems=("lucky", "late", "never"), stages=stages, good=good)
    assert [(row.left, row.lost) for row in found.rows] == [(2, 1), (2, 0), (1, 1)]
    assert [stage and stage.loser for stage in found.lost_at] == [None, "last step", "proposer"]


def test_a_waterfall_needs_as_many_columns_as_stages():
    with pytest.raises(OptionError, match=r"1 problems and 1 stages .* \(2, 1\)"):
        Waterfall(problems=("p",), stages=(Stage("proposed", 1, "proposer"),), good=np.ones((2, 1), dtype=bool))


def test_the_evaluator_is_measured_where_it_judged(tmp_path):
    """Against a count over all pairs, with the states that nobody judged left out."""
    trees = judged_trees(import_tree_of_thought(logs.tree_log(tmp_path)).run_ids, solvable)
    pairs = defaultdict(list)
    for tree in trees:
        for state in tree.states:
            if not state.final and state.good is not None and state.score is not None:
                pairs[state.depth].append((state.score, state.good))
    for each in verifier_quality(trees):
        right = [score for score, good in pairs[each.group] if good]
        wrong = [score for score, good in pairs[each.group] if not good]
        wins = sum((a > b) + (a == b) / 2 for a in right for b in wrong)
        assert each.auc == pytest.approx(wins / (len(right) * len(wrong)))
        assert (each.count, each.right) == (len(right) + len(wrong), len(right))
    assert {each.group for each in verifier_quality(trees)} == {1, 2, 3}


@pytest.mark.parametrize(("evaluate", "nothing"), [("value", None), ("vote", 0)])
def test_a_duplicate_is_not_judged_and_a_worth_of_nothing_where_that_is_no_judgement(tmp_path, evaluate, nothing):
    problem = logs.tree("won", 900)
    first = problem["steps"][0]
    first["new_ys"] += [f"{logs.GOOD_1}\n", "10 - 4 = 6 (left: 5 6 6)\n"]
    first["values"] += [0, 0]
    path = logs.write(tmp_path, [problem], logs.TREES.format(end=901).replace("value", evaluate))
    [tree] = judged_trees(import_tree_of_thought(path).run_ids, solvable)
    assert [(state.path, state.good, state.score) for state in tree.states if state.depth == 1] == [
        ("0", True, 60),
        ("1", False, 0.003),
        ("2", True, None),
        ("3", True, nothing),
    ]


def test_runs_without_a_tree_or_without_a_verdict_are_refused():
    direct = tttlab.think("1 + 1", model=tttlab.ScriptedModel(["2"]), reference="2")
    with pytest.raises(OptionError, match="none of these 1 runs has a tree"):
        judged_trees(direct, solvable)
    unknown = tttlab.think("1 + 1", model=tttlab.ScriptedModel(["2"]))
    with pytest.raises(OptionError, match="needs a reference, or a check"):
        judged_trees([unknown], solvable)
    with pytest.raises(OptionError, match="no run 'nobody'"):
        judged_trees(["nobody"], solvable)


def test_an_evaluator_that_judged_nothing_cannot_be_measured():
    with pytest.raises(OptionError, match="no partial solution of these 0 trees"):
        verifier_quality([])
