"""Monte Carlo tree search against the procedure of RAP (Hao et al., 2023, section 3.3), written here from the paper."""

import math
from random import Random

import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Verdict
from tttlab.errors import OptionError
from tttlab.strategies.mcts import Mcts
from tttlab.types import Capabilities


class World:
    """Random steps and scores: the i-th step after a path, and what a verifier says of a path."""

    def __init__(self, seed):
        self.seed, self.asked = seed, {}

    def steps(self, path, n):
        rng = Random(f"{self.seed} step {path}")
        return [f"the answer is {rng.randint(1, 3)}" if rng.random() < 0.3 else rng.choice("abcd") for _ in range(n)]

    def score(self, path):
        return Random(f"{self.seed} score {path}").randint(0, 9) / 9

    def concluded(self, path):
        return path[-1].split()[-1] if is_final(path) else str(Random(f"{self.seed} end {path}").randint(1, 3))

    def reply(self, request):
        text = request.messages[1].text if len(request.messages) > 1 else ""
        path = tuple(text.strip().split("\n\n")) if text else ()
        if request.sampling.temperature == 0:
            assert path[-1] == "The answer is"
            return self.concluded(path[:-1])
        self.asked[path] = self.asked.get(path, -1) + 1
        return self.steps(path, 3)[self.asked[path]]

    async def verifier(self, problem, candidate, think):
        return Verdict(score=self.score(tuple(candidate.split("\n\n"))))


def is_final(path):
    return bool(path) and "answer" in path[-1]


def search(world, *, iterations, weight, depth):
    """Algorithm 1 of the paper: visits and Q of every state, and the ends with their mean rewards."""
    children, visits, q, ends = {}, {}, {}, {}

    def uct(parent, child):
        n = max(visits.get(child, 0), 1)
        return q.get(child, world.score(child)) + weight * math.sqrt(math.log(visits[parent]) / n)

    def first_best(states, key):
        best = states[0]
        for state in states[1:]:
            if key(state) > key(best):
                best = state
        return best

    for _ in range(iterations):
        path = [()]
        while path[-1] in children:
            path.append(first_best(children[path[-1]], lambda child: uct(path[-1], child)))  # noqa: B023
        while not is_final(path[-1]) and len(path[-1]) < depth:
            state = path[-1]
            children[state] = [(*state, step) for step in dict.fromkeys(world.steps(state, 3))]
            path.append(first_best(children[state], world.score))
        rewards = [world.score(state) for state in path[1:]]
        for place, state in enumerate(path):
            onward = rewards[max(place - 1, 0) :]
            visits[state] = visits.get(state, 0) + 1
            q[state] = max(q.get(state, -math.inf), sum(onward) / len(onward))
        ends[path[-1]] = sum(rewards) / len(rewards)
    return visits, q, ends


def think(model, **parameters):
    return tttlab.think("Q", strategy=Mcts(**parameters), model=model)


def visited(run):
    rows = tttlab.connect().execute(
        """SELECT path, parent_path, CAST(attributes ->> '$."tttlab.branch.visits"' AS INTEGER),
            CAST(attributes ->> '$."tttlab.branch.value"' AS DOUBLE), attributes ->> '$."tttlab.branch.step"'
        FROM branches WHERE run_id = ? ORDER BY depth""",
        [run.id],
    )
    lines, found = {"": ()}, {}
    for path, parent, visits, value, step in rows.fetchall():
        lines[path] = (*lines[parent], step)
        if visits:
            found[lines[path]] = (visits, round(value, 9))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_it_visits_what_the_paper_visits_and_values_it_alike(seed):
    visits, q, ends = search(World(seed), iterations=7, weight=0.7, depth=3)
    world = World(seed)
    model = tttlab.ScriptedModel(world.reply)
    run = think(model, iterations=7, exploration_weight=0.7, depth=3, n_children=3, verifier=world.verifier)
    assert visited(run) == {state: (visits[state], round(q[state], 9)) for state in visits if state}
    best = max(ends, key=ends.get)
    assert run.answer == world.concluded(best)
    assert math.isclose(run.confidence, ends[best])


