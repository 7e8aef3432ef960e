"""The rules: what can be made, the words a puzzle is asked in, and what judges answers and steps."""

from contextlib import suppress
from itertools import combinations, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tttlab.arithmetic import canonical, value_of
from tttlab.countdown.checking import judge_steps, trouble
from tttlab.countdown.puzzle import LARGEST, Puzzle, expression, solutions, targets
from tttlab.countdown.wording import read_puzzle
from tttlab.errors import OptionError

few = st.lists(st.integers(1, 13), min_size=3, max_size=3).map(tuple)


def by_trees(numbers):
    """All that can be made, by parting the numbers in two in every way: another way round than the search's pairs."""
    if len(numbers) == 1:
        return set(numbers)
    made = set()
    for size in range(1, len(numbers)):
        for chosen in combinations(range(len(numbers)), size):
            left = tuple(numbers[place] for place in chosen)
            right = tuple(number for place, number in enumerate(numbers) if place not in chosen)
            for a, b in product(by_trees(left), by_trees(right)):
                made |= {a + b} | ({a - b} if a > b else set())
                made |= {a * b} if min(a, b) > 1 else set()
                made |= {a // b} if b > 1 and a % b == 0 else set()
            made = {value for value in made if value <= LARGEST}
    return made


@settings(max_examples=60, deadline=None)
@given(few)
def test_what_can_be_made_is_what_every_tree_makes(numbers):
    assert targets(tuple(sorted(numbers))) == by_trees(numbers)


@settings(max_examples=60, deadline=None)
@given(few, st.integers(10, 60))
def test_every_solution_is_one_and_there_is_one_where_the_target_can_be_made(numbers, target):
    puzzle = Puzzle(numbers, target)
    found = [expression(numbers, path) for path in solutions(puzzle)]
    assert bool(found) == (target in targets(tuple(sorted(numbers))))
    assert [text for text in found if trouble(puzzle, text)] == []


def test_four_numbers_are_put_together_as_a_tree():
    puzzle = Puzzle((4, 5, 6, 10), 24)
    found = [expression(puzzle.numbers, path) for path in solutions(puzzle)]
    assert [text for text in found if trouble(puzzle, text)] == []
    assert len(found) > 3


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3 5 8 -> 16", "3 5 8 -> 16"),
        ("3, 5, 8 → 16", "3 5 8 -> 16"),
        ("Using the numbers [3, 5, 8], create an equation that equals 16. Each number can only be used once.", None),
        ("Use numbers and basic arithmetic operations (+ - * /) to obtain 24.\nInput: 4 5 6 10", "4 5 6 10 -> 24"),
        (
            "obtain 24.\nInput: 4 4 6 8\nAnswer: (4 + 8) * (6 - 4) = 24\nInput: 4 5 6 10\nAnswer:",
            "4 5 6 10 -> 24",
        ),
        ("Find a way to make 36 using all of these numbers: 7, 3, 12.\nInstructions:\n1. No '=' sign.", "7 3 12 -> 36"),
        ("Make 24 using 8, 5, 10, 6. You can only use each number once.", "8 5 10 6 -> 24"),
        ("Game of 24: 1 2 3 4", "1 2 3 4 -> 24"),
        ("With 3, 5 and 8 make 16", "3 5 8 -> 16"),
        ("3 5 8 -> 16\n\nLet's think step by step.", "3 5 8 -> 16"),
    ],
)
def test_the_usual_words_are_read(text, read):
    assert str(read_puzzle(text)) == (read or "3 5 8 -> 16")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What is 7 times 8?", "there is no puzzle of Countdown in 'What is 7 times 8?'"),
        ("", "there is no puzzle"),
        ("3 5 99 -> 16", "has the number 99"),
        ("1 2 3 4 5 -> 20", "has 5 numbers"),
        ("3 5 8 -> 999", "has the target 999"),
        ("3 5 8", "there is no puzzle"),
    ],
)
def test_what_cannot_be_read_says_what_can(text, said):
    with pytest.raises(OptionError) as refused:
        read_puzzle(text)
    assert said in str(refused.value)
    assert "3 or 4 numbers from 1 to 13, and a target from 10 to 60" in str(refused.value)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    with suppress(OptionError):
        assert len(read_puzzle(text).numbers) in (3, 4)


