"""The tree of thought against the algorithms of the paper, written from the paper (Yao et al., 2023, section 3)."""

from random import Random

import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab.errors import OptionError
from tttlab.strategies.tree_of_thought import TreeOfThought
from tttlab.types import Capabilities

WORDS = {"impossible": 0.001, "likely": 1, "sure": 20}
PROMPTS = {
    "propose_prompt": "propose\n{steps}",
    "value_prompt": "value\n{steps}",
    "vote_prompt": "vote\n{choices}",
    "sample_prompt": "sample",
}


def world(seed, *, answers=0.2):
    """A random tree: what is proposed at a state, and the three words said of it. Made as it is asked for."""
    made = {}

    def look(state):
        if state not in made:
            rng = Random(f"{seed} {state}")
            names = [
                f"the answer is {rng.randint(1, 9)}" if rng.random() < answers else f"step {rng.choice('abcde')}"
                for _ in range(rng.randint(0, 4))
            ]
            words = [rng.choice(["impossible", "likely", "sure", "who knows"]) for _ in range(3)]
            made[state] = names, words
        return made[state]

    return look


def speaking(look):
    """The model that says what is in a world."""
    asked = {}

    def reply(request):
        kind, _, text = request.messages[0].text.partition("\n")
        state = () if text == "(none)" else tuple(text.split("\n"))
        if kind == "propose":
            return "\n".join(f"{number}. {thought}" for number, thought in enumerate(look(state)[0], 1))
        if kind == "value":
            asked[state] = asked.get(state, -1) + 1
            return f"It could be unlikely.\n{look(state)[1][asked[state] % 3].capitalize()}."
        return "77"  # The answer of a state that states none.

    return tttlab.ScriptedModel(reply)


def value(look, state):
    return sum(WORDS.get(word, 0) for word in look(state)[1])


def children(look, state):
    return [(*state, thought) for thought in look(state)[0] if thought not in state]


def is_final(state):
    return bool(state) and state[-1].startswith("the answer")


def stated(state):
    return state[-1].split()[-1] if is_final(state) else "77"


def breadth_first(look, *, depth, keep):
    """Algorithm 1 of the paper; states that are final stay, duplicates are worth 0. The levels that were selected."""
    frontier, values, levels = [()], {}, []
    for _ in range(depth):
        grown, seen = [], set()
        for state in frontier:
            if is_final(state):
                grown.append((values[state], state))
                continue
            for child in children(look, state):
                values.setdefault(child, value(look, child))
                grown.append((0 if child in seen else values[child], child))
                seen.add(child)
        if not grown or all(is_final(state) and state in frontier for _, state in grown):
            frontier = [state for _, state in grown] or frontier
            break
        # Stable: the first seen among equals.
        frontier = [state for _, state in sorted(grown, key=lambda pair: -pair[0])][:keep]
        levels.append(frontier)
    return levels, frontier[0]


def depth_first(look, *, depth, leaves, threshold):
    """Algorithm 2 of the paper, ended at so many leaves. The leaves in the order in which they are found."""
    found = []

    def visit(state):
        scored, seen = [], set()
        for child in children(look, state):
            unread = all(word not in WORDS for word in look(child)[1]) and child not in seen
            scored.append((0 if child in seen else value(look, child), unread, child))
            seen.add(child)
        for worth, unread, child in sorted(scored, key=lambda entry: -entry[0]):
            if len(found) >= leaves or (worth <= threshold and not unread):
                continue
            if is_final(child) or len(child) == depth:
                found.append((worth, child))
            else:
                visit(child)

    visit(())
    return found


def think(model, **parameters):
    return tttlab.think("Q", strategy=TreeOfThought(**PROMPTS, **parameters), model=model)


def branches(run, *states):
    """The texts of the run's branches that are in one of these states, from the root down."""
    rows = (
        tttlab.connect()
        .execute(
            """SELECT path, parent_path, state, score, attributes ->> '$."tttlab.branch.thought"'
            FROM branches WHERE run_id = ? ORDER BY depth, path""",
            [run.id],
        )
        .fetchall()
    )
    lines = {"": ()}
    for path, parent, _, _, thought in rows:
        lines[path] = (*lines[parent], thought)
    return [(lines[path], score) for path, _, state, score, _ in rows if state in states]


@pytest.mark.parametrize("seed", range(15))
def test_breadth_first_selects_what_the_paper_selects(seed):
    look = world(seed)
    levels, best = breadth_first(look, depth=3, keep=2)
    run = think(speaking(look), depth=3, n_select=2)
    assert run.status == "ok"
    assert run.answer == stated(best)
    selected = [state for state, _ in branches(run, "selected", "expanded")]
    wanted = {state for level in levels for state in level if not is_final(state) or state in levels[-1]}
    assert set(selected) == wanted
    for state, score in branches(run, "selected", "expanded", "pruned"):
        assert round(score, 9) in (round(value(look, state), 9), 0)


