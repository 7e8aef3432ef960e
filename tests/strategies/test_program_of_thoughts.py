"""Program of thoughts against the papers' own words: run each program, drop what fails, take the majority."""

import contextlib
import io
from collections import Counter
from random import Random

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError

RETURNS_56 = "```python\ndef solution():\n    hours = 7\n    return hours * 8\n```"
RETURNS_54 = "```python\ndef solution():\n    return 6 * 9\n```"
SETS_ANS_56 = "```python\nfrom math import prod\nans = prod([7, 8])\n```"
PRINTS_54 = "```python\nprint('working')\nprint(54)\n```"
DIVIDES_BY_0 = "```python\ndef solution():\n    return 1 / 0\n```"
IS_NO_PYTHON = "```python\nthe answer is 56\n```"
PROSE_57 = "The answer is 57"
REPLIES = [RETURNS_56, RETURNS_54, SETS_ANS_56, PRINTS_54, DIVIDES_BY_0, IS_NO_PYTHON]


def think(replies, **options):
    """A run whose i-th sample says the i-th reply, whatever its seed is."""
    first = {}

    def reply(request):
        base = first.setdefault(request.messages, request.seed)
        return replies[(request.seed - base) % len(replies)]

    options = {"samples": len(replies), **options}
    return tttlab.think("What is 7 times 8?", strategy="program_of_thoughts", model=Speaker(reply), **options)


def stated(replies):
    """The algorithm from the papers, on trusted programs: each executed, failures dropped, the majority taken."""
    answers = []
    for reply in replies:
        code, names, printed = reply.removeprefix("```python").removesuffix("```"), {}, io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, names)
                value = names["solution"]() if "solution" in names else names.get("ans")
        except (ArithmeticError, SyntaxError):
            answers.append(None)
            continue
        answers.append(str(value) if value is not None else printed.getvalue().strip().split("\n")[-1])
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return None, 0.0
    most = max(votes.values())
    winner = next(answer for answer in answers if votes.get(answer) == most)
    return winner, most / len(replies)


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_as_the_papers_say(seed):
    replies = Random(seed).choices(REPLIES, k=5)
    run = think(replies)
    assert (run.answer, run.confidence) == stated(replies)


def test_a_failing_program_is_an_unanswered_sample():
    run = think([DIVIDES_BY_0, IS_NO_PYTHON, RETURNS_56])
    assert [(point.value, point.confidence) for point in run.curve] == [(None, 0.0), (None, 0.0), ("56", 1 / 3)]


def test_what_a_program_printed_before_it_failed_is_no_answer():
    assert think(["```python\nprint(54)\n1 / 0\n```", RETURNS_56]).answer == "56"


def test_where_all_fail_there_is_no_answer():
    run = think([DIVIDES_BY_0, IS_NO_PYTHON])
    assert (run.status, run.answer, run.confidence) == ("ok", None, 0.0)


def test_an_endless_program_is_an_unanswered_sample():
    run = think(["```python\nwhile True: pass\n```", RETURNS_56], timeout=0.5)
    assert (run.status, run.answer, run.confidence) == ("ok", "56", 0.5)
    assert tttlab.connect().execute(
        "SELECT attributes ->> '$.\"tttlab.code.outcome\"' FROM whole_spans"
        " WHERE operation = 'execute_tool' ORDER BY start_ns"
    ).fetchall() == [("timeout",), ("ok",)]


def test_a_tie_goes_to_the_answer_that_was_seen_first():
    assert think([DIVIDES_BY_0, RETURNS_54, RETURNS_56]).answer == "54"


def test_a_reply_without_a_program_counts_unless_programs_alone_do():
    assert think([PROSE_57]).answer == "57"
    assert think([PROSE_57, RETURNS_56], programs_only=True).answer == "56"
    assert think([PROSE_57], programs_only=True).answer is None


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("def solution(): return 0.1 + 0.2", "0.3"),
        ("def solution(): return 112 / 2", "56"),
        ("def solution(): return 'Blue'", "blue"),
        ("def solution(): print(56)", "56"),
        ("ans = 56\nprint(57)", "56"),
        ("def solution(): return 56\nprint(solution())", "56"),
        ("x = 56", None),
        ("import sys\nprint(56)\nsys.exit()", "56"),
    ],
)
def test_where_a_programs_answer_is_found(program, answer):
    assert think([f"```python\n{program}\n```"]).answer == answer


def test_a_programs_answer_is_bare_whatever_the_problem_reads_in_prose():
    assert think([RETURNS_56], extract="boxed").answer == "56"
    assert think(["```python\nprint('B) 56')\n```"], extract="choice").answer == "b"


def test_a_budget_in_the_middle_keeps_the_best_so_far():
    replies = [RETURNS_56, "```python\nimport time; time.sleep(60)\n```", RETURNS_54]
    run = think(replies, timeout=60.0, budget="3 s")
    assert (run.status, run.answer, len(run.curve)) == ("budget", "56", 1)


def test_it_is_refused_without_leave_before_anything_is_spent(monkeypatch):
    monkeypatch.delenv("TTTLAB_ALLOW_CODE")
    model = Speaker(RETURNS_56)
    with pytest.raises(OptionError, match="program_of_thoughts runs programs"):
        tttlab.think("What is 7 times 8?", strategy="program_of_thoughts", model=model)
    assert model.started == 0
    assert think([RETURNS_56], allow_code=True).answer == "56"


def test_the_time_that_a_program_has_is_the_one_that_was_given():
    think([RETURNS_56], timeout=3.0)
    rows = (
        tttlab.connect()
        .execute("SELECT attributes ->> '$.\"tttlab.code.limits\"' FROM whole_spans WHERE operation = 'execute_tool'")
        .fetchall()
    )
    assert rows
    assert '"seconds":3.0' in rows[0][0].replace(" ", "")