@pytest.mark.parametrize("output", ["max_value", "max_visits", "vote"])
def test_the_answer_is_taken_by_the_declared_rule(output):
    for seed in range(5):
        visits, q, ends = search(World(seed), iterations=7, weight=1.0, depth=3)
        world = World(seed)
        run = think(
            tttlab.ScriptedModel(world.reply),
            iterations=7,
            depth=3,
            n_children=3,
            verifier=world.verifier,
            output=output,
        )
        if output == "vote":
            votes = {}
            for end, reward in ends.items():
                votes[world.concluded(end)] = votes.get(world.concluded(end), 0) + reward
            assert run.answer == max(votes, key=votes.get)
            continue
        state, rank = (), q if output == "max_value" else visits
        while below := [child for child in visits if len(child) == len(state) + 1 and child[:-1] == state]:
            order = list(dict.fromkeys(world.steps(state, 3)))
            state = max(sorted(below, key=lambda child: order.index(child[-1])), key=rank.get)
        assert run.answer == world.concluded(state)


def test_an_iteration_that_ends_where_an_earlier_one_did_costs_nothing():
    one = think(tttlab.ScriptedModel("the answer is 5"), iterations=1, n_children=2)
    many = think(tttlab.ScriptedModel("the answer is 5"), iterations=20, n_children=2)
    assert one.usage == many.usage
    assert (many.answer, many.usage.calls) == ("5", 2 + 1)  # The second step is the first again: it is not scored.


def test_the_model_rates_its_steps_itself_and_an_unreadable_rating_is_worth_nothing():
    def reply(request):
        text = request.messages[0].text
        if "answer is 2" in text:
            return "Score: 7"
        return "splendid" if "answer is 1" in text else f"the answer is {request.seed % 2 + 1}"

    run = think(tttlab.ScriptedModel(reply), n_children=2, iterations=3)
    assert (run.answer, run.confidence) == ("2", 0.7)


async def likes_good(problem, candidate, think):
    return Verdict(score=0.9 if "good" in candidate else 0.2)


def test_a_random_rollout_is_the_same_with_the_same_seed():
    def run(seed):
        world = World(4)
        strategy = Mcts(iterations=4, depth=4, n_children=3, rollout="random", verifier=world.verifier)
        return tttlab.think("Q", strategy=strategy, model=tttlab.ScriptedModel(world.reply), seed=seed)

    assert visited(run(1)) == visited(run(1))
    assert len({tuple(sorted(visited(run(seed)))) for seed in range(4)}) > 1


def test_a_path_that_cannot_go_on_ends_there_and_the_run_goes_on():
    said = iter(["good", "fine"])

    def reply(request):
        if len(request.messages) == 1:
            return next(said)
        return fault() if "good" in request.messages[1].text else "the answer is 2"

    run = think(Speaker(reply), n_children=2, iterations=6, exploration_weight=3.0, verifier=likes_good, output="vote")
    assert run.status == "ok"
    assert run.curve[-1].votes.keys() >= {"2"}
    states = tttlab.connect().execute("SELECT state FROM branches WHERE depth = 1 ORDER BY path").fetchall()
    assert states == [("failed",), ("expanded",)]


def test_a_step_of_nothing_ends_its_path_and_is_worth_what_the_path_was():
    def reply(request):
        if len(request.messages) == 1:
            return "good"
        return "5" if request.messages[-1].text.endswith("The answer is") else ""

    model = Speaker(reply)
    run = think(model, n_children=1, iterations=1, verifier=likes_good)
    assert (run.answer, run.confidence, model.started) == ("5", 0.9, 3)


def test_a_model_that_says_nothing_is_asked_again_alone():
    model = Speaker(lambda request: "" if model.started < 2 else "5")
    run = think(model, n_children=1, iterations=1)
    assert (run.answer, len(model.requests[-1].messages)) == ("5", 1)


def test_a_model_that_cannot_go_on_from_a_text_is_asked_in_a_turn():
    seen = []

    def reply(request):
        seen.append([message.role for message in request.messages])
        return "think" if len(request.messages) == 1 else "the answer is 1"

    run = think(tttlab.ScriptedModel(reply, can=Capabilities()), n_children=2, iterations=1, verifier=likes_good)
    assert run.answer == "1"
    assert seen[-1] == ["user", "assistant", "user"]


def test_a_budget_in_the_middle_keeps_the_best_path_so_far():
    world = World(2)
    whole = think(tttlab.ScriptedModel(world.reply), depth=3, n_children=3, verifier=world.verifier)
    again = World(2)
    strategy = Mcts(depth=3, n_children=3, verifier=again.verifier)
    first = whole.curve[0]
    cut = tttlab.think(
        "Q", strategy=strategy, model=tttlab.ScriptedModel(again.reply), budget=f"{first.spent.calls} calls"
    )
    assert cut.answer == first.value
    assert cut.status == "budget"


def test_values_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="'max_visits'"):
        Mcts(output="most_visits")
    with pytest.raises(OptionError, match="iterations=0"):
        Mcts(iterations=0)
