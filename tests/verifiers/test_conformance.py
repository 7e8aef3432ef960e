"""What every verifier must do. A new file in `tttlab/verifiers/` falls in by itself."""

import dataclasses
import pkgutil
from importlib import import_module

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import verifiers

NAMES = sorted(module.name for module in pkgutil.iter_modules(verifiers.__path__))
CANDIDATES = ["56", "The answer is 56.", "54", "", "</script><b>56", "nan", "1e999", "\ud83d", "٥٦", "5" * 5000]


@pytest.fixture(params=NAMES)
def verifier(request):
    module = import_module(f"tttlab.verifiers.{request.param}")
    return getattr(module, "".join(word.capitalize() for word in request.param.split("_")))()


def verdicts(verifier, candidates, reference="56"):
    found = []

    async def ask(problem, think):
        found.extend([await think.verify(verifier, problem, candidate) for candidate in candidates])
        think.propose("done")

    tttlab.think("What is 7 times 8?", strategy=ask, model=Speaker(), reference=reference)
    return found


def test_it_is_a_frozen_dataclass_that_says_what_it_needs(verifier):
    assert type(verifier).__dataclass_params__.frozen
    assert len(type(verifier).__doc__) > 40
    assert dataclasses.replace(verifier) == verifier


def test_it_tells_right_from_wrong(verifier):
    right, wrong = verdicts(verifier, ["56", "54"])
    assert right.passed
    assert right.score > wrong.score
    assert not wrong.passed


def test_any_text_gets_a_verdict_and_the_same_one_each_time(verifier):
    first, again = (verdicts(verifier, CANDIDATES) for _ in range(2))
    assert first == again
    for verdict in first:
        assert verdict.error is None
        assert 0 <= verdict.score <= 1


def test_without_a_reference_it_says_so_or_needs_none(verifier):
    [verdict] = verdicts(verifier, ["56"], reference=None)
    assert verdict.passed is not True or verdict.score is not None
    assert verdict.error is None or "reference" in verdict.error


def test_its_verdicts_are_recorded(verifier):
    verdicts(verifier, ["56", "54"])
    rows = tttlab.connect().execute("SELECT candidate, passed, score FROM verdicts ORDER BY sequence").fetchall()
    assert [row[:2] for row in rows] == [("56", True), ("54", False)]
