"""Self-refine against an independent statement of it (Madaan et al., 2023, algorithm 1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Message
from tttlab.errors import RunFailed

QUESTION = "What is 7 times 8?"
CONTENT = "No changes needed"


def refined(drafts, critiques, most):
    """The answers in turn, and how often the model was asked: y0 = M(x), then feedback, stop or refine."""
    answers, calls = [drafts[0]], 1
    for turn in range(most):
        calls += 1
        if critiques[turn] == CONTENT:
            break
        calls += 1
        answers.append(drafts[turn + 1])
    return answers, calls


class Author:
    """Writes its drafts in turn and criticises each as it is told; keeps what each part of it was shown."""

    def __init__(self, drafts, critiques):
        self.drafts, self.critiques = drafts, critiques
        self.judged, self.written = [], []
        self.model = Speaker(self.reply)

    def reply(self, request):
        if "A proposed answer" in request.messages[0].text:
            self.judged.append(request.messages)
            return self.critiques[len(self.judged) - 1]
        self.written.append(request.messages)
        return self.drafts[len(self.written) - 1]


def think(author, **parameters):
    return tttlab.think(QUESTION, strategy="self_refine", model=author.model, reference="56", **parameters)


def states(run):
    rows = tttlab.connect().execute(
        "SELECT attributes->>'$.\"tttlab.branch.state\"' FROM spans WHERE run_id = ? AND name LIKE 'branch%' "
        "ORDER BY start_ns",
        [run.id],
    )
    return [state for (state,) in rows.fetchall()]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["52", "54", "56"]), min_size=5, max_size=5),
    st.lists(st.sampled_from(["It is too small.", CONTENT]), min_size=4, max_size=4),
    st.integers(0, 4),
)
def test_it_revises_as_the_paper_does(drafts, critiques, most):
    run = think(Author([f"The answer is {draft}" for draft in drafts], critiques), max_rounds=most)
    answers, calls = refined(drafts, critiques, most)
    assert [point.value for point in run.curve] == answers
    assert run.usage.calls == calls


def test_a_revision_sees_every_earlier_answer_and_critique_and_a_critique_only_the_latest():
    author = Author(["first 1", "second 2", "third 3"], ["Mend one.", "Mend two.", CONTENT])
    think(author)
    _, _, last = author.written
    assert [turn.role for turn in last] == ["user", "assistant", "user", "assistant", "user"]
    assert (last[0], last[1], last[3]) == (
        Message("user", QUESTION),
        Message("assistant", "first 1"),
        Message("assistant", "second 2"),
    )
    assert "Mend one." in last[2].text
    assert "Mend two." in last[4].text
    [second] = author.judged[1]
    assert "second 2" in second.text
    assert "first 1" not in second.text


def test_it_can_make_a_right_answer_wrong_and_shows_that():
    run = think(Author(["The answer is 56", "The answer is 54"], ["Look again.", CONTENT]))
    assert [point.value for point in run.curve] == ["56", "54"]
    assert run.correct is False


@pytest.mark.parametrize(
    ("critique", "stops"),
    [
        ("**No changes needed.**", True),
        ("All steps hold.\nNO CHANGES NEEDED", True),
        ("I cannot say that no changes needed to be made.", False),
        ("There are no changes needed? Yes: the sum.", False),
        (" \n", True),
    ],
)
def test_only_a_line_of_its_own_stops(critique, stops):
    run = think(Author(["The answer is 54", "The answer is 56"], [critique, CONTENT]))
    assert run.answer == ("54" if stops else "56")


def test_a_revision_without_an_answer_leaves_the_earlier_one_standing_and_the_next_one_can_win():
    drafts = ["Answer: 52", "Let me think about it.", "Answer: 56"]
    author = Author(drafts, ["Wrong.", "No answer.", CONTENT])
    run = think(author, extract=r"regex:Answer: (\d+)")
    assert [point.value for point in run.curve] == ["52", "56"]
    assert states(run) == ["pruned", "selected", "expanded"]


def test_a_call_that_fails_after_the_draft_ends_the_rounds_and_a_draft_that_fails_the_run():
    run = think(Author(["The answer is 54", fault()], ["Wrong."]))
    assert (run.status, run.answer, states(run)) == ("ok", "54", ["failed"])
    with pytest.raises(RunFailed, match="the line went dead"):
        think(Author([fault()], []))


def test_a_budget_that_ends_it_keeps_the_latest_revision():
    author = Author(["The answer is 52", "The answer is 54", "The answer is 56"], ["Wrong."] * 3)
    run = think(author, budget="4 calls")
    assert (run.status, run.answer) == ("budget", "54")


def test_the_ledger_tells_its_three_parts_apart():
    run = think(Author(["The answer is 54", "The answer is 56"], ["Wrong.", CONTENT]))
    rows = tttlab.connect().execute("SELECT role, count(*) FROM calls WHERE run_id = ? GROUP BY role", [run.id])
    assert dict(rows.fetchall()) == {"generator": 1, "judge": 2, "refiner": 1}
