"""What every verifier must do. A new file in `tttlab/verifiers/` falls in by itself."""

import dataclasses
import pkgutil
from collections.abc import Callable
from importlib import import_module

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import verifiers
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.protocols import Model

NAMES = sorted(module.name for module in pkgutil.iter_modules(verifiers.__path__))
CANDIDATES = ["56", "The answer is 56.", "54", "", "</script><b>56", "nan", "1e999", "\ud83d", "٥٦", "5" * 5000]


def said_of_56(right, wrong):
    """A model that is asked about a candidate, and says `right` where it reads 56 and `wrong` where it does not."""
    return lambda: Speaker(lambda request: right if "56" in request.messages[0].text else wrong)


def sure_of_56():
    """A model whose first sample is 56, of which it is sure, and whose others are 54, of which it is not."""
    started = []

    def reply(request):
        started.append(request)
        return Reply(text="56", logprob=-0.1) if len(started) == 1 else Reply(text="54", logprob=-2.0)

    return ScriptedModel(reply)


@dataclasses.dataclass(frozen=True)
class Case:
    """What a verifier is shown: a right and a wrong candidate, the reference, and a model.

    `unjudged` is what it says of a text that it cannot judge, where there are such: the error of a verdict without a
    score. By default there are none. `secret` is what of the reference must not be told.
    """

    right: str = "56"
    wrong: str = "54"
    reference: str = "56"
    model: Callable[[], Model] = Speaker
    unjudged: str | None = None
    secret: str = "56"
    prompt: str = "What is 7 times 8?"


PUZZLE = "3 5 8 -> 16"
CASES = {
    "code_tests": Case(
        right="def product(): return 7 * 8",
        wrong="def product(): return 54",
        reference="assert product() == 56, 'it is 56'",
    ),
    "confidence": Case(model=sure_of_56, unjudged="no completion of this run"),
    "countdown": Case(right="Answer : ( 5 + 3 ) + 8", wrong="Answer : ( 5 + 8 ) - 3", prompt=PUZZLE, secret="zebra"),
    "countdown_steps": Case(
        right="5 + 3 = 8 : 8 8 ; 8 + 8 = 16 ? 16 ! ;",
        wrong="5 + 3 = 8 : 8 8 ; 8 + 8 = 16 ? 16 x ;",
        prompt=PUZZLE,
        secret="zebra",
        unjudged="no step of thinking",
    ),
    "llm_judge": Case(model=said_of_56("It is right. Score: 10", "It is wrong. Score: 1")),
    "multiple_choice": Case(right="The answer is (B).", wrong="C", reference="B", secret="B"),
    "process": Case(model=said_of_56("Step 1: 10", "Step 1: 1")),
    "self_evaluation": Case(model=said_of_56("A", "B")),
}
"""Those that need another case than numbers and a model that says 56."""


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def case(name):
    return CASES.get(name, Case())


@pytest.fixture(autouse=True)
def leave_to_run_code(own_store, monkeypatch):
    monkeypatch.setenv("TTTLAB_ALLOW_CODE", "1")


@pytest.fixture
def verifier(name):
    module = import_module(f"tttlab.verifiers.{name}")
    return getattr(module, "".join(word.capitalize() for word in name.split("_")))()


def verdicts(verifier, case, candidates, *, reference=True):
    found = []

    async def ask(problem, think):
        await think.complete(problem.prompt, n=2)
        found.extend([await think.verify(verifier, problem, candidate) for candidate in candidates])
        think.propose("done")

    tttlab.think(case.prompt, strategy=ask, model=case.model(), reference=case.reference if reference else None)
    return found


def test_it_is_a_frozen_dataclass_that_says_what_it_needs(verifier):
    assert type(verifier).__dataclass_params__.frozen
    assert len(type(verifier).__doc__) > 40
    assert dataclasses.replace(verifier) == verifier


def test_it_tells_right_from_wrong(verifier, case):
    right, wrong = verdicts(verifier, case, [case.right, case.wrong])
    assert right.passed
    assert right.score > wrong.score
    assert not wrong.passed


def test_any_text_gets_a_verdict_and_the_same_one_each_time(verifier, case):
    first, again = (verdicts(verifier, case, CANDIDATES) for _ in range(2))
    assert first == again
    for verdict in first:
        if verdict.error is None:
            assert 0 <= verdict.score <= 1
        else:
            assert case.unjudged is not None, verdict.error
            assert case.unjudged in verdict.error
            assert (verdict.score, verdict.passed) == (None, None)


def test_without_a_reference_it_says_so_or_needs_none(verifier, case):
    [verdict] = verdicts(verifier, case, [case.right], reference=False)
    assert verdict.passed is not True or verdict.score is not None
    assert verdict.error is None or "reference" in verdict.error


def test_a_verdict_never_tells_the_reference(verifier, case):
    found = verdicts(verifier, case, [case.wrong, *(text for text in CANDIDATES if case.secret not in text)])
    wrong = [verdict for verdict in found if not verdict.passed]
    odd = verdicts(verifier, dataclasses.replace(case, reference="zebra(("), [case.right, case.wrong])
    assert not [verdict for verdict in wrong if case.secret in f"{verdict.explanation} {verdict.error}"]
    assert not [verdict for verdict in odd if "zebra" in f"{verdict.explanation} {verdict.error}"]


def test_its_verdicts_are_recorded(verifier, case):
    verdicts(verifier, case, [case.right, case.wrong])
    rows = tttlab.connect().execute("SELECT candidate, passed, score FROM verdicts ORDER BY sequence").fetchall()
    assert [row[:2] for row in rows] == [(case.right, True), (case.wrong, False)]
