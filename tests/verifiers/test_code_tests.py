import pytest

import tttlab
from tests.speaker import Speaker
from tests.verifiers.asking import verdict
from tttlab.errors import OptionError
from tttlab.verifiers.code_tests import CodeTests

ADDS = "def add(a, b):\n    return a + b"
SUBTRACTS = "def add(a, b):\n    return a - b"
TESTS = ("assert add(1, 0) == 1", "assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add('a', 'b') == 'ab'")


@pytest.fixture(autouse=True)
def leave_to_run_code(own_store, monkeypatch):
    monkeypatch.setenv("TTTLAB_ALLOW_CODE", "1")


def test_all_tests_must_pass_and_the_score_is_the_share_that_do():
    assert verdict(CodeTests(tests=TESTS), ADDS).passed
    found = verdict(CodeTests(tests=TESTS), SUBTRACTS)
    assert (found.passed, found.score) == (False, 0.5)
    assert found.explanation == "2 of 4 tests pass; test 2: AssertionError"


def test_markdown_is_taken_off():
    assert verdict(CodeTests(tests=TESTS), f"Here it is:\n```python\n{ADDS}\n```\nIt adds.").passed


def test_the_reference_holds_the_tests_unless_they_are_given():
    assert verdict(CodeTests(), SUBTRACTS, reference="\n".join(TESTS)).score == 0.5
    whole = "def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(add)"
    assert verdict(CodeTests(), ADDS, reference=whole).score == 1.0
    assert verdict(CodeTests(), SUBTRACTS, reference=whole).score == 0.0
    assert verdict(CodeTests(tests=TESTS[:1]), SUBTRACTS, reference=whole).passed


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ("while True: pass", "timeout"),
        ("1 / 0", "ZeroDivisionError"),
        ("This is no program", "SyntaxError"),
        ("import sys\nsys.exit(0)", "ended before its test did"),
        ("import os\nos._exit(0)", "ended before its test did"),
        ("def add(a, b):\n    exit()", "ended before its test did"),
        ("print('passed')", "NameError"),
        ("x = bytearray(10 ** 11)", "memory"),
        ("import ctypes\nctypes.string_at(0)", "killed"),
        ("while True: print('x' * 1000)", "output"),
    ],
)
def test_a_candidate_that_does_not_come_to_its_tests_fails_them(candidate, said):
    found = verdict(CodeTests(tests=TESTS[:1], seconds=2.0, memory=256), candidate)
    assert (found.passed, found.score, found.error) == (False, 0.0, None)
    assert said in found.explanation


def test_a_test_that_never_ends_costs_only_itself():
    stuck = "def add(a, b):\n    while b: pass\n    return a"
    found = verdict(
        CodeTests(tests=("assert add(1, 0) == 1", "add(1, 1)", "assert add(2, 0) == 2"), seconds=1.0), stuck
    )
    assert found.score == pytest.approx(2 / 3)
    assert "test 2: timeout" in found.explanation


def test_a_candidate_that_is_a_script_is_imported_and_not_run():
    assert verdict(CodeTests(tests=TESTS[:1]), f"{ADDS}\nif __name__ == '__main__':\n    input()").passed


def test_each_test_is_recorded_below_its_verdict():
    verdict(CodeTests(tests=TESTS), ADDS)
    rows = tttlab.connect().execute(
        "SELECT count(*), count(DISTINCT verdict.span_id) FROM whole_spans AS span"
        " JOIN verdicts AS verdict ON verdict.span_key = span.parent_key WHERE span.operation = 'execute_tool'"
    )
    assert rows.fetchone() == (4, 1)


def test_without_leave_it_is_a_verdict_with_an_error_or_refused_as_a_parameter(monkeypatch):
    monkeypatch.delenv("TTTLAB_ALLOW_CODE")
    found = verdict(CodeTests(tests=TESTS), ADDS)
    assert found.score is None
    assert "allow_code=True" in found.error
    model = Speaker(ADDS)
    with pytest.raises(OptionError, match="code_tests runs programs"):
        tttlab.think("Add", strategy="best_of_n", verifier=CodeTests(tests=TESTS), model=model)
    assert model.started == 0


def test_best_of_n_finds_the_program_that_passes():
    replies = [f"```python\n{SUBTRACTS}\n```", f"```python\n{ADDS}\n```", "no"]
    first = {}

    def reply(request):
        return replies[(request.seed - first.setdefault(request.messages, request.seed)) % 3]

    run = tttlab.think(
        "Write add",
        strategy="best_of_n",
        samples=3,
        verifier=CodeTests(tests=TESTS),
        model=Speaker(reply),
        extract="whole_text",
    )
    assert "return a + b" in run.answer
