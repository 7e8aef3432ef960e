"""Where the published Game of 24 logs are, and miniature ones of the same formats whose truth is known."""

import json
import os
from pathlib import Path

SAMPLES = "gpt-4_0.7_naive_{prompt}_sample_{samples}_start900_end{end}.json"
TREES = "gpt-4_0.7_propose1_value3_greedy2_start900_end{end}.json"
PUZZLE = "4 5 6 10"

# What is proposed where, each with the value of three opinions. What is not here is one proposal that leads nowhere.
GOOD_1, GOOD_2, GOOD_3 = "4 * 5 = 20 (left: 6 10 20)", "10 - 6 = 4 (left: 4 20)", "4 + 20 = 24 (left: 24)"
BAD_1, WORSE_1 = "6 * 10 = 60 (left: 4 5 60)", "5 + 6 = 11 (left: 4 10 11)"
BAD_2, BAD_3 = "6 + 10 = 16 (left: 16 20)", "20 - 4 = 16 (left: 16)"
RIGHT, WRONG = "Answer: (4 * 5) + (10 - 6) = 24", "Answer: (4 * 5) + (10 + 6) = 24"
NOWHERE = {0: "10 / 5 = 2 (left: 2 2 2)", 1: "60 - 4 = 56 (left: 5 56)", 2: "5 - 56 = -51 (left: -51)", 3: "nothing"}
WON = {
    "": [(GOOD_1, 60), (BAD_1, 0.003)],
    GOOD_1: [(GOOD_2, 60), (BAD_2, 3)],
    GOOD_2: [(GOOD_3, 60), (BAD_3, 0.003)],
    GOOD_3: [(RIGHT, 60), (WRONG, 0.003)],
}
PROBLEMS = {
    "won": WON,
    "proposer, depth 1": {**WON, "": [(BAD_1, 60), (WORSE_1, 3)]},
    "evaluator, depth 1": {**WON, "": [(BAD_1, 60), (WORSE_1, 3), (GOOD_1, 2.001)]},
    "proposer, depth 2": {**WON, GOOD_1: [(BAD_2, 60)]},
    "evaluator, depth 3": {**WON, GOOD_2: [(BAD_3, 60), ("4 * 20 = 80 (left: 80)", 22), (GOOD_3, 3)]},
    "last step": {**WON, GOOD_3: [(WRONG, 60)]},
    "ranking": {**WON, GOOD_3: [(WRONG, 60), (RIGHT, 3)]},
}
"""One problem for each way of losing, under the name of who loses it."""


def published(name):
    """The path of a published log, or None."""
    places = [parent / "shared" for parent in Path(__file__).parents]
    if named := os.environ.get("TTTLAB_SHARED"):
        places.insert(0, Path(named))
    found = [place / "data/tree-of-thought-game24" / name for place in places]
    return next((path for path in found if path.is_file()), None)


def children(problem, state):
    """What is proposed at a state: pairs of a thought and its value."""
    lines = state.split("\n")[:-1]
    return PROBLEMS[problem].get(lines[-1] if lines else "", [(NOWHERE[len(lines)], 0.003)])


def tree(problem, idx, *, select=2):
    """One problem as the release logs it."""
    steps, frontier = [], [""]
    for number in range(4):
        grown = [(f"{state}{thought}\n", value) for state in frontier for thought, value in children(problem, state)]
        kept = [state for state, _ in sorted(grown, key=lambda pair: -pair[1])[:select]]
        states, values = [state for state, _ in grown], [value for _, value in grown]
        named = {"step": number, "x": PUZZLE, "ys": frontier}
        steps.append({**named, "new_ys": states, "values": values, "select_new_ys": kept})
        frontier = kept
    infos = [{"r": int(state.endswith(f"{RIGHT}\n"))} for state in frontier]
    return {"steps": steps, "idx": idx, "ys": frontier, "infos": infos}


def write(folder, problems, name):
    """A log of these problems, which spend 70, 60, 50 ... The counter of the usage begins anew at the third."""
    counter, logged = 0, []
    for place, problem in enumerate(problems):
        spent = 70 - 10 * place
        counter = spent if place == 2 else counter + spent
        usage = {"completion_tokens": counter, "prompt_tokens": 2 * counter, "cost": counter / 1000}
        logged.append({**problem, "usage_so_far": usage})
    path = folder / name
    path.write_text(json.dumps(logged), encoding="utf-8")
    return path


def tree_log(folder):
    """The miniature log of whole trees."""
    problems = [tree(name, 900 + place) for place, name in enumerate(PROBLEMS)]
    return write(folder, problems, TREES.format(end=900 + len(problems)))


def sample_log(folder, *, prompt="cot"):
    """A miniature log of samples: three problems with four samples each, of which 2, 0 and 1 are right."""
    right = [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    problems = [
        {"idx": 900 + place, "ys": [f"Steps: ...\n{RIGHT if each else WRONG}" for each in verdicts]}
        | ({"infos": [{"r": each} for each in verdicts]} if prompt == "cot" else {"accs": [bool(e) for e in verdicts]})
        for place, verdicts in enumerate(right)
    ]
    return write(folder, problems, SAMPLES.format(prompt=prompt, samples=4, end=903))
