import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.answers import EXTRACTORS, FINAL_ANSWER, find_extractor, normalise, same_answer
from tttlab.errors import OptionError


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 56.", "56"),
        ("So 7 * 8 = 56\nAnswer: **56**", "56"),
        ("First I thought the answer is 54.\nBut the answer is 1,056.0", "1056"),
        ("thus \\boxed{\\frac{1}{2}} holds, answer: no", "\\frac{1}{2}"),
        ("#### 42", "42"),
        ("Paris", "paris"),
        ("The answer is The answer is 7", "7"),
        ("Therefore, the answer is", None),
        ("7 times 8 is 56.\nThe answer is ", None),
        ("The answer is The answer is", None),
        ("The answer is 7. Therefore the answer is", None),
        ("The answer is 7.\nTherefore the answer is **", "7"),
        ("**Answer:**\n56", "56"),
        ("Answer:\n```\n56\n```", "56"),
        ("  \n ", None),
        ("", None),
    ],
)
def test_the_final_answer_is_found(text, answer):
    assert FINAL_ANSWER(text) == answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1,000", "1000"),
        ("1000.00", "1000"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("$5$", "5"),
        ("New  York.", "new york"),
        ("...", None),
        ("1e999999", "1e999999"),
        ("1267650600228229401496703205377", "1267650600228229401496703205377"),
        ("1,2,3", "1,2,3"),
        ("1,234,567.50", "1234567.5"),
    ],
)
def test_answers_are_compared_in_one_form(text, normal):
    assert normalise(text) == normal


def test_the_last_number_is_found_with_its_sign():
    assert find_extractor("last_number")("from 3 to -4.50 degrees") == "-4.5"
    assert find_extractor("last_number")("none at all") is None
    assert find_extractor("last_number")("version 1.2.3") == "3"
    assert find_extractor("last_number")("so 7-5") == "5"


def test_an_abstention_is_wrong_and_no_reference_is_no_verdict():
    assert same_answer(None, "56") is False
    assert same_answer("56", "56.0") is True
    assert same_answer("56", None) is None


def test_an_unknown_extractor_names_the_nearest():
    with pytest.raises(OptionError, match="last_number"):
        find_extractor("last_numbr")


@given(st.text())
def test_every_extractor_takes_any_text(text):
    for extractor in EXTRACTORS.values():
        found = extractor(text)
        assert found is None or (found and normalise(found) is not None)


@given(st.integers(-(10**12), 10**12))
def test_an_integer_is_itself_however_it_is_spelled(number):
    assert normalise(f"{number:,}") == normalise(f"{number}.0") == str(number)


@pytest.mark.parametrize(
    ("rule", "text", "answer"),
    [
        ("choice", "I think (B) looks right, but the answer is C.", "c"),
        ("choice", "**Answer: (D)**", "d"),
        ("choice", "A cat is an animal.\nB)", "b"),
        ("choice", "A cat sat down", None),
        ("json:answer", 'so {"answer": 56} or {"answer": "57", "why": {"x": 1}} it is', "57"),
        ("json:answer", '{"other": 1} {broken', None),
        (r"regex:total (\d+)", "total 5, then total 1,2", "1"),
        ("regex:[a-z]+!", "no! yes!", "yes"),
    ],
)
def test_extractors_made_for_a_form(rule, text, answer):
    assert find_extractor(rule)(text) == answer


def test_a_pattern_that_cannot_be_read_says_so():
    with pytest.raises(OptionError, match="cannot be read"):
        find_extractor("regex:(")
