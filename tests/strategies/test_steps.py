"""What the searches over steps share, on a model whose replies are known."""

import re

import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab.errors import CallError, OptionError, RunFailed
from tttlab.strategies.beam_search import BeamSearch
from tttlab.strategies.mcts import Mcts
from tttlab.strategies.steps import (
    Node,
    Stepper,
    best_first,
    ends_a_step,
    expanded,
    fill,
    in_branches,
    lines_in,
    one_of,
    questions_in,
    states_answer,
)
from tttlab.strategies.tree_of_thought import TreeOfThought
from tttlab.types import Capabilities, Verdict


def stepping(model, work):
    """Run `work(stepper)` inside a run, and give what it gave."""
    gave = []

    async def strategy(problem, think):
        stepper = Stepper(
            BeamSearch(separator="\n\n"), problem, think, lambda steps: f"{problem.prompt} ({len(steps)})"
        )
        gave.append(await work(stepper))

    tttlab.think("Q", strategy=strategy, model=model)
    return gave[0]


def turns(request):
    return [(message.role, message.text) for message in request.messages]


def without_prefix(model):
    model.can = Capabilities(seed=True)
    return model


def test_a_model_that_can_go_on_from_a_prefix_does_and_others_are_asked():
    async def work(stepper):
        return await stepper.next_steps(["a", "b"], n=2)

    going_on = Speaker(" c\n\nd")
    assert stepping(going_on, work) == ["c", "c"]
    assert turns(going_on.requests[0]) == [("user", "Q (2)"), ("assistant", "a\n\nb\n\n")]
    assert going_on.requests[0].sampling.stop == ("\n\n",)

    asked = without_prefix(Speaker("c"))
    assert stepping(asked, work) == ["c", "c"]
    assert turns(asked.requests[0]) == [
        ("user", "Q (2)"),
        ("assistant", "a\n\nb"),
        ("user", "Write only the next step."),
    ]


def test_the_first_step_is_asked_for_by_the_question_alone():
    for model in (Speaker("a"), without_prefix(Speaker("a"))):
        assert stepping(model, lambda stepper: stepper.next_steps([], n=1)) == ["a"]
        assert turns(model.requests[0]) == [("user", "Q (0)")]


def test_an_answer_is_concluded_from_steps_or_from_none():
    async def work(stepper):
        return [await stepper.concluded(steps, "\nThe answer is", 0.0) for steps in (["a"], [])]

    going_on = Speaker(" 56 ")
    assert stepping(going_on, work) == ["\nThe answer is 56"] * 2
    assert turns(going_on.requests[0])[-1] == ("assistant", "a\nThe answer is")
    assert turns(going_on.requests[1])[-1] == ("assistant", "The answer is")

    asked = without_prefix(Speaker(""))
    assert stepping(asked, work) == ["", ""]
    assert turns(asked.requests[1]) == [("user", "Q (0)"), ("user", "The answer is (answer only)")]


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("Score: 7", 0.7),
        ("Score: 2\nno, score 10", 1.0),
        ("Score: 7.5", 0.75),
        ("Score: 3, score: 11", 0.0),
        ("good", 0.0),
        ("", 0.0),
        (fault(), 0.0),
    ],
)
def test_the_models_own_score_is_the_last_it_names_and_0_where_there_is_none(said, score):
    model = Speaker(lambda request: said)
    assert stepping(model, lambda stepper: stepper.score(["a", "b"], None, "{problem}|{steps}")) == score
    assert turns(model.requests[0]) == [("user", "Q|a\n\nb")]


@pytest.mark.parametrize(("given", "score"), [(0.4, 0.4), (-1.0, -1.0), (None, 0.0), (float("nan"), 0.0)])
def test_a_verifiers_score_is_taken_as_it_is_and_0_where_it_has_none(given, score):
    async def verifier(problem, candidate, think):
        assert candidate == "a\n\nb"
        return Verdict(score=given)

    model = Speaker("Score: 9")
    assert stepping(model, lambda stepper: stepper.score(["a", "b"], verifier, "")) == score
    assert model.started == 0


