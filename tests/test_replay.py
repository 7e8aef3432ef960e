"""What a replay serves, says, and leaves alone. Every strategy is in `tests/strategies/test_replay.py`."""

import asyncio
import random
import time

import anyio
import pytest

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab import Budget, ScriptedModel
from tttlab.errors import OptionError, RunFailed
from tttlab.events import ChunkDelta, Finish, TokenDelta, UsageUpdate
from tttlab.plan import plan
from tttlab.portal import portal
from tttlab.runner import Runner
from tttlab.types import CodeLimits, Price, ReasoningItem, Usage

QUESTION = "What is 7 times 8?"


class Known(Speaker):
    """A speaker that says what its weights are, so that what it gave before may be reused."""

    digest = "sha256:1"

    def describe(self):
        return {"digest": self.digest}


def known(*values, **options):
    return Known(answers(*(values or ("56", "54", "56", "57", "56"))), **options)


def think(model, samples=5, **options):
    return tttlab.think(QUESTION, strategy="self_consistency", samples=samples, model=model, **options)


def asked(sql, *parameters):
    return tttlab.connect().execute(sql, list(parameters)).fetchall()


def test_more_samples_replay_those_that_are_recorded_and_run_the_others():
    think(known(), 5, replay="reuse")
    model = known()
    run = think(model, 8, replay="reuse")
    assert (model.started, run.replayed, run.usage.calls, run.new.calls) == (3, 5, 8, 3)
    whole = think(known(), 8, replay="off")
    assert [point.votes for point in run.curve] == [point.votes for point in whole.curve]
    assert run.usage.tokens == whole.usage.tokens
    assert asked("SELECT calls, replayed_calls, tokens, new_tokens FROM runs WHERE run_id = ?", run.id) == [
        (8, 5, run.usage.tokens, run.new.tokens)
    ]
    assert asked("SELECT sum(calls), sum(tokens) FROM usage WHERE run_id = ?", run.id) == [(3, run.new.tokens)]


def test_a_replayed_call_says_and_links_what_it_replays_and_has_its_times_and_tokens():
    first = think(known(), 2, replay="reuse")
    run = think(known(), 3, replay="reuse")
    same = """
        SELECT copy.span_id, first.span_id, links ->> '$[0].span_id', copy.started = first.started,
            copy.seconds = first.seconds, copy.text = first.text
        FROM calls AS copy JOIN calls AS first ON first.span_id = copy.replay_of
        JOIN spans ON spans.span_key = copy.span_key
        WHERE copy.run_id = ? AND first.run_id = ?
    """
    pairs = asked(same, run.id, first.id)
    assert len(pairs) == 2
    for copied, original, linked, *same_facts in pairs:
        assert linked == original
        assert all(same_facts)
        columns = "position, channel, text, token_id, logprob, top, time_ns"
        tokens = f"SELECT {columns} FROM tokens WHERE span_id = ? ORDER BY position"
        assert asked(tokens, copied) == asked(tokens, original)


def test_another_rule_over_the_same_calls_is_a_run_of_its_own_without_new_tokens():
    think(known(), 5, replay="reuse")
    again = tttlab.think(
        QUESTION, strategy="best_of_n", samples=5, max_tokens=512, selection="majority", model=known(), replay="reuse"
    )
    assert (again.replayed, again.new.tokens) == (5, 0)
    assert asked("SELECT count(*) FROM runs") == [(2,)]


def test_another_seed_is_another_run():
    think(known(), replay="reuse")
    model = known()
    assert think(model, replay="reuse", seed=1).replayed == 0
    assert model.started == 5


def test_off_runs_all_again():
    think(known())
    model = known()
    run = think(model)
    assert (model.started, run.replayed, run.new) == (5, 0, None)


def test_what_is_missing_is_an_error_that_names_it_where_only_the_record_may_answer():
    think(known(), 5)
    with pytest.raises(RunFailed, match=r"call 6 of its request .* numbers 1 to 5 are recorded there"):
        think(known(), 6, replay="only")
    with pytest.raises(RunFailed, match=r"differs in temperature 0\.7 there and 0\.2 here"):
        think(known(), 5, replay="only", temperature=0.2)
    with pytest.raises(RunFailed, match="no run of this prompt and seed is recorded"):
        think(known(), 5, replay="only", seed=1)
    with pytest.raises(tttlab.TttlabError, match="no run of this prompt on local:smollm2 with seed 0 is recorded"):
        tttlab.think(QUESTION, model="local:smollm2", replay="only")
    assert asked("SELECT count(*) FROM runs") == [(1,)]


