"""The Game of 24's exact arithmetic against every expression that there is, and against states as models write them."""

from fractions import Fraction
from itertools import permutations, product
from random import Random

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.experiments.tasks.game24 import can_make, game24, is_right, numbers_left, reachable, solvable


def all_values(numbers):
    """What can be made of some numbers, by writing every expression: every order, sign and pair of brackets."""
    if len(numbers) == 1:
        return set(numbers)
    found = set()
    for order in permutations(numbers):
        for cut in range(1, len(order)):
            for a, b in product(all_values(order[:cut]), all_values(order[cut:])):
                found |= {a + b, a - b, a * b} | ({a / b} if b else set())
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_can_be_made_is_what_some_expression_makes(seed):
    rng = Random(seed)
    for count in (1, 2, 3, 3):
        numbers = tuple(Fraction(rng.randint(1, 13), rng.choice([1, 1, 1, 3])) for _ in range(count))
        values = all_values(numbers)
        assert all(can_make(numbers, value) for value in list(values)[:20])
        assert can_make(numbers) == (Fraction(24) in values)
        assert not can_make(numbers, max(values) + 1)


@pytest.mark.parametrize(
    ("puzzle", "made"),
    [("4 5 6 10", True), ("3 3 8 8", True), ("1 5 5 5", True), ("1 1 1 1", False), ("13 13 13 13", False)],
)
def test_puzzles_that_need_fractions_are_known_too(puzzle, made):
    assert solvable(puzzle, ()) is reachable(puzzle, ()) is made


def test_a_right_answer_uses_each_number_once():
    assert is_right("4 5 6 10", "(4 * 5) + (10 - 6) = 24")
    assert is_right("3 3 8 8", "8 / (3 - 8 / 3)")
    assert not is_right("4 5 6 10", "4 * 6")
    assert not is_right("4 5 6 10", "4 + 5 + 6 + 10 = 24")
    assert not is_right("4 5 6 10", "none")


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("4 + 5 = 9 (left: 6 9 10)", (6, 9, 10)),
        ("6 / 9 = 2/3 (left: 2/3, 10) (not a whole number)", (Fraction(2, 3), 10)),
        ("4 - 5 = -1 (left: -1 6 1.5)", (-1, 6, Fraction(3, 2))),
        ("10 / 6 = 1.666... (left: 1.666... 5 8)", None),
        ("7 / 11 (not a whole number)", None),
        ("1 / 0 (left: 1/0)", None),
    ],
)
def test_the_numbers_left_are_read_as_models_write_them(step, left):
    assert numbers_left(step) == left


def test_a_state_with_too_many_or_too_few_numbers_cannot_be_judged():
    assert solvable("4 5 6 10", ("4 * 5 = 20 (left: 6 10 20)",)) is True
    assert solvable("4 5 6 10", ("4 * 5 = 20 (left: 4 6)",)) is None
    assert solvable("4 5 6 10", ("4 * 5 = 20 (left: 6 10 20)", "nothing")) is None


def test_what_a_wrong_step_says_is_left_counts_as_written_or_not_at_all():
    wrong = ("4 + 5 = 20 (left: 6 10 20)",)
    assert (solvable("4 5 6 10", wrong), reachable("4 5 6 10", wrong)) == (True, False)
    assert reachable("4 5 6 10", ("4 * 7 = 28 (left: 6 10 28)",)) is False
    assert reachable("4 5 6 10", ("let us see",)) is False


def test_a_number_that_is_written_rounded_stands_for_the_one_it_rounds():
    thirds = ("8 / 3 = 2.67 (left: 2.67 3 8)", "3 - 2.67 = 0.33 (left: 0.33 8)")
    assert reachable("3 3 8 8", thirds) is True
    assert solvable("3 3 8 8", thirds) is False
    assert reachable("3 3 8 8", (*thirds, "8 / 0.33 = 24 (left: 24)")) is True


def test_an_answer_is_right_or_wrong_whatever_came_before():
    assert solvable("4 5 6 10", ("...", "Answer: (4 * 5) + (10 - 6) = 24")) is True
    assert reachable("4 5 6 10", ("...", "The answer is 4 * 6.")) is False


def test_the_task_has_a_check_that_knows_every_right_answer():
    [problem] = game24(["4 5 6 10"])
    assert (problem.id, problem.prompt) == ("game24:4 5 6 10", "4 5 6 10")
    said = ["The answer is (10 - 6) + 5 * 4", "The answer is 4 * 6"]
    runs = [tttlab.think(problem, model=tttlab.ScriptedModel([text])) for text in said]
    assert [run.correct for run in runs] == [True, False]


def test_what_is_no_puzzle_is_refused():
    with pytest.raises(OptionError, match="four whole numbers"):
        game24(["4 5 6"])