def test_an_expansion_that_fails_marks_its_node_and_the_first_one_is_the_runs():
    async def fails():
        raise CallError("the line went dead")

    async def works():
        return ["b"]

    async def work(stepper):
        with stepper.think.branch() as failing, stepper.think.branch() as growing:
            pass
        drawn = [await expanded(Node(failing, ("a",)), fails()), await expanded(Node(growing, ("a",)), works())]
        with pytest.raises(CallError):
            await expanded(Node(), fails())
        return drawn

    assert stepping(Speaker(), work) == [[], ["b"]]
    rows = tttlab.connect().execute("SELECT state, attributes::VARCHAR FROM branches ORDER BY path").fetchall()
    assert [state for state, _ in rows] == ["failed", "expanded"]
    assert "the line went dead" in rows[0][1]


def test_nodes_are_worked_on_in_their_own_branches_and_a_root_in_none():
    async def work(stepper):
        async def where(node):
            await stepper.think.complete(node.steps[0])

        with stepper.think.branch() as left, stepper.think.branch(left) as right:
            pass
        nodes = [Node(right, ("in right",)), Node(left, ("in left",))]
        await in_branches(stepper.think, where, nodes)
        await in_branches(stepper.think, where, [Node(None, ("in root",))])
        return await in_branches(stepper.think, where, [])

    assert stepping(Speaker(), work) == []
    calls = tttlab.connect().execute("SELECT branch, messages::VARCHAR FROM calls").fetchall()
    assert {re.search(r"in (\w+)", said)[1]: branch for branch, said in calls} == {
        "root": "",
        "left": "0",
        "right": "0.0",
    }


def test_the_best_node_comes_first_and_among_equals_the_first_seen():
    nodes = [Node(None, (name,), score) for name, score in (("a", 0.5), ("b", 0.9), ("c", 0.9), ("d", -1.0))]
    assert [node.steps[0] for node in best_first(nodes)] == ["b", "c", "a", "d"]


def test_a_node_is_final_when_its_last_step_states_an_answer():
    assert Node(None, ("a", "So the answer is 56.")).final
    assert not Node(None, ("the answer is 56", "or is it")).final
    assert not Node().final
    assert [states_answer(step) for step in ("Answer: 5", "#### 5", r"\boxed{5}", "add 5")] == [True, True, True, False]


def test_only_names_that_are_given_are_filled_in_and_only_once():
    assert fill("{a} {b} {c} {{a}}", a="{b}", b="2") == "{b} 2 {c} {{b}}"


def test_lines_lose_their_bullets_and_numbers():
    assert lines_in("1. add 1\n 2) add 2\n\n- add 3\n* add 4\n• add 5\n-1 is less") == [
        "add 1",
        "add 2",
        "add 3",
        "add 4",
        "add 5",
        "-1 is less",
    ]


@pytest.mark.parametrize(
    ("plan", "questions"),
    [
        ("1. Is it so?\n2) Is it not?", ["Is it so?", "Is it not?"]),
        ("**Q1:** Is it so?\n- *Question 2.* Is it not?", ["Is it so?", "Is it not?"]),
        ("Here are my questions:\nIs it so?\nIs it so?\n???", ["Is it so?"]),
        ("Is 7 times 8 equal to 56?\n3 times 3 is what?", ["Is 7 times 8 equal to 56?", "3 times 3 is what?"]),
        ("Quite so?\nQ: why?", ["Quite so?", "why?"]),
        ("", []),
    ],
)
def test_questions_are_lines_that_ask(plan, questions):
    assert questions_in(plan) == questions


def test_a_word_that_is_no_choice_is_refused_with_the_nearest():
    one_of(("min", "prod"), aggregation="prod")
    with pytest.raises(OptionError, match=r"aggregation='prid' is not a choice.*'prod'"):
        one_of(("min", "prod"), aggregation="prid")
    for wrong in (3, None, ["min"]):
        with pytest.raises(OptionError, match="is not a choice"):
            BeamSearch(aggregation=wrong)


def test_a_separator_of_nothing_is_refused():
    ends_a_step("\n")
    for strategy in (BeamSearch, Mcts, TreeOfThought):
        with pytest.raises(OptionError, match="ends no step"):
            strategy(separator="")


@pytest.mark.parametrize("strategy", [BeamSearch(), Mcts(), TreeOfThought(), TreeOfThought(generate="sample")])
def test_a_first_step_that_fails_fails_the_run(strategy):
    with pytest.raises(RunFailed, match="the line went dead"):
        tttlab.think("Q", strategy=strategy, model=Speaker(lambda request: fault()))
