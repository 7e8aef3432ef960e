"""What the tests with real servers of other projects share: their environments, and two runs to send."""

import time

import pytest

import tttlab
from tests.interop.servers import NotInstalled, install
from tests.speaker import Speaker, answers


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A function that makes an environment with packages, and skips the test where they cannot be had."""

    def installing(*packages):
        try:
            return install(tmp_path_factory.mktemp("installed"), *packages)
        except NotInstalled as error:
            pytest.skip(str(error))

    return installing


def eventually(read, is_enough, seconds=90):
    """What `read` gives as soon as it is enough: servers store after they have answered."""
    until = time.monotonic() + seconds
    while not is_enough(found := read()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


@pytest.fixture
def two_runs():
    """Two runs in the store: one of three calls that votes, and one of a single call."""
    voted = tttlab.think(
        "What is 7 times 8?",
        strategy="self_consistency",
        samples=3,
        model=Speaker(answers("56", "54", "56")),
        reference="56",
    )
    direct = tttlab.think("Name a prime.", model=Speaker("The answer is 7"))
    return voted, direct


def stored_spans():
    """What the store has of them, by span id: the parent's id, the trace's, and the name."""
    sql = "SELECT span_id, parent_span_id, trace_id, name FROM spans"
    return {span: tuple(rest) for span, *rest in tttlab.connect().execute(sql).fetchall()}
