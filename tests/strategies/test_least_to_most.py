"""Least-to-most prompting against an independent statement of it (Zhou et al., 2022, section 2)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Message
from tttlab.errors import RunFailed
from tttlab.strategies.least_to_most import parts_in

QUESTION = "How many times can she slide before it closes?"
KNOWN = {
    "How long is a climb?": "The answer is 4",
    "How long is a slide?": "The answer is 1",
    "How long is both?": "The answer is 5",
}


def solved(parts, most):
    """What is asked in turn, each with the questions and answers that it is shown: decompose, then solve."""
    chain, asked = [], []
    for part in [*list(dict.fromkeys(part for part in parts if part != QUESTION))[:most], QUESTION]:
        asked.append((part, list(chain)))
        chain.append((part, KNOWN.get(part)))
    return asked


class Solver:
    """Decomposes as it is told and knows the answers of the parts, and of the whole once it was shown `needs`."""

    def __init__(self, decomposition, needs=(), known=KNOWN):
        self.decomposition, self.needs, self.known = decomposition, needs, known
        self.requests = []
        self.model = Speaker(self.reply)

    def reply(self, request):
        last = request.messages[-1].text
        if "List up to" in last:
            return self.decomposition
        self.requests.append(request.messages)
        for part, answer in self.known.items():
            if last.endswith(f"answer only this: {part}"):
                return answer
        shown = "\n".join(message.text for message in request.messages)
        return "The answer is 3" if all(self.known[part] in shown for part in self.needs) else "The answer is 9"


def think(solver, **options):
    return tttlab.think(QUESTION, strategy="least_to_most", model=solver.model, **options)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*KNOWN, QUESTION]), max_size=5), st.integers(1, 4))
def test_it_decomposes_and_solves_as_the_paper_does(parts, most):
    solver = Solver("\n".join(f"{number}) {part}" for number, part in enumerate(parts, 1)))
    run = think(solver, parts=most)
    expected = solved(parts, most)
    assert run.usage.calls == 1 + len(expected)
    for messages, (part, chain) in zip(solver.requests, expected, strict=True):
        *before, last = messages
        assert last.role == "user"
        assert last.text.endswith(part)
        assert QUESTION in messages[0].text
        pairs = list(zip(before[::2], before[1::2], strict=True))
        assert len(pairs) == len(chain)
        for (asked, answered), (question, known) in zip(pairs, chain, strict=True):
            assert asked.text.endswith(question)
            assert answered == Message("assistant", known)
    assert [point.value for point in run.curve] == [KNOWN[part].split()[-1] for part, _ in expected[:-1]] + ["3"]


def test_the_whole_is_answered_from_the_parts():
    run = think(Solver("\n".join(KNOWN), needs=list(KNOWN)))
    assert run.answer == "3"
    assert think(Solver("How long is a climb?", needs=list(KNOWN))).answer == "9"


def test_a_decomposition_without_a_question_leaves_the_question_as_it_is():
    solver = Solver("I would just do it.")
    run = think(solver)
    assert (run.answer, run.usage.calls) == ("3", 2)
    assert solver.requests == [(Message("user", QUESTION),)]


@pytest.mark.parametrize("failed", [fault(), ""])
def test_a_part_that_fails_or_says_nothing_is_left_out_and_the_next_still_sees_the_problem(failed):
    known = {**KNOWN, "How long is a climb?": failed}
    solver = Solver("How long is a climb?\nHow long is a slide?", known=known, needs=["How long is a slide?"])
    run = think(solver)
    assert (run.status, run.answer) == ("ok", "3")
    assert QUESTION in solver.requests[1][0].text
    assert len(solver.requests[-1]) == 3


def test_a_decomposition_that_fails_fails_the_run():
    with pytest.raises(RunFailed, match="the line went dead"):
        think(Solver(fault()))


def test_a_budget_that_ends_it_keeps_the_latest_part():
    run = think(Solver("\n".join(KNOWN)), budget="3 calls")
    assert (run.status, run.answer) == ("budget", "1")


def test_a_whole_that_is_not_answered_is_not_answered_by_a_part():
    class Quiet(Solver):
        def reply(self, request):
            return "" if "the question itself" in request.messages[-1].text else super().reply(request)

    assert think(Quiet("How long is a climb?")).answer is None


def test_parts_are_lines_that_ask_and_never_the_question_itself():
    said = f"First:\n1. **How long?**\n- How long?\n2. {QUESTION.upper()}\nThen add.\nQ2: How far?"
    assert parts_in(said, QUESTION) == ["How long?", "How far?"]
