"""reasoning-gym's tasks with their own scorers, which are given nothing that they would have to run."""

import pickle
import re
import subprocess
import sys

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError
from tttlab.experiments.tasks.harmless import is_harmless
from tttlab.experiments.tasks.reasoning_gym import TAGGED, reasoning_gym_task

pytest.importorskip("reasoning_gym")


def test_the_same_seed_gives_the_same_problems_and_another_one_others():
    first, again, other = (reasoning_gym_task("countdown", 5, seed=seed) for seed in (1, 1, 2))
    assert [each.prompt for each in first] == [each.prompt for each in again]
    assert [each.id for each in first] == [each.id for each in again]
    assert {each.id for each in first}.isdisjoint(each.id for each in other)


def test_any_right_answer_passes_its_own_scorer():
    problem = reasoning_gym_task("countdown", 1, seed=1).problems[0]
    reordered = f"-(-({problem.reference}))"
    assert [problem.correct(value) for value in (problem.reference, reordered, "1 + 1", None)] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("name", ["mini_sudoku", "caesar_cipher", "string_manipulation", "arc_1d", "syllogism"])
def test_answers_keep_their_lines_and_capitals_and_travel_to_other_processes(name):
    problem = pickle.loads(pickle.dumps(reasoning_gym_task(name, 2, seed=3))).problems[1]
    said = f"Let me see.\nSo:\n<answer>\n{problem.reference}\n</answer>"
    assert problem.correct(problem.extract(said)) is True
    assert problem.correct(problem.extract("<answer>nothing of the kind</answer>")) is False


def test_configuration_and_threshold_are_the_tasks_own():
    problem = reasoning_gym_task("countdown", 1, seed=1, min_numbers=3, max_numbers=3, threshold=0.05).problems[0]
    assert problem.check.name == "reasoning_gym:countdown>=0.05"
    assert len(re.findall(r"\d+", problem.reference)) == 3
    assert problem.correct("1 + 1") is True


def test_a_run_is_judged_by_the_scorer():
    problem = reasoning_gym_task("basic_arithmetic", 1, seed=5).problems[0]
    run = tttlab.think(problem, model=Speaker(f"<answer>{problem.reference}</answer>"))
    assert run.correct is True
    tttlab.flush()
    assert tttlab.connect().execute('SELECT correct, "check" FROM runs').fetchall() == [
        (True, "reasoning_gym:basic_arithmetic@1")
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("coutdown", 1), {}, r"no task 'coutdown'; did you mean 'countdown'"),
        (("countdown", 1), {"min_number": 3}, r"no setting 'min_number'; did you mean 'min_numbers'"),
        (("countdown", 1), {"min_numbers": 9, "max_numbers": 3}, "countdown cannot be drawn with"),
        (("countdown", 0), {}, "count=0 is too small"),
        (("coin_flip", 10_000), {"min_trials": 1, "max_trials": 1}, "different problems with this configuration"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, options, said):
    with pytest.raises(OptionError, match=said):
        reasoning_gym_task(*arguments, seed=1, **options)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<answer>1</answer> or <answer>\n1 2\n3 4\n</answer>", "1 2\n3 4"),
        ("<answer>cut", "cut"),
        ("I think.\n\n1 2\n3 4\n", "1 2\n3 4"),
        ("First this.\nThe answer is: Paris", "Paris"),
        (r"So \boxed{7}", "7"),
        ("<answer> </answer>", None),
        ("", None),
    ],
)
def test_the_answer_is_what_is_tagged_or_stated(text, found):
    assert TAGGED(text) == found


@pytest.mark.parametrize(
    "answer",
    [
        "__import__('os').system('true')",
        "eval(chr(49))",
        "9**9**9",
        "(((9**99)**99)**99)",
        "99999999!",
        "(lambda: 1)()",
        "[0] * 10**9",
        "'x' * 10**9",
        "1 << 10**9",
        "(1).real",
        "[x for x in [1]]",
        "2**(9*9)",
        "1" * 5000,
        "open('f') bad syntax",
    ],
)
def test_an_answer_that_would_have_to_be_run_is_wrong(answer):
    assert not is_harmless(answer)
    assert reasoning_gym_task("countdown", 1, seed=1).problems[0].correct(answer) is False


@pytest.mark.parametrize(
    "answer",
    ["94*4 - 61 - 6", "x**2/2 + sin(3*x)", "[[1, 2], [3, 4]]", "['A', 'B']", "THOSE FROM MARS", "x**(1/2)", "-2"],
)
def test_what_only_computes_is_harmless(answer):
    assert is_harmless(answer)


def test_without_the_library_the_command_that_installs_it_is_said():
    code = (
        "import sys; sys.modules['reasoning_gym'] = None\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'reasoning_gym' else found(name)\n"
        "from tttlab.experiments.tasks.reasoning_gym import reasoning_gym_task\n"
        "try: reasoning_gym_task('countdown', 1, seed=1)\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs reasoning-gym, which is not installed: pip install 'tttlab[lab]'" in done.stdout