def test_a_mode_that_there_is_not_is_told_with_the_nearest():
    with pytest.raises(OptionError, match=r"no replay mode 'resue' \(given\); did you mean 'reuse'"):
        think(known(), replay="resue")


def test_a_call_that_failed_is_asked_again_where_it_can_be():
    first = think(known("56", fault(), "56"), 3, replay="reuse")
    model = known()
    run = think(model, 3, replay="reuse")
    assert (first.usage.calls, run.replayed, model.started) == (3, 2, 1)


def test_a_call_that_the_user_stopped_is_asked_again_and_is_stopped_again_where_only_the_record_may_answer():
    runner = None

    def stop(event):
        if type(event).__name__ == "CallEnded":
            runner.stop()

    model = Known(answers("56"), pause=lambda request, position: 0.001 * (request.seed % 5))
    runner = Runner(plan(QUESTION, strategy="self_consistency", samples=3, model=model), stop)
    stopped = portal().call(runner.run)
    assert stopped.status == "stopped"
    again = think(known(), 3, replay="only")
    assert (again.status, again.id, [point.value for point in again.curve]) == (
        "stopped",
        stopped.id,
        [point.value for point in stopped.curve],
    )
    assert think(known("56"), 3, replay="reuse").status == "ok"


def test_other_weights_are_another_model():
    think(known(), replay="reuse")
    model = known()
    model.digest = "sha256:2"
    assert think(model, replay="reuse").replayed == 0


def test_a_model_object_that_does_not_say_what_it_is_is_always_asked():
    for _ in range(2):
        model = ScriptedModel(["56", "54"])
        assert think(model, replay="reuse").replayed == 0
        assert model.started == 5


def test_a_model_that_is_known_from_its_record_is_not_loaded(monkeypatch):
    from tttlab import models

    loaded = []

    def load():
        loaded.append(1)
        return Speaker(answers("56"), name="speaker")

    monkeypatch.setitem(models.NAMES, "speaker", load)
    first = think("speaker", 3, replay="reuse")
    assert loaded == [1]
    again = think("speaker", 3, replay="reuse")
    assert (again.id, loaded) == (first.id, [1])
    more = think("speaker", 4, replay="reuse")
    assert (more.replayed, loaded) == (3, [1, 1])


def test_a_program_is_not_run_again():
    program = "```python\nimport time\nprint(time.time_ns())\n```"
    options = {"strategy": "program_of_thoughts", "model": Known(lambda request: program), "samples": 1}
    first = tttlab.think(QUESTION, allow_code=True, replay="reuse", **options)
    again = tttlab.think(QUESTION, allow_code=False, replay="only", **options)
    assert first.answer is not None
    assert (again.id, again.answer) == (first.id, first.answer)


def test_the_recorded_pace_can_be_kept():
    run = think(known(pause=lambda request, position: 0.02), 1, replay="reuse")
    quick = think(known(), 1, replay="only")
    paced = think(known(), 1, replay="only", pace=0.5)
    assert quick.id == paced.id == run.id
    with pytest.raises(OptionError, match="a pace of 0"):
        think(known(), 1, replay="only", pace=0)


def test_a_replay_is_noted():
    run = think(known())
    think(known(), replay="only")
    assert asked("SELECT replay_of, calls, replayed_calls, new_tokens FROM runs_all WHERE replay_of = ?", run.id) == [
        (run.id, 5, 5, 0)
    ]


def test_a_second_model_that_is_known_from_its_record_is_not_loaded_either(monkeypatch):
    from tttlab import models

    loaded = []

    def load():
        loaded.append(1)
        return Known(lambda request: "The answer is 58", name="other")

    monkeypatch.setitem(models.NAMES, "other", load)

    async def asks_another(problem, think):
        [own] = await think.complete(problem.prompt)
        [other] = await think.complete(problem.prompt, model="other")
        return think.propose(f"{problem.extract(own.text)} and {problem.extract(other.text)}")

    first = tttlab.think(QUESTION, strategy=asks_another, model=known(), replay="reuse")
    assert (first.answer, loaded) == ("56 and 58", [1])
    again = tttlab.think(QUESTION, strategy=asks_another, model=known(), replay="only")
    assert (again.id, again.answer, loaded) == (first.id, first.answer, [1])


class Batch(Known):
    """Streams that advance at each step of one engine, a moment apart."""

    async def stream(self, request):
        drawn = random.Random(request.seed)
        yield UsageUpdate(Usage(prompt_tokens=3))
        for position in range(drawn.randint(1, 3)):
            now = asyncio.get_running_loop().time()
            await asyncio.sleep((int(now * 100) + 1) / 100 - now + 0.00002 * drawn.randint(0, 5))
            yield TokenDelta(f" {request.seed}", time.time_ns(), position)
        yield Finish("stop")


