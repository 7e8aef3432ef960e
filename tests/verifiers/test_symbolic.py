import pytest

from tests.verifiers.asking import verdict
from tttlab.verifiers.symbolic import Symbolic


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (r"\frac{1}{2}", "The answer is 0.5."),
        ("x^2 + 2x + 1", r"So it is $(x+1)^2$."),
        (r"\sqrt{8}", r"Therefore \boxed{2\sqrt{2}}"),
        ("{1, 2}", "{2, 1}"),
        ("sqrt(8)", "2*sqrt(2)"),
        ("2**10", "1024"),
        ("5", "x = 5"),
        ("0.3333333", "0.33333331"),
        ("10,000", "10000"),
        ("X + Y", "Y + X"),
    ],
)
def test_equal_mathematics_passes(reference, candidate):
    found = verdict(Symbolic(), candidate, reference=reference)
    assert (found.passed, found.score, found.error) == (True, 1.0, None)


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (r"\frac{1}{2}", "0.51"),
        ("x^2", "2x"),
        ("1", "1 + x"),
        ("56", "about fifty-six"),
        ("(1, 2)", "(2, 1)"),
        ("0.5", "0.50001"),
    ],
)
def test_other_mathematics_fails(reference, candidate):
    found = verdict(Symbolic(), candidate, reference=reference)
    assert (found.passed, found.score, found.error) == (False, 0.0, None)


def test_an_answer_that_is_never_decided_fails_in_its_time():
    found = verdict(Symbolic(seconds=3.0), "9^{9^{9^9}} + 1", reference="x")
    assert (found.passed, found.error) == (False, None)


def test_an_answer_cannot_run_as_code(tmp_path):
    target = tmp_path / "written"
    candidate = f"__import__('pathlib').Path('{target}').write_text('x')"
    assert not verdict(Symbolic(), candidate, reference="x+1").passed
    assert not target.exists()


def test_a_reference_that_is_no_mathematics_is_an_error():
    assert "cannot be read" in verdict(Symbolic(), "x+1", reference="???").error
