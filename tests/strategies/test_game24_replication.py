"""The tree of thought makes the recorded selections of Game of 24 again (Yao et al., 2023; GPT-4, problems 900-999).

The recording is not part of the project: it is looked for in a folder `shared/data` beside the repository or above it,
or in the one that TTTLAB_SHARED names.
"""

import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import tttlab
from tttlab.models.scripted import Reply
from tttlab.strategies.tree_of_thought import TreeOfThought

RECORDING = "data/tree-of-thought-game24/gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json"
LEVELS = 4


def recording():
    """The path of the recording, or None."""
    repository = Path(__file__).parents[2]
    places = [parent / "shared" for parent in repository.parents]
    if named := os.environ.get("TTTLAB_SHARED"):
        places.insert(0, Path(named))
    return next((place / RECORDING for place in places if (place / RECORDING).is_file()), None)


def bare(text):
    """The lines of a recorded state, without a list's numbers, as the strategy takes them from a reply."""
    return tuple(re.sub(r"^\d+\.\s+", "", line).strip() for line in text.removesuffix("\n").split("\n"))


def words_for(value):
    """Three replies whose words are worth `value`: impossible 0.001, likely 1, sure 20, anything else nothing."""
    sure, rest = divmod(round(value * 1000), 20_000)
    likely, impossible = divmod(rest, 1000)
    said = ["sure"] * sure + ["likely"] * likely + ["impossible"] * impossible
    assert len(said) <= 3
    return [*said, *["no idea"] * (3 - len(said))]


def script(steps):
    """A proposer and an evaluator that say what was recorded for one problem."""
    proposals, opinions, asked = defaultdict(list), {}, Counter()
    for step in steps:
        for state, value in zip(step["new_ys"], step["values"], strict=True):
            parent = max((y for y in step["ys"] if state.startswith(y)), key=len)
            key = bare(parent) if parent else ()
            if state.removeprefix(parent) not in proposals[key]:
                proposals[key].append(state.removeprefix(parent))
            # A duplicate has the value 0 there; what was said of the state is what was said of the first.
            opinions.setdefault(bare(state), words_for(value))

    def reply(request):
        kind, _, text = request.messages[0].text.partition("\n")
        state = () if text == "(none)" else tuple(text.split("\n"))
        if kind == "propose":
            return Reply(text="".join(proposals[state]), chunk=10_000)
        if kind == "value":
            asked[state] += 1
            return opinions[state][(asked[state] - 1) % 3]
        return "24"

    return reply


def selections():
    """By run, the states that were selected, level by level, each as its lines."""
    rows = tttlab.connect().execute(
        """SELECT run_id, path, parent_path, depth, state, attributes ->> '$."tttlab.branch.thought"'
        FROM branches ORDER BY depth"""
    )
    lines, chosen = {}, defaultdict(lambda: defaultdict(set))
    for run, path, parent, depth, state, thought in rows.fetchall():
        lines[run, path] = (*lines.get((run, parent), ()), thought)
        if state in ("selected", "expanded"):
            chosen[run][depth].add(lines[run, path])
    return chosen


def solve(problem):
    strategy = TreeOfThought(
        depth=LEVELS, n_generate=100, max_tokens=5000, propose_prompt="propose\n{steps}", value_prompt="value\n{steps}"
    )
    return tttlab.think(
        problem["steps"][0]["x"], strategy=strategy, model=tttlab.ScriptedModel(script(problem["steps"]))
    )


def refused(lines):
    """Proposals that the strategy takes for no step: empty ones, and those that repeat a step before them."""
    return not lines[-1] or lines[-1] in lines[:-1]


@pytest.mark.skipif(recording() is None, reason="the recorded trees are not there")
def test_the_recorded_selections_are_made_again():
    problems = json.loads(recording().read_text(encoding="utf-8"))
    runs = [solve(problem) for problem in problems]
    selected = selections()
    exact = right = 0
    for problem, run in zip(problems, runs, strict=True):
        chosen = selected[run.id]
        whole = True
        for step in problem["steps"]:
            recorded = {bare(state) for state in step["select_new_ys"]}
            steps = {lines for lines in recorded if not refused(lines)}
            # Where a blank line of a reply was selected (in the last level of 4 problems), the next best is taken.
            whole = whole and steps == recorded
            assert steps == chosen[step["step"] + 1] if steps == recorded else steps < chosen[step["step"] + 1]
        exact += whole
        best = problem["ys"][0].strip()
        if "answer:" in best.lower():
            assert run.answer == tttlab.Problem(prompt="").extract(best)
            right += problem["infos"][0]["r"]
    assert len(problems) == 100
    assert exact == 96
    assert right == 62  # The top-1 accuracy of the release.
