"""Chain of verification against an independent statement of it (Dhuliawala et al., 2023, section 3, factored)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, fault
from tttlab.errors import RunFailed

QUESTION = "Which of Rome and Bonn is a capital today"
KNOWN = {"Is Rome a capital?": "Yes.", "Is Bonn a capital?": "No.", "Was Bonn one?": "Yes.", "Is Ulm one?": ""}


def verified(draft, planned, most, revised):
    """The questions asked, the checks that the revision is given, and the answer: baseline, plan, execute, revise."""
    asked = list(dict.fromkeys(planned))[:most]
    checks = [(question, KNOWN[question]) for question in asked if KNOWN[question]]
    return asked, checks, revised if checks and revised else draft


class Checker:
    """Drafts, plans and revises as it is told, and knows what it knows."""

    def __init__(self, draft, plan, revised, known=KNOWN, **options):
        self.draft, self.plan, self.revised, self.known = draft, plan, revised, known
        self.asked, self.revision = [], None
        self.model = Speaker(self.reply, **options)

    def reply(self, request):
        [message] = request.messages
        if message.text in self.known:
            self.asked.append(message.text)
            return self.known[message.text]
        if "List up to" in message.text:
            return self.plan
        if "without sight of the draft" in message.text:
            self.revision = message.text
            return self.revised
        assert message.text == QUESTION
        return self.draft


def think(checker, **options):
    return tttlab.think(QUESTION, strategy="chain_of_verification", model=checker.model, **options)


def states(run):
    rows = tttlab.connect().execute(
        "SELECT attributes->>'$.\"tttlab.branch.state\"' FROM spans WHERE run_id = ? AND name LIKE 'branch%' "
        "ORDER BY start_ns",
        [run.id],
    )
    return [state for (state,) in rows.fetchall()]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(KNOWN)), max_size=5), st.integers(1, 5), st.sampled_from(["Rome", ""]))
def test_it_drafts_plans_checks_and_revises_as_the_paper_does(planned, most, revised):
    plan = "\n".join(f"{number}. {question}" for number, question in enumerate(planned, 1))
    checker = Checker("The answer is Bonn", plan, revised and f"The answer is {revised}")
    run = think(checker, questions=most)
    asked, checks, answer = verified("bonn", planned, most, revised.lower())
    assert checker.asked == asked
    assert run.answer == answer
    assert run.usage.calls == 2 + len(asked) + bool(checks)
    assert (checker.revision is not None) == bool(checks)
    for question, known in checks:
        assert f"Q: {question}\nA: {known}" in checker.revision


def test_a_plan_without_questions_leaves_the_draft():
    run = think(Checker("The answer is Bonn", "I see nothing to ask.", "The answer is Rome"))
    assert (run.answer, run.usage.calls) == ("bonn", 2)


def test_a_question_that_fails_costs_that_question_alone():
    known = {**KNOWN, "Is Bonn a capital?": fault()}
    plan = "- Is Bonn a capital?\n- Is Ulm one?\n- Is Rome a capital?"
    checker = Checker("The answer is Bonn", plan, "The answer is Rome", known)
    run = think(checker)
    assert (run.answer, states(run)) == ("rome", ["failed", "pruned", "selected"])
    assert "Is Bonn a capital?" not in checker.revision


def test_the_checks_are_in_the_plans_order_whichever_is_answered_first():
    def pause(request, position):
        return 0.05 if request.messages[0].text == "Is Rome a capital?" else 0

    checker = Checker("Bonn", "Is Rome a capital?\nIs Bonn a capital?", "The answer is Rome", pause=pause)
    think(checker)
    assert checker.revision.index("Is Rome") < checker.revision.index("Is Bonn")


def test_failures_behind_the_draft_leave_it_and_a_draft_that_fails_fails_the_run():
    assert think(Checker("The answer is Bonn", fault(), "")).answer == "bonn"
    assert think(Checker("The answer is Bonn", "Is Rome a capital?", fault())).answer == "bonn"
    with pytest.raises(RunFailed, match="the line went dead"):
        think(Checker(fault(), "", ""))


def test_a_budget_that_ends_it_keeps_the_draft():
    checker = Checker("The answer is Bonn", "Is Rome a capital?\nIs Bonn a capital?", "The answer is Rome")
    run = think(checker, budget="3 calls")
    assert (run.status, run.answer) == ("budget", "bonn")