@pytest.mark.parametrize("enough", [2, 8])
def test_samples_that_end_in_one_step_come_in_the_recorded_order(enough):
    async def race(problem, think):
        seen = []
        async with think.sample(problem.prompt, n=8, order="finished") as samples:
            async for sample in samples:
                seen.append(sample.text)
                think.propose(" ".join(seen))
                if len(seen) == enough:
                    break

    for seed in range(6):
        first = tttlab.think(QUESTION, strategy=race, model=Batch(), seed=seed, replay="reuse")
        again = tttlab.think(QUESTION, strategy=race, model=Batch(), seed=seed, replay="only")
        assert (again.id, again.answer) == (first.id, first.answer)


def test_what_a_strategy_declared_to_be_thinking_does_not_serve_one_that_does_not():
    async def asks(problem, think, *, channel=None):
        [said] = await think.complete(problem.prompt, channel=channel)
        return think.propose(f"{said.thinking}|{said.text}")

    tttlab.think(QUESTION, strategy=asks, channel="thinking", model=known(), replay="reuse")
    assert tttlab.think(QUESTION, strategy=asks, model=known(), replay="reuse").answer == "|The answer is 56"


class Queued(Known):
    """Its counts of the prompt come when five calls have begun, all at one moment."""

    begun = 0
    full = None

    async def stream(self, request):
        self.full = self.full or asyncio.Event()
        self.begun += 1
        if self.begun == 5:
            self.full.set()
        await self.full.wait()
        async for event in super().stream(request):
            yield event


def test_what_a_cut_call_had_spent_is_spent_in_the_replay():
    def model():
        return Queued(lambda request: "The answer is 56", prompt_tokens=38)

    async def mine(problem, think):
        with think.limit(Budget(tokens=60)):
            await think.complete(problem.prompt, n=5)
        think.propose("after")

    first = tttlab.think(QUESTION, strategy=mine, model=model(), replay="reuse")
    again = tttlab.think(QUESTION, strategy=mine, model=model(), replay="only")
    assert first.curve[0].spent.tokens >= 5 * 38
    assert (again.id, again.curve[0].spent) == (first.id, first.curve[0].spent)


def test_a_strategy_that_goes_on_where_it_was_cut_is_run_again_with_whole_calls():
    most = 1

    async def mine(problem, think):
        async with think.sample(problem.prompt, n=3) as samples:
            seen = 0
            async for sample in samples:
                seen += 1
                think.propose(f"{seen}: {problem.extract(sample.text)}")
                if seen == most:
                    break

    held = {}
    first = Known(lambda request: "The answer is 56", pause=lambda r, p: held.setdefault(r.seed, 0.3 if held else 0.0))
    assert tttlab.think(QUESTION, strategy=mine, model=first, replay="reuse").answer == "1: 56"
    most = 3
    model = Known(lambda request: "The answer is 56")
    run = tttlab.think(QUESTION, strategy=mine, model=model, replay="reuse")
    assert (run.status, run.answer, run.replayed, model.started) == ("ok", "3: 56", 1, 2)


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_strategy_that_asks_something_new_beside_a_call_that_was_cut_asks_that_call_again(when):
    new = None

    async def mine(problem, think):
        if new == "before":
            await think.complete("another")
        async with think.sample(problem.prompt, n=2, order="finished") as samples:
            async for sample in samples:
                think.propose(problem.extract(sample.text))
                if new == "while":
                    await think.complete("another")
                break

    held = {}
    first = Known(lambda request: "The answer is 56", pause=lambda r, p: held.setdefault(r.seed, 0.3 if held else 0.0))
    assert tttlab.think(QUESTION, strategy=mine, model=first, replay="reuse").usage.calls == 2
    new = when
    model = Known(lambda request: "The answer is 56", pause=lambda r, p: 0.001)
    run = tttlab.think(QUESTION, strategy=mine, model=model, replay="reuse")
    assert (run.status, run.answer, run.replayed, model.started) == ("ok", "56", 1, 2)


def test_a_strategys_own_timeout_is_run_again():
    async def mine(problem, think):
        with anyio.move_on_after(0.1):
            await think.complete(problem.prompt)
            return think.propose("in time")
        return think.propose("late")

    slow = Known(lambda request: "The answer is 56", pause=lambda request, position: 0.2)
    assert tttlab.think(QUESTION, strategy=mine, model=slow, replay="reuse").answer == "late"
    assert tttlab.think(QUESTION, strategy=mine, model=known(), replay="reuse").answer == "in time"


