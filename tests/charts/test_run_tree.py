"""The run's tree: a bar for each span where the store says it was, below its parent, with how it ended."""

import pytest

from tests.charts.teller import asked, rows, saying, subtitle, think
from tests.speaker import Speaker, answers, fault
from tttlab.charts import run_tree
from tttlab.errors import OptionError
from tttlab.types import Verdict


def bars(chart):
    return rows(chart, "rect", fill="kind")


def named(chart):
    return {row["label"]: row for row in bars(chart)}


async def judged(problem, candidate, think):
    await think.complete("is it right?", role="judge", max_tokens=2)
    return Verdict(score=0.25, passed=False)


async def branching(problem, think):
    with think.branch() as first:
        await think.complete(problem.prompt)
        await think.verify(judged, problem, "54")
        with think.branch() as inner:
            await think.complete(problem.prompt)
            think.propose("56", confidence=0.5)
    with think.branch() as second:
        await think.complete(problem.prompt)
    second.mark(state="pruned", score=0.125)
    first.mark(state="expanded")
    inner.mark(state="selected", score=0.75)


def test_one_call_is_a_bar_below_its_run_from_its_start_to_its_end():
    run = think("direct", saying("56"))
    chart = run_tree(run)
    top, call = bars(chart)
    assert (top["label"], top["kind"], top["depth"]) == ("direct", "run", 0)
    assert (call["label"], call["kind"], call["depth"], call["parent_line"]) == ("call 1", "call", 1, 0)
    assert (top["remark"], call["remark"], call["pale"]) == ("56", "56", False)
    [stored] = asked("SELECT * FROM calls")
    [origin] = asked("SELECT start_ns, seconds FROM spans WHERE parent_key IS NULL")
    assert top["start"] == 0
    assert top["end"] == pytest.approx(origin["seconds"])
    assert call["seconds"] == pytest.approx(stored["seconds"], abs=1e-6)
    assert call["output_tokens"] == stored["output_tokens"]
    assert "n = 2 spans of 1 run (ok): direct, teller" in subtitle(chart)


def test_every_span_stands_below_its_parent_in_tree_order():
    chart = run_tree(think(branching, saying("54", "56")))
    found = bars(chart)
    assert [row["label"] for row in found] == [
        "branching",
        "branch 0",
        "call 1",
        "verify judged",
        "call 2 · judge",
        "branch 0.0",
        "call 3",
        "branch 1",
        "call 4",
    ]
    assert [row["depth"] for row in found] == [0, 1, 2, 2, 3, 2, 3, 1, 2]
    stored = {row["span_key"]: row for row in asked("SELECT * FROM spans WHERE name <> 'propose'")}
    assert len(found) == len(stored)
    origin = min(row["start_ns"] for row in stored.values())
    starts = sorted((row["start_ns"] - origin) / 1e9 for row in stored.values())
    assert sorted(row["start"] for row in found) == pytest.approx(starts)
    for row in found[1:]:
        above = found[row["parent_line"]]
        assert above["line"] < row["line"]
        assert above["depth"] == row["depth"] - 1
        assert above["start"] <= row["start"]
    assert "ticks: 1 proposed answer" in subtitle(chart)


def test_what_became_of_a_branch_or_a_verification_stands_beside_it():
    found = named(run_tree(think(branching, saying("54", "56"))))
    assert found["branch 1"]["remark"] == "pruned · score 0.12"
    assert found["branch 0.0"]["remark"] == "selected · score 0.75"
    assert found["branch 0"]["remark"] == ""
    assert found["verify judged"]["remark"] == "not passed · score 0.25"
    assert [label for label, row in found.items() if row["pale"]] == ["branch 1"]


def test_ticks_are_the_proposed_answers_on_the_span_that_proposed_them():
    run = think(branching, saying("54", "56"))
    chart = run_tree(run)
    [tick] = rows(chart, "rule", x="at")
    assert bars(chart)[int(tick["line"])]["label"] == "branch 0.0"
    [answer] = asked("SELECT * FROM answers")
    assert (tick["answer"], tick["at"], tick["spent_tokens"]) == ("56", answer["seconds"], answer["spent_tokens"])


def test_sixteen_samples_are_sixteen_bars_and_sixteen_ticks():
    chart = run_tree(think("self_consistency", saying("54", "56"), samples=16))
    assert [row["label"] for row in bars(chart)[1:]] == [f"call {number}" for number in range(1, 17)]
    assert [tick["step"] for tick in rows(chart, "rule", x="at")] == list(range(1, 17))
    assert bars(chart)[0]["remark"] == "54 · confidence 0.5"


def test_calls_that_failed_or_were_cancelled_are_pale_and_say_why():
    chart = run_tree(think("self_consistency", Speaker(answers("56", fault())), samples=2))
    failed = named(chart)["call 2"]
    assert (failed["pale"], failed["remark"]) == (True, "failed: the line went dead")
    assert "pale: did not end well" in subtitle(chart)

    async def first_only(problem, think):
        async with think.sample(problem.prompt, n=2) as samples:
            async for sample in samples:
                think.propose(problem.extract(sample.text))
                break

    slow = Speaker(pause=lambda request, position: 0 if request is slow.requests[0] else 30)
    cancelled = named(run_tree(think(first_only, slow)))["call 2"]
    assert (cancelled["pale"], cancelled["remark"]) == (True, "cancelled by strategy")


def test_of_a_large_tree_the_spans_nearest_to_the_root_are_shown():
    async def wide(problem, think):
        async def one(number):
            await think.complete(problem.prompt)

        await think.map(one, range(6))

    run = think(wide, saying("56"))
    chart = run_tree(run, spans=7)
    assert [row["label"] for row in bars(chart)] == ["wide", *[f"branch {number}" for number in range(6)]]
    assert "n = 7 of 13 spans" in subtitle(chart)
    assert "not shown: the spans farthest from the root" in subtitle(chart)
    whole = [row["label"] for row in bars(run_tree(run))]
    # The branches ran at once: in time, all of them came before the first call.
    assert whole == ["wide", *[label for number in range(6) for label in (f"branch {number}", f"call {number + 1}")]]


def test_very_many_proposals_are_thinned_and_the_last_one_stays():
    async def eager(problem, think):
        for number in range(50):
            think.propose(str(number))

    chart = run_tree(think(eager), proposals=10)
    ticks = rows(chart, "rule", x="at")
    assert [tick["step"] for tick in ticks] == [1, 6, 11, 16, 21, 26, 31, 36, 41, 46, 50]
    assert "ticks: 50 proposed answers, 11 of them drawn" in subtitle(chart)


def test_a_run_that_did_nothing_is_one_bar():
    async def silent(problem, think):
        pass

    assert [row["label"] for row in bars(run_tree(think(silent)))] == ["silent"]


def test_an_unknown_run_is_refused_with_the_nearest():
    run = think("direct")
    with pytest.raises(OptionError, match=f"no run 'x'.*'{run.id}'"):
        run_tree("x")
