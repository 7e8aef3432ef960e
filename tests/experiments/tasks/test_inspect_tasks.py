"""Tasks of inspect_ai become problems."""

import pytest

from tttlab.answers import Check
from tttlab.errors import OptionError
from tttlab.experiments.tasks.inspect_tasks import inspect_task

inspect_ai = pytest.importorskip("inspect_ai")
dataset = pytest.importorskip("inspect_ai.dataset")
model = pytest.importorskip("inspect_ai.model")
Sample = dataset.Sample


def test_a_task_a_dataset_and_its_samples_are_the_same_problems():
    samples = [Sample(input="What is 7 times 8?", target="56", id=1), Sample(input="And 2 times 3?", target="6", id=2)]
    held = dataset.MemoryDataset(samples, name="products")
    for source in (inspect_ai.Task(dataset=held, name="products"), held, samples):
        task = inspect_task(source)
        assert [(each.prompt, each.reference, each.id) for each in task] == [
            ("What is 7 times 8?", "56", "1"),
            ("And 2 times 3?", "6", "2"),
        ]
        assert task.name == ("task" if source is samples else "products")


def test_choices_are_asked_and_judged_by_letter():
    problem = inspect_task([Sample(input="Which?", choices=["red", "blue"], target="B")]).problems[0]
    assert "A) red\nB) blue" in problem.prompt
    assert problem.correct(problem.extract("ANSWER: B")) is True
    assert problem.correct(problem.extract("ANSWER: A")) is False


def test_any_of_several_targets_is_right():
    task = inspect_task([Sample(input="Capital?", target=["Bern", "Berne"]), Sample(input="7 * 8?", target="56")])
    assert [task.problems[0].correct(value) for value in ("bern", "berne", "basel")] == [True, True, False]
    assert task.problems[1].correct("56") is True


def test_a_conversation_is_asked_as_one_text():
    said = [model.ChatMessageSystem(content="Be short."), model.ChatMessageUser(content="Why?")]
    assert inspect_task([Sample(input=said, target="x")]).problems[0].prompt == "Be short.\n\nWhy?"


def test_a_check_is_made_from_a_sample():
    task = inspect_task(
        [Sample(input="Even?", metadata={"divisor": 2})],
        check=lambda row: Check("divides", 1, lambda answer: int(answer) % row["metadata"]["divisor"] == 0),
    )
    assert task.problems[0].correct("4") is True


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([Sample(input="a")], "reference of sample 1 of the inspect_ai task 'task' is empty: give a check"),
        ([Sample(input="a", target="b")] * 2, "samples 1 and 2 of .* have one prompt"),
        (
            [Sample(input="a", choices=["x", "y"], target="A"), Sample(input="b", target="c")],
            "sample 2 of .* has no choices, and others have",
        ),
        ([Sample(input="a", choices=["x", "y"], target=["A", "B"])], "several right choices"),
        (
            [Sample(input=[model.ChatMessageAssistant(content="hm")], target="b")],
            "sample 1 .* turn of the role 'assistant'",
        ),
        ([{"input": "a"}], "sample 1 of .* is dict, which has no 'input'"),
        ("a", "str is no Task, Dataset or list of Samples"),
    ],
)
def test_samples_that_cannot_be_problems_are_named(samples, said):
    with pytest.raises(OptionError, match=said):
        inspect_task(samples)
