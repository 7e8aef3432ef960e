"""Multiple choice, regular expressions, and plain functions."""

import pytest

from tests.verifiers.asking import verdict
from tttlab.errors import OptionError
from tttlab.types import Verdict
from tttlab.verifiers.multiple_choice import MultipleChoice
from tttlab.verifiers.regular_expression import RegularExpression


@pytest.mark.parametrize(
    ("candidate", "passed"),
    [
        ("B", True),
        ("(b)", True),
        ("B.", True),
        ("The answer is (B) because A is wrong", True),
        ("First I thought the answer is A. No: the answer is B.", True),
        ("A", False),
        ("Paris", False),
        ("A bee", False),
        ("", False),
    ],
)
def test_the_chosen_letter_decides(candidate, passed):
    assert verdict(MultipleChoice(), candidate, reference="B").passed is passed


def test_a_choices_text_stands_for_its_letter():
    cities = MultipleChoice(choices=("Rome", "Paris", "Bonn"))
    assert verdict(cities, "Paris.", reference="B").passed
    assert verdict(cities, "The answer is (B)", reference="Paris").passed
    assert verdict(cities, "Rome", reference="Paris").passed is False


def test_a_reference_that_is_no_choice_is_an_error():
    assert "none of the choices" in verdict(MultipleChoice(), "B", reference="56").error


def test_a_pattern_is_found_or_matched_whole():
    assert verdict(RegularExpression(pattern=r"\d+"), "it is 56").passed
    assert not verdict(RegularExpression(pattern=r"\d+", whole=True), "it is 56").passed
    assert verdict(RegularExpression(pattern=r"\d+", whole=True), "56").passed
    assert verdict(RegularExpression(), "it is 56", reference="5[67]").passed


def test_a_pattern_that_cannot_be_read_says_so():
    with pytest.raises(OptionError, match="cannot be read"):
        RegularExpression(pattern="(")
    assert "cannot be read" in verdict(RegularExpression(), "56", reference="(").error


async def is_even(problem, candidate, think):
    return Verdict(score=float(int(candidate) % 2 == 0), passed=int(candidate) % 2 == 0)


def ends_well(problem, candidate, think):
    return Verdict(score=1.0, passed=candidate.endswith(problem.reference))


def test_a_plain_function_is_a_verifier_with_or_without_async():
    assert verdict(is_even, "56") == Verdict(score=1.0, passed=True)
    assert verdict(ends_well, "it is 56", reference="56") == Verdict(score=1.0, passed=True)


def test_a_function_that_fails_or_gives_something_else_is_a_verdict_with_an_error():
    assert verdict(is_even, "fifty-six").error.startswith("ValueError")
    assert verdict(lambda problem, candidate, think: True, "56") == Verdict(
        score=None, error="the verifier gave no Verdict, but True"
    )