@pytest.mark.parametrize("seed", range(15))
def test_depth_first_finds_the_leaves_that_the_paper_finds_and_backtracks(seed):
    look = world(seed)
    found = depth_first(look, depth=3, leaves=2, threshold=0.5)
    run = think(speaking(look), search="depth_first", depth=3, n_select=2)
    assert sorted(state for state, _ in branches(run, "selected")) == sorted(state for _, state in found)
    if found:
        assert run.answer == stated(max(found, key=lambda leaf: leaf[0])[1])
    else:
        assert run.status == "ok"


def test_a_state_that_is_there_twice_is_judged_once_and_is_then_worth_nothing():
    look = {
        (): (["step a", "step b", "step a"], []),
        ("step a",): ([], ["sure"] * 3),
        ("step b",): ([], ["likely"] * 3),
    }
    run = think(speaking(look.get), depth=1, n_select=2)
    assert run.usage.calls == 1 + 2 * 3 + 1
    assert branches(run, "selected") == [(("step a",), 60.0), (("step b",), 3.0)]
    assert branches(run, "pruned") == [(("step a",), 0.0)]


def voting(*choices):
    said = iter(choices)

    def reply(request):
        kind = request.messages[0].text.split("\n")[0]
        return {"propose": "the answer is 1\nthe answer is 2\nthe answer is 3", "vote": None}[kind] or next(said)

    return tttlab.ScriptedModel(reply)


def test_votes_choose_among_all_states_and_unreadable_votes_abstain():
    run = think(
        voting("The best choice is 2", "the best choice is: **3**.", "Best choice 3", "choice 1", "best choice is 9"),
        evaluate="vote",
        n_evaluate=5,
    )
    assert (run.answer, run.confidence) == ("3", 2 / 5)


def test_an_evaluator_that_cannot_be_read_leaves_the_order_and_prunes_nothing_depth_first():
    run = think(voting(*["hm"] * 5), evaluate="vote", n_evaluate=5, search="depth_first", n_select=3)
    assert (run.answer, run.confidence) == ("1", 0.0)
    assert len(branches(run, "selected")) == 3


def test_a_sampled_step_goes_on_from_those_before_it_or_is_asked_for_in_a_turn():
    for prefix in (True, False):
        requests = []

        def reply(request, requests=requests):
            requests.append(request)
            if request.messages[0].text.startswith("value"):
                return "likely"
            return "first" if len(request.messages) == 1 else "the answer is 5"

        model = tttlab.ScriptedModel(reply, can=Capabilities(seed=True, prefix=prefix))
        run = think(model, generate="sample", n_generate=2, n_evaluate=1, depth=2)
        assert run.answer == "5"
        later = [r.messages for r in requests if len(r.messages) > 1]
        roles = ["user", "assistant"] if prefix else ["user", "assistant", "user"]
        assert later
        for messages in later:
            assert [message.role for message in messages] == roles
            assert messages[1].text == ("first\n\n" if prefix else "first")


@pytest.mark.parametrize(("said", "reason"), [("", "empty"), ("step a", "repeats a step before it")])
def test_an_empty_or_repeating_proposal_is_a_failed_branch_and_the_run_goes_on(said, reason):
    look = {(): (["step a"], []), ("step a",): ([said] if said else [], ["likely"] * 3)}
    run = think(speaking(look.get), depth=3)
    assert run.answer == "77"
    [(state, _)] = branches(run, "failed")
    assert state == ("step a", said)
    assert reason in str(tttlab.connect().execute("SELECT attributes FROM branches WHERE state = 'failed'").fetchall())


def test_a_failed_call_costs_a_branch_and_not_the_run():
    def reply(request):
        kind, _, text = request.messages[0].text.partition("\n")
        if kind == "value":
            return fault() if text == "step b" else "likely"
        return {"(none)": "step a\nstep b\nstep c", "step a": fault()}.get(text, "the answer is 4")

    run = think(Speaker(reply), depth=2)
    assert (run.status, run.answer) == ("ok", "4")
    assert [state for state, _ in branches(run, "failed")] == [("step a",)]


def test_a_budget_in_the_middle_keeps_the_best_state_so_far():
    look = {
        (): (["the answer is 1", "step a"], []),
        ("the answer is 1",): ([], ["likely"] * 3),
        ("step a",): (["the answer is 2"], ["sure"] * 3),
        ("step a", "the answer is 2"): ([], ["sure"] * 3),
    }
    assert think(speaking(look.get)).answer == "2"
    strategy = TreeOfThought(**PROMPTS)
    cut = tttlab.think("Q", strategy=strategy, model=speaking(look.get), budget="8 calls")
    assert (cut.status, cut.answer, cut.confidence) == ("budget", "1", 3 / 60)


def test_a_value_that_cannot_be_used_is_refused():
    with pytest.raises(OptionError, match="depth_first"):
        TreeOfThought(search="depth-first")
    with pytest.raises(OptionError, match="n_select=0"):
        TreeOfThought(n_select=0)
