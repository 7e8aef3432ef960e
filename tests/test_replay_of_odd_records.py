"""Records that are not whole, old, or hold what a column does not: what a replay makes of them."""

import math
import random
import time
from pathlib import Path

import anyio
import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab import ScriptedModel
from tttlab.errors import RunFailed
from tttlab.events import Finish, TokenDelta
from tttlab.models.scripted import Reply
from tttlab.options import store_folder
from tttlab.types import Capabilities

QUESTION = "What is 7 times 8?"


class Known(Speaker):
    """A speaker that says what its weights are, so that what it gave before may be reused."""

    def describe(self):
        return {"digest": "sha256:1"}


def known(*values, **options):
    return Known(answers(*(values or ("56", "54", "56"))), **options)


def nobody():
    return Known(lambda request: fault("a replay asks no model"))


def think(model, samples=3, **options):
    return tttlab.think(QUESTION, strategy="self_consistency", samples=samples, model=model, **options)


def count_of_runs():
    tttlab.flush()
    return tttlab.connect().execute("SELECT count(*) FROM runs").fetchone()[0]


def lose_tokens():
    tttlab.flush()
    lost = list(Path(store_folder()).rglob("tokens/*.parquet"))
    for file in lost:
        file.unlink()
    assert lost


def test_a_call_whose_tokens_are_lost_is_asked_again():
    first = think(known())
    lose_tokens()
    model = known()
    again = think(model, replay="reuse")
    assert (model.started, again.replayed, again.answer, again.usage) == (3, 0, first.answer, first.usage)


def test_a_call_whose_tokens_are_lost_is_named_where_only_the_record_may_answer():
    first = think(known())
    lose_tokens()
    with pytest.raises(RunFailed, match=f"call 1 of its request .* {first.id} has it, but cut, failed"):
        think(nobody(), replay="only")


def test_tokens_with_half_a_character_each_are_whole():
    first = tttlab.think(QUESTION, model=Known("The answer is \ud83d \ude00 5"))
    assert tttlab.think(QUESTION, model=nobody(), replay="only").id == first.id


def test_a_prompt_that_no_column_holds_is_found_again():
    first = tttlab.think("half \ud800 a character", model=known(), replay="reuse")
    assert tttlab.think("half \ud800 a character", model=nobody(), replay="only").id == first.id


@pytest.mark.parametrize(
    ("value", "confidence"), [("56", math.nan), ("56", math.inf), ("\ud800", 0.5), ("a\x00b", -0.0), (None, None)]
)
def test_an_answer_that_no_column_holds_is_the_same_answer_again(value, confidence):
    async def says(problem, think):
        await think.complete(problem.prompt)
        return think.propose(value, confidence=confidence)

    tttlab.think(QUESTION, strategy=says, model=known())
    tttlab.think(QUESTION, strategy=says, model=nobody(), replay="only")
    assert count_of_runs() == 1


class Uncounted:
    """A model that never reports a usage."""

    name = "uncounted"
    can = Capabilities(seed=True)

    async def stream(self, request):
        drawn = random.Random(request.seed)
        for position in range(drawn.randint(1, 6)):
            await anyio.sleep(drawn.uniform(0, 0.004))
            yield TokenDelta(" word", time.time_ns(), position)
        yield Finish("stop")


def test_a_model_that_reports_no_usage_has_its_places_in_the_order_again():
    async def proposes(problem, think):
        async with think.sample(problem.prompt, n=8) as samples:
            async for completion in samples:
                think.propose(completion.text)

    first = tttlab.think(QUESTION, strategy=proposes, model=Uncounted())
    again = tttlab.think(QUESTION, strategy=proposes, model=Uncounted(), replay="only")
    assert [point.sequence for point in again.curve] == [point.sequence for point in first.curve]
    assert (again.id, again.usage) == (first.id, first.usage)


def test_of_runs_that_began_in_one_second_the_latest_is_the_one_that_is_repeated():
    for _ in range(6):
        latest = think(known(), replay="off")
    assert think(nobody(), replay="only").id == latest.id


class InPieces(ScriptedModel):
    """Says four words a piece, and not how many tokens that is."""

    def describe(self):
        return {"digest": "sha256:1"}


def test_what_a_budget_made_shorter_does_not_serve_a_run_without_it():
    async def says(problem, think):
        [completion] = await think.complete(problem.prompt)
        return think.propose(completion.text)

    whole = "a b c d e f g h i j k l m n"
    model = InPieces(Reply(text=whole, chunk=4))
    limited = tttlab.think(QUESTION, strategy=says, model=model, budget="11 tokens")
    assert (limited.status, limited.answer) == ("ok", whole.removesuffix(" m n"))
    assert tttlab.think(QUESTION, strategy=says, model=model, replay="reuse").answer == whole
    again = tttlab.think(QUESTION, strategy=says, model=model, budget="11 tokens", replay="only")
    assert (again.id, again.answer) == (limited.id, limited.answer)


def test_a_run_that_ended_is_repeated_rather_than_a_later_one_that_failed():
    first = think(known())
    with pytest.raises(RunFailed):
        think(Known(lambda request: fault()))
    assert think(nobody(), replay="only").id == first.id


def test_a_model_that_says_its_weights_is_asked_where_the_record_does_not_say_them():
    think(Speaker(answers("54")))
    model = known("56")
    assert think(model, replay="reuse").answer == "56"
    assert model.started == 3
