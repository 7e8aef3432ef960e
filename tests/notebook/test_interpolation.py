"""`{name}` in a prompt is filled in, and no other brace is touched."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.errors import OptionError
from tttlab.notebook.interpolation import interpolate, misspelt

KNOWN = {
    "a": 7,
    "b": 8,
    "n": 3,
    "x": 1,
    "run": SimpleNamespace(answer="56", usage=SimpleNamespace(tokens=20)),
    "rows": {"k": [9, 10], 'say "hi"': "quoted"},
    "math": math,
    "f": len,
    "größe": "XL",
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{a} times {b}", "7 times 8"),
        ("{a}{b}", "78"),
        ("{run.answer} after {run.usage.tokens}", "56 after 20"),
        ("{rows['k'][0]} {rows[\"k\"][-1]} {rows['say \"hi\"']}", "9 10 quoted"),
        ('{"question": {a}}', '{"question": 7}'),
        ("{größe}", "XL"),
        ("}{a}{", "}7{"),
        (r"\boxed{x} is {x}", r"\boxed{x} is 1"),
        ("{{a}} and {a}", "{{a}} and 7"),
    ],
)
def test_a_field_is_filled_in(text, filled):
    assert interpolate(text, KNOWN) == filled


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{a}{b} + \sqrt[n]{x} = \binom{n}{a}",
        r"x^{n}, a_{n}, \sum_{n}^{a} \{x\} \text{a}",
        r"\frac{\sqrt{x}}{n}",
        '{"a": 1, "b": [a, b]}',
        "{{a}}",
        "{{ a }}",
        "{a!r} {a:.2f} {a + b} {a,b} { a } {} {0} {a()} {rows[k]} {__import__('os')}",
        "{unknown} {unknown.a} {unknown['k']}",
        "{f} {math}",
        "for (int i = 0; i < n; i++) { x += i; }",
        "{a",
        "{{a",
    ],
)
def test_everything_else_stays_as_it_is_written(text):
    assert interpolate(text, KNOWN) == text


@given(st.text(alphabet=st.sampled_from("{}[]()\\^_.'\"ab1 \n$"), max_size=60) | st.text())
def test_text_without_known_names_comes_back_identical(text):
    assert interpolate(text, {"zz": 1}) == text


@given(st.text(alphabet=st.sampled_from("{}[]\\^_ab \n"), max_size=40))
def test_what_is_filled_in_is_not_filled_in_again(text):
    assert interpolate("<{zz}>", {"zz": text, "a": 1, "b": 2}) == f"<{text}>"


NEAR = {"question": "6 * 7?", "examples": [1], "questions": len, "ab": 1, "math": math, "_hidden": 1}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("{quesion} and {quesion} again, {exmples[0]}", [("quesion", "question"), ("exmples", "examples")]),
        ("{question} {examples}", []),
        ("{mathe} {hidden} {questions}", []),
        ("{abc} {nothing} {x}", []),
        (r"\text{quesion} x_{exmples} {{quesion}} {'quesion': 1} {quesion!r} {0} { quesion }", []),
    ],
)
def test_a_field_with_nearly_the_name_of_a_variable_is_told(text, meant):
    assert misspelt(text, NEAR) == [
        f"{{{written}}} was left as written: there is no variable of that name; did you mean {{{name}}}?"
        for written, name in meant
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{run.anser}", "run has no .anser"),
        ("{rows['z']}", r"rows has no \['z'\]"),
        ("{rows['k'][5]}", r"rows\['k'\] has no \[5\]"),
    ],
)
def test_a_known_name_with_a_path_that_leads_nowhere_is_an_error_in_one_line(text, said):
    with pytest.raises(OptionError, match=said) as refused:
        interpolate(f"What is {text}?", KNOWN)
    assert "\n" not in str(refused.value)


def test_no_code_runs_but_the_attributes_own():
    class Trap:
        @property
        def fine(self):
            return "fine"

        @property
        def raises(self):
            raise RuntimeError("out\nof order")

    assert interpolate("{trap.fine}", {"trap": Trap()}) == "fine"
    with pytest.raises(OptionError, match="RuntimeError: out of order"):
        interpolate("{trap.raises}", {"trap": Trap()})
