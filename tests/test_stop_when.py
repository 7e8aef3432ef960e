"""A watch ends one sample early: it is charged and given as far as it came, and nothing of it runs on."""

import anyio
import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError, RunFailed
from tttlab.events import ChunkDelta, Finish
from tttlab.models.scripted import ScriptedModel
from tttlab.plan import plan
from tttlab.runner import Runner
from tttlab.types import Capabilities

QUESTION = "What is 7 times 8?"
WORDS = "one two three four five six seven eight nine ten"


def after(words):
    """Ends a sample at its token number `words`."""

    def watch():
        seen = []
        return lambda delta: seen.append(delta.text) or len(seen) == words

    return watch


def drawn(model, stop_when, *, n=1, budget=None, **options):
    found = []

    async def strategy(problem, think):
        async with think.sample(problem.prompt, n=n, stop_when=stop_when, **options) as samples:
            async for completion in samples:
                found.append(completion)
                think.propose(completion.text)

    run = tttlab.think(QUESTION, strategy=strategy, model=model, budget=budget)
    return run, found


def calls(columns, run):
    return (
        tttlab.connect().execute(f"SELECT {columns} FROM calls WHERE run_id = ? ORDER BY ordinal", [run.id]).fetchall()
    )


def test_a_sample_ends_at_the_token_where_its_watch_says_so_and_only_that_much_is_charged():
    model = Speaker(WORDS)
    run, [completion] = drawn(model, after(3))
    assert (completion.text, completion.finish_reason) == ("one two three", "cancelled")
    assert (completion.usage.output_tokens, completion.usage.prompt_tokens) == (3, 3)
    assert (run.status, run.answer, run.usage.output_tokens, run.usage.calls) == ("ok", "one two three", 3, 1)
    assert model.in_flight == 0


def test_the_others_go_on_and_all_come_in_index_order():
    def pause(request, position):
        return 0.002 * (request.seed % 3)

    def quickly_odd():
        seen = []
        odd = next(turns) % 2
        return lambda delta: seen.append(delta) or (bool(odd) and len(seen) == 2)

    turns = iter(range(4))
    _, found = drawn(Speaker(WORDS, pause=pause), quickly_odd, n=4)
    assert [completion.text for completion in found] == [WORDS, "one two", WORDS, "one two"]
    assert [completion.identity.ordinal for completion in found] == [0, 1, 2, 3]


def test_the_calls_span_says_who_ended_it_and_that_the_strategy_was_given_it():
    run, _ = drawn(Speaker("The answer is 5 6 7 8"), after(4), n=2)
    rows = calls("status, cancelled_by, delivered IS NOT NULL, answer, text, output_tokens", run)
    assert rows == [("cancelled", "strategy", True, "5", "The answer is 5", 4)] * 2
    assert tttlab.connect().execute("SELECT count(*) FROM tokens").fetchone() == (8,)


def test_a_model_that_would_never_end_is_cut_by_its_watch():
    model = Speaker(WORDS, pause=lambda request, position: 3600 if position == 4 else 0)
    _, [completion] = drawn(model, after(4))
    assert completion.text == "one two three four"
    assert model.in_flight == 0


def test_chunks_are_shown_to_the_watch_too_and_thinking_in_its_channel():
    class Chunks:
        name = "chunks"
        can = Capabilities()

        async def stream(self, request):
            for part in ("so it ", "is 56, ", "surely"):
                yield ChunkDelta(part, 0, tokens=2)
            yield Finish("stop")

    _, [completion] = drawn(Chunks(), lambda: lambda delta: "56" in delta.text)
    assert completion.text == "so it is 56, "
    _, [completion] = drawn(Chunks(), lambda: lambda delta: delta.channel == "thinking", channel="thinking")
    assert completion.thinking == "so it "


def test_a_budget_that_is_spent_at_the_same_token_ends_the_run():
    run, found = drawn(Speaker(WORDS), after(3), budget="5 tokens")
    assert (run.status, found) == ("budget", [])
    assert calls("status, cancelled_by", run) == [("cancelled", "budget")]


def test_a_watch_that_never_says_so_changes_nothing():
    first, found = drawn(ScriptedModel(), lambda: lambda delta: False)
    again, unwatched = drawn(ScriptedModel(), None)
    assert [each.text for each in found] == [each.text for each in unwatched]
    assert (first.usage, found[0].finish_reason) == (again.usage, "stop")


def test_a_watch_that_raises_fails_the_run_and_leaves_nothing_running():
    model = Speaker(WORDS)
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        drawn(model, lambda: lambda delta: 1 / 0, n=3)
    assert model.in_flight == 0


def test_what_makes_no_watch_is_refused():
    with pytest.raises(RunFailed, match="stop_when=5 makes no watch") as failed:
        drawn(Speaker(), 5)
    assert isinstance(failed.value.__cause__, OptionError)


def test_a_stop_by_the_user_meanwhile_is_still_the_users():
    model = Speaker(WORDS, pause=lambda request, position: 3600 if position == 3 else 0)
    runner = None

    def strategy_stop():
        seen = []

        def watch(delta):
            seen.append(delta)
            if len(seen) == 2:
                runner.stop()
            return False

        return watch

    async def strategy(problem, think):
        with anyio.CancelScope():
            await think.complete(problem.prompt, stop_when=strategy_stop)

    runner = Runner(plan(QUESTION, strategy=strategy, model=model))
    run = tttlab.portal.portal().call(runner.run)
    assert (run.status, calls("cancelled_by", run)) == ("stopped", [("user",)])
