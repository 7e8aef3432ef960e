"""`%%sweep` in a real kernel."""

import pytest

from tests.notebook.markup import text_of

TASK = """
import tttlab
from tttlab import Problem
task = [Problem(prompt=f"What is 7 times {i}?", reference=str(7 * i), id=f"p{i}") for i in range(6, 9)]
"""


@pytest.fixture
def sweeping(kernel):
    assert kernel.run(TASK).status == "ok"
    return kernel


def test_its_result_is_the_cells_result(sweeping):
    ran = sweeping.run("%sweep votes -m quick -s self_consistency -p samples=1,2 --problems task --seeds 0-2")
    assert ran.status == "ok", ran.streams
    [result] = ran.of("execute_result")
    assert "votes: 18 of 18 runs, 2 cells, 3 problems" in result["data"]["text/plain"]
    assert "samples" in text_of(ran.html)
    assert sweeping.value("_.axes, _.finished, _.problems") == "(['samples'], 18, 3)"


def test_the_text_of_the_cell_is_put_around_each_problem(sweeping):
    sweeping.run("ending = 'Be brief.'")
    ran = sweeping.run("%%sweep around -m quick --problems task -o kept\nSolve this: {problem} {ending}")
    assert ran.status == "ok", ran.streams
    assert ran.of("execute_result") == []
    assert "around: 3 of 3 runs" in ran.plain
    asked = "SELECT DISTINCT prompt, problem_id, reference FROM runs WHERE labels ->> 'sweep' = 'around' ORDER BY 2"
    assert sweeping.value(f"tttlab.connect().execute({asked!r}).fetchall()[0]") == (
        "('Solve this: What is 7 times 6? Be brief.', 'p6', '42')"
    )
    assert sweeping.value("kept.finished, kept.complete") == "(3, True)"


def test_without_problems_the_text_is_the_problem(sweeping):
    sweeping.run("%%sweep one -m quick -s direct,chain_of_thought -o kept\nWhat is {a} times {b}?;")
    assert sweeping.value("kept.problems, kept.axes, kept.asked") == "(1, ['strategy'], 2)"


def test_a_grid_and_models_of_the_notebook_are_named(sweeping):
    sweeping.run(
        "from tttlab.experiments.sweeps import grid\n"
        "own = grid(strategy='self_consistency', samples=[1, 2]) + grid(strategy='direct')\n"
        "other = ScriptedModel('42', name='other')"
    )
    sweeping.run("%sweep named -g own -m quick,other --problems task --budget 9000 tokens --total '1e6 tokens' -o kept")
    assert sweeping.value("len(kept.cells), sorted(kept.axes)") == "(6, ['model', 'samples', 'strategy'])"
    assert sweeping.value("kept.cells[0]['budget']") == "9000 tokens"


REFUSED = [
    ("%sweep", "NAME"),
    ("%sweep x -m quick", "give --problems VARIABLE, or a prompt in the cell"),
    ("%sweep x -m quick --problms task", "did you mean 'problems'?"),
    ("%sweep x -m quick --problems tsk", "no variable is named 'tsk'; did you mean 'task'?"),
    ("%sweep x -m quick --problems a", "give a Task, or a list of problems"),
    ("%sweep x -m quikc --problems task", "'quick'"),
    ("%sweep x -m quick -s self_consitency,direct --problems task", "'self_consistency'"),
    ("%sweep x -m quick -s self_consistency -p sampels=1,4 --problems task", "did you mean 'samples'"),
    ("%sweep x -m quick -s self_consistency samples=4 --problems task", "write -p samples=4"),
    ("%sweep x -m quick -s self_consistency -p samples=1,two --problems task", "is a number (int), not 'two'"),
    ("%sweep x -m quick --problems task --seeds 0,one", "--seeds is a whole number, or several with commas"),
    ("%sweep x -m quick --problems task --seeds 1,1", "has one twice"),
    ("%sweep x -m quick --problems task --thinking-budget low", "--thinking-budget is a whole number"),
    ("%sweep x -m quick --problems task -g task", "the variable task holds no grid"),
    ("%sweep x -m quick --problems task -o 1x", "'1x' cannot be a variable's name"),
    ("%sweep x -m quick --problems task --total 20", "write '20 tokens'"),
    ("%%sweep x -m quick --problems task\nSolve this.", "write {problem} where its prompt is to stand"),
]


@pytest.mark.parametrize(("cell", "said"), REFUSED, ids=[cell for cell, _ in REFUSED])
def test_what_cannot_work_is_said_in_one_line(sweeping, cell, said):
    ran = sweeping.run(cell)
    assert ran.status == "error"
    assert said in ran.streams
    assert len(ran.streams.strip().splitlines()) <= 2
    assert ran.tracebacks == []


def test_an_interrupt_keeps_what_there_was(sweeping):
    sweeping.run(
        "def part(request):\n"
        "    return Reply(text='42 and', stall_after=1 if '7 times 6' in request.messages[0].text else None)\n"
        "mixed = ScriptedModel(part, name='mixed')"
    )

    def one_has_ended(message):
        return message["msg_type"] == "comm_msg" and "1/3" in str(message["content"])

    ran = sweeping.run("%sweep part -m mixed --problems task -o part", when=one_has_ended, then=sweeping.interrupt)
    assert ran.status == "error"
    assert "the sweep was stopped, and is kept in part" in "".join(ran.tracebacks)
    assert "part: 1 of 3 runs" in ran.plain
    assert sweeping.value("sorted(run.status for run in part.runs)") == "['ok', 'stopped']"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_beyond_its_total_it_asks(sweeping, answer):
    asked = []

    def tells_the_estimate(message):
        return message["msg_type"] == "stream" and " runs, about" in message["content"]["text"]

    def reply(_):
        asked.append(sweeping.client.get_stdin_msg(timeout=30)["content"]["prompt"])
        sweeping.client.input(answer)

    line = f"%sweep dear{answer} -m quick --problems task --seeds 0-9 --total '100 tokens' -o kept"
    ran = sweeping.run(line, when=tells_the_estimate, then=reply)
    assert "there is left for about" in asked[0]
    if answer == "y":
        assert "the total budget is spent (tokens)" in ran.plain
    else:
        assert "it was not gone on with" in ran.streams


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%sweep x --prob", ["--problems"]),
        ("%%sweep x --problems ta", ["task"]),
        ("%sweep x -s self", ["self_consistency", "self_refine"]),
        ("%sweep x -s self_consistency -p sam", ["samples="]),
        ("%sweep x --replay on", ["only"]),
    ],
)
def test_what_can_stand_there_is_offered(sweeping, line, expected):
    assert sorted(sweeping.complete(line)) == expected
