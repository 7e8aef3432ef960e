"""The views hold whatever names, candidates and spans of other libraries are in the store."""

import pytest

import tttlab
from tests.store.recorded import span
from tttlab.store.database import connect
from tttlab.store.journal import Journal

CANDIDATES = [
    "x",
    'say "hi"',
    "\\",
    "\\n",
    'a\\"b',
    "\\frac{1}{2}",
    "a.b",
    "$",
    "*",
    "[0]",
    "#",
    "new\nline",
    "it's",
    "\x00",
    "é🚀",
    '"',
    '{"a": 1}',
    "null",
    "",
]


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def test_a_candidate_of_a_vote_may_hold_any_character(journal):
    votes = {candidate: float(number) for number, candidate in enumerate(CANDIDATES)}
    for number, answer in enumerate(CANDIDATES):
        attributes = {"tttlab.vote.tally": votes, "tttlab.answer.value": answer, "tttlab.answer.sequence": number}
        journal.span(span(number + 1, attributes=attributes))
    journal.flush()
    found = (
        connect(journal.folder).execute("SELECT candidate, weight, leads FROM votes ORDER BY step, weight").fetchall()
    )
    assert found == [
        (candidate, weight, candidate == answer) for answer in CANDIDATES for candidate, weight in votes.items()
    ]


def test_every_candidate_of_a_run_is_kept_the_empty_one_too():
    votes = {candidate: float(number) for number, candidate in enumerate([*CANDIDATES, "␀", "␀␀", "a␀"])}

    async def voting(problem, think):
        think.propose("", votes=votes)

    tttlab.think("x", model=tttlab.ScriptedModel(), strategy=voting)
    found = tttlab.connect().execute("SELECT candidate, weight FROM votes ORDER BY weight").fetchall()
    assert found == list(votes.items())
    assert tttlab.connect().execute("SELECT candidate FROM votes WHERE leads").fetchall() == [("",)]


def test_a_vote_that_is_no_number_is_null(journal):
    journal.span(span(1, attributes={"tttlab.vote.tally": {"a": "lots", "b": None, "c": 2}}))
    journal.span(span(2, attributes={"tttlab.vote.tally": ["a"]}))
    journal.flush()
    found = connect(journal.folder).execute("SELECT candidate, weight FROM votes ORDER BY candidate").fetchall()
    assert found == [("a", None), ("b", None), ("c", 2.0)]


def test_a_branch_of_any_depth_can_be_read(journal):
    for number, depth in enumerate((1, "very deep", [2])):
        attributes = {"tttlab.branch.path": str(number), "tttlab.branch.depth": depth}
        journal.span(span(number + 1, name=f"branch {number}", attributes=attributes))
    journal.flush()
    found = connect(journal.folder).execute("SELECT path, depth FROM branches ORDER BY path").fetchall()
    assert found == [("0", 1), ("1", None), ("2", None)]


def test_spans_of_another_library_are_spans_and_nothing_else():
    async def mixed(problem, think):
        foreign = tttlab.tracer_provider().get_tracer("another.library")
        for name in ("branch main", "propose"):
            foreign.start_span(name).end()
        with think.branch():
            think.propose("56")

    tttlab.think("x", model=tttlab.ScriptedModel(), strategy=mixed)
    connection = tttlab.connect()
    assert connection.execute("SELECT answer FROM answers").fetchall() == [("56",)]
    assert connection.execute("SELECT path FROM branches").fetchall() == [("0",)]
    assert connection.execute("SELECT count(*) FROM spans WHERE scope_name = 'another.library'").fetchone() == (2,)