@settings(deadline=None)
@given(st.text(alphabet="0123456789+-*/() .=x", max_size=30) | st.text(max_size=20))
def test_any_text_has_a_value_or_none(text):
    value_of(text)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("( 5 + 3 ) + 8", None),
        ("8 \u00d7 5 - 3 = 37", "makes 37, not 16"),
        ("8 + 8", "uses 8 8, not 3 5 8"),
        ("3 + 5 + 8 + 0", "uses 3 5 8 0, not 3 5 8"),
        ("3 ** 5", "no arithmetic expression"),
        ("__import__('os')", "no arithmetic expression"),
        ("8 / (3 - 3) + 5", "no arithmetic expression"),
        ("", "no arithmetic expression"),
    ],
)
def test_an_answer_is_judged_by_its_value_and_its_numbers(said, wrong):
    assert trouble(Puzzle((3, 5, 8), 16), said) == wrong


def test_fractions_are_exact():
    assert trouble(Puzzle((8, 3, 8, 3), 24), "8 / (3 - 8 / 3)") is None


@pytest.mark.parametrize(
    ("thinking", "wrong"),
    [
        ("8 * 5 = 40 : 40 3 ; 40 - 3 = 37 ? 16 x ; 5 + 3 = 8 : 8 8 ; 8 + 8 = 16 ? 16 ! ;", [None] * 4),
        ("8 * 5 = 41 : 41 3 ;", ["8 * 5 is not 41"]),
        ("7 + 5 = 12 : 12 3 ;", ["there is no 7 and 5 to take, or other numbers are left"]),
        ("8 * 5 = 40 : 40 4 ;", ["there is no 8 and 5 to take, or other numbers are left"]),
        ("40 - 3 = 37 ? 16 x ;", ["there is no 40 and 3 to take, or other numbers are left"]),
        ("8 + 5 = 13 : 13 3 ; 13 + 3 = 16 ? 16 x ;", [None, "16 is 16"]),
        ("8 + 5 = 13 : 13 3 ; 13 - 3 = 10 ? 16 ! ;", [None, "10 is not 16"]),
        ("8 + 5 = 13 : 13 3 ; 13 - 3 = 10 ? 10 ! ;", [None, "the target is 16, not 10"]),
        ("8 + 5 = 13 : 13 3 ; 13 - 3 =", [None]),
        ("8 + 5 = 13 : 13", []),
    ],
)
def test_each_step_of_a_line_of_thinking_is_judged(thinking, wrong):
    assert [step.trouble for step in judge_steps(Puzzle((3, 5, 8), 16), thinking)] == wrong


def test_a_step_says_where_it_stands():
    thinking = "8 * 5 = 40 : 40 3 ; 40 - 3 = 37 ? 16 x ;"
    steps = list(judge_steps(Puzzle((3, 5, 8), 16), thinking))
    assert [thinking[step.start :].startswith(step.text) for step in steps] == [True, True]
    assert [step.last for step in steps] == [False, True]


def test_random_four_number_solutions_check():
    rng = Random(1)
    for _ in range(20):
        numbers = tuple(rng.randint(1, 13) for _ in range(4))
        for target in sorted(targets(tuple(sorted(numbers))))[:5]:
            path = next(solutions(Puzzle(numbers, target)))
            assert trouble(Puzzle(numbers, target), expression(numbers, path)) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("( 8 + 3 ) + 5", "5 + ( 3 + 8 )", True),
        ("( 8 - 3 ) + 5", "8 + 5 - 3", True),
        ("8 - ( 3 - 5 )", "8 + 5 - 3", True),
        ("6 * 4 / 2", "( 6 / 2 ) * 4", True),
        ("( 6 - 4 ) * 5", "5 * ( 6 - 4 )", True),
        ("6 - 4", "4 - 6", False),
        ("6 * ( 4 + 2 )", "6 * 4 + 2", False),
    ],
)
def test_expressions_that_differ_in_order_alone_are_one(one, other, same):
    assert (canonical(one) == canonical(other)) == same
    assert value_of(canonical(one)).value == value_of(one).value


@settings(deadline=None)
@given(few, st.integers(10, 60))
def test_the_one_form_of_a_solution_is_a_solution(numbers, target):
    puzzle = Puzzle(numbers, target)
    for path in solutions(puzzle):
        form = canonical(expression(numbers, path))
        assert trouble(puzzle, form) is None
        assert canonical(form) == form
