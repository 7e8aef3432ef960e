"""A task's problems are known by their ids."""

import pytest

from tttlab.errors import OptionError
from tttlab.experiments.task import Task
from tttlab.types import Problem


def test_problems_that_share_an_id_are_named():
    with pytest.raises(OptionError, match=r"problems 0, 2 of the task 'sums' all have the id 'a'"):
        Task("sums", (Problem(prompt="1", id="a"), Problem(prompt="2", id="b"), Problem(prompt="3", id="a")))


def test_a_task_without_problems_is_none():
    with pytest.raises(OptionError, match="no problems"):
        Task("empty", ())


def test_the_first_problems_are_a_task_and_more_than_there_are_is_refused():
    task = Task("sums", (Problem(prompt="1"), Problem(prompt="2")))
    assert [problem.prompt for problem in task.first(1)] == ["1"]
    with pytest.raises(OptionError, match="2 problems, and not 3"):
        task.first(3)