def test_a_budget_of_time_that_ended_between_calls_ends_there_again():
    async def mine(problem, think):
        await think.complete(problem.prompt)
        think.propose("one")
        await asyncio.sleep(0.3)
        await think.complete(problem.prompt + " Again?")
        think.propose("two")

    first = tttlab.think(QUESTION, strategy=mine, model=known(), budget="0.1 s", replay="reuse")
    assert (first.status, first.answer) == ("budget", "one")
    for mode in ("reuse", "only"):
        model = known()
        again = tttlab.think(QUESTION, strategy=mine, model=model, budget="0.1 s", replay=mode)
        assert (again.id, again.status, again.answer, model.started) == (first.id, "budget", "one", 0)


def test_a_budget_of_time_that_ended_in_a_program_ends_there_again():
    async def mine(problem, think):
        await think.complete(problem.prompt)
        think.propose("before")
        ran = await think.run_code("import time; time.sleep(30)")
        think.propose(f"after {ran.outcome}")

    options = {"strategy": mine, "budget": "1 s", "allow_code": True}
    first = tttlab.think(QUESTION, model=known(), replay="reuse", **options)
    assert (first.status, first.answer) == ("budget", "before")
    again = tttlab.think(QUESTION, model=known(), replay="only", **options)
    assert (again.id, again.status, again.answer) == (first.id, "budget", "before")


def test_a_program_within_other_limits_is_another_program():
    async def mine(problem, think, *, seconds=0.5):
        ran = await think.run_code("import time; time.sleep(1.5)", limits=CodeLimits(seconds=seconds))
        return think.propose(ran.outcome)

    options = {"strategy": mine, "model": known(), "allow_code": True, "replay": "reuse"}
    assert tttlab.think(QUESTION, seconds=0.5, **options).answer == "timeout"
    assert tttlab.think(QUESTION, seconds=20.0, **options).answer == "ok"


def test_an_inner_model_object_that_does_not_say_what_it_is_is_always_asked():
    async def mine(problem, think, *, inner):
        await think.complete(problem.prompt)
        [said] = await think.complete(problem.prompt, model=inner)
        return think.propose(said.text)

    answered = [
        tttlab.think(
            QUESTION, strategy=mine, inner=Speaker(f"It is {number}", name="inner"), model=known(), replay="reuse"
        ).answer
        for number in (1, 2)
    ]
    assert answered == ["It is 1", "It is 2"]


def test_a_price_is_recorded_with_the_model(monkeypatch):
    from tttlab import models

    priced = Speaker(answers("56"), name="speaker", price=Price(prompt=1.0, output=2.0))
    monkeypatch.setitem(models.NAMES, "speaker", lambda: priced)
    first = think("speaker", 2, replay="reuse", budget="$1")
    again = think("speaker", 2, replay="only", budget="$1")
    assert again.usage.dollars == first.usage.dollars == pytest.approx(first.usage.dollars)
    assert first.usage.dollars > 0


def test_a_replay_that_is_interrupted_is_no_run():
    run = think(known(), 3, replay="reuse")
    runner = Runner(plan(QUESTION, strategy="self_consistency", samples=3, model=known(), replay="reuse", pace=0.0001))
    runner.stop()
    assert portal().call(runner.run).status == "stopped"
    assert asked("SELECT run_id FROM runs") == [(run.id,)]


@pytest.mark.parametrize("seed", [True, 1.5, 2**63, "1"])
def test_a_seed_that_is_none_is_told(seed):
    with pytest.raises(OptionError, match="a seed is a whole number"):
        think(known(), seed=seed)


def test_what_a_provider_wants_back_and_what_it_charged_are_replayed():
    item = ReasoningItem("some_wire", '{"signature":"x"}')

    class Opaque(Known):
        reports_dollars = True

        async def stream(self, request):
            self.started += 1
            yield ChunkDelta("56", time.time_ns())
            yield item
            yield UsageUpdate(Usage(prompt_tokens=5, output_tokens=3, thinking_tokens=2), dollars=0.125)
            yield Finish("stop", "encrypted", response_id="r-1")

    async def keeps(problem, think):
        [completion] = await think.complete(problem.prompt)
        assert completion.reasoning == (item,)
        return think.propose(completion.text)

    first = tttlab.think(QUESTION, strategy=keeps, model=Opaque(answers("56")), budget="$1", replay="reuse")
    assert first.usage.dollars == 0.125
    again = Opaque(answers("56"))
    replayed = tttlab.think(QUESTION, strategy=keeps, model=again, budget="$1", replay="reuse")
    assert (replayed.id, again.started, replayed.usage.dollars) == (first.id, 0, 0.125)
    sources = asked("SELECT attributes ->> '$.\"tttlab.cost.source\"' FROM spans WHERE name LIKE 'chat %'")
    assert {source for [source] in sources} == {"reported by the host"}
