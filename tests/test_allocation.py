"""A budget over many problems: who gets how much, what is recorded of it, and what cannot go wrong."""

import asyncio
import json
from collections import Counter
from fractions import Fraction
from math import comb

import anyio
import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Problem
from tttlab.allocation import Allocator, plan_allocation
from tttlab.errors import OptionError
from tttlab.portal import wait_for
from tttlab.progress import CallEnded, RunEnded
from tttlab.types import Price

EASY = [Problem(prompt=f"easy {index}", id=f"easy {index}", reference="7") for index in range(3)]
HARD = [Problem(prompt=f"hard {index}", id=f"hard {index}", reference="1") for index in range(2)]
ALL = [EASY[0], HARD[0], EASY[1], HARD[1], EASY[2]]
SPLIT = ("1", "2", "1", "3", "2", "1")


def talk(**said):
    """A reply by the prompt's first word: one text, or each of a cycle in the order of the problem's calls."""
    calls = {}

    def reply(request):
        [message] = request.messages
        texts = said[message.text.split()[0]]
        if not isinstance(texts, tuple):
            return texts
        order = calls.setdefault(message.text, {})
        return texts[order.setdefault(request.seed, len(order)) % len(texts)]

    return reply


def model(pause=None, **said):
    return Speaker(
        talk(**{"easy": "answer 7", "hard": tuple(f"answer {value}" for value in SPLIT), **said}), pause=pause
    )


def allocate(problems=ALL, *, budget="60 calls", talker=None, **options):
    return tttlab.allocate(problems, budget=budget, model=talker or model(), **{"extract": "last_number", **options})


def made(allocation):
    """The decisions, but for ids and what is measured."""
    return [(each.action, each.reason, each.problem, dict(each.votes), each.gain) for each in allocation.decisions]


def test_easy_problems_stay_cheap_and_hard_ones_get_more_of_the_same_total():
    uniform, posterior = allocate(rule="uniform"), allocate(rule="posterior")
    assert uniform.usage.calls == posterior.usage.calls == 60
    assert set(uniform.samples.values()) == {12}
    assert [posterior.samples[problem.id] for problem in EASY] == [3, 3, 3]
    assert sorted(posterior.samples[problem.id] for problem in HARD) == [25, 26]
    assert [run.problem.id for run in posterior.runs] == [problem.id for problem in ALL]
    assert (posterior.exhausted, posterior.accuracy, posterior.answers["easy 0"]) == ("calls", 1.0, "7")
    assert {run.status for run in posterior.runs} == {"budget"}


def test_what_leaves_every_problem_satisfied_is_not_spent_wholly():
    allocation = allocate(budget="1000 calls")
    assert (allocation.usage.calls, allocation.exhausted) == (3 * 4 + 2 * 40, None)
    assert {run.status for run in allocation.runs} == {"ok"}
    left = {each.problem: each.reason for each in allocation.decisions if each.action == "leave"}
    assert left == {**{each.id: "stable" for each in EASY}, **{each.id: "maximum" for each in HARD}}


def next_by_the_posterior(votes, seen):
    """The rule, said again for two answers: what the next vote adds to P(p > 1/2 | Beta), by a vote's chance."""

    def sure(first, second):
        throws = first + second + 1
        return Fraction(sum(comb(throws, heads) for heads in range(first + 1)), 2**throws)

    first, second = [*sorted(votes.values(), reverse=True), 0, 0][:2]
    rise = sure(first + 1, second) - (sure(first, second) if first else 0)
    return rise * Fraction(sum(votes.values()) + 1, seen + 2), sure(first, second) if first else 0


def test_the_decisions_are_those_of_the_rule_stated_anew():
    script = {"x": "12112212", "y": "1111", "z": "1?21?2212"}
    said = {
        name: tuple(f"answer {each}" if each != "?" else "no idea" for each in text) for name, text in script.items()
    }
    problems = [Problem(prompt=name, id=name) for name in script]
    allocation = allocate(problems, budget="14 calls", talker=Speaker(talk(**said)), batch=1, minimum=1, threshold=0.9)

    votes, seen, expected, left = {name: Counter() for name in script}, dict.fromkeys(script, 0), [], set()
    while len(expected) < 14:
        left |= {name for name in script if seen[name] and next_by_the_posterior(votes[name], seen[name])[1] >= 0.9}
        fresh = [name for name in script if not seen[name]]
        able = [name for name in script if name not in left]
        name = fresh[0] if fresh else max(able, key=lambda name: next_by_the_posterior(votes[name], seen[name])[0])
        expected.append(name)
        said_now = script[name][seen[name] % len(script[name])]
        votes[name].update([said_now] if said_now != "?" else [])
        seen[name] += 1
    assert [each.problem for each in allocation.decisions if each.action == "sample"] == expected
    assert [(dict(run.curve[-1].votes), len(run.curve)) for run in allocation.runs] == [
        (dict(votes[name]), seen[name]) for name in script
    ]


def test_given_difficulties_are_shares_and_none_at_all_is_the_minimum():
    given = {"easy 0": 0.0, "easy 1": 0.1, "easy 2": 0.1, "hard 0": 0.4, "hard 1": 0.4}
    allocation = allocate(rule="difficulty", difficulty=given, budget="52 calls", minimum=2)
    assert allocation.samples == {"easy 0": 2, "easy 1": 5, "easy 2": 5, "hard 0": 20, "hard 1": 20}
    assert {each.problem: each.reason for each in allocation.decisions if each.action == "leave"}["easy 0"] == "share"
    assert {run.problem.id: run.status for run in allocation.runs}["easy 0"] == "ok"


def test_a_function_of_the_difficulty_is_not_shown_the_reference():
    shown = []

    def difficulty(problem):
        shown.append(problem.reference)
        return float("hard" in problem.prompt)

    allocation = allocate(rule="difficulty", difficulty=difficulty, budget="20 calls", minimum=1)
    assert shown == [None] * 5
    assert allocation.samples == {"easy 0": 1, "easy 1": 1, "easy 2": 1, "hard 0": 9, "hard 1": 8}


def test_where_no_difficulty_is_given_the_first_samples_disagreement_is_taken_and_charged():
    allocation = allocate(rule="difficulty", budget="70 calls", minimum=2)
    assert {each.share for each in allocation.decisions if each.problem.startswith("easy")} == {None, 0.25 / 1.75}
    assert {each.share for each in allocation.decisions if each.problem.startswith("hard")} == {None, 0.5 / 1.75}
    assert allocation.samples == {"easy 0": 10, "easy 1": 10, "easy 2": 10, "hard 0": 20, "hard 1": 20}


def test_where_one_problem_can_take_no_more_the_others_divide_the_rest():
    allocation = allocate(
        rule="difficulty", difficulty=lambda problem: "hard" in problem.id or 0.01, budget="60 calls", maximum=13
    )
    assert all(allocation.samples[problem.id] == 13 for problem in HARD)
    assert sorted(allocation.samples[problem.id] for problem in EASY) == [11, 11, 12]
    assert {run.status for run in allocation.runs if run.problem.id.startswith("hard")} == {"ok"}


@pytest.mark.parametrize("rule", ["posterior", "difficulty", "uniform"])
def test_a_reference_decides_nothing(rule):
    wrong = [Problem(prompt=each.prompt, id=each.id, reference="99") for each in ALL]
    blind = [Problem(prompt=each.prompt, id=each.id) for each in ALL]
    first, *others = (allocate(problems, rule=rule) for problems in (ALL, wrong, blind))
    assert [made(other) == made(first) for other in others] == [True, True]
    assert [each.accuracy for each in (first, *others)] == [1.0, 0.0, None]


@pytest.mark.parametrize("rule", ["posterior", "difficulty", "uniform"])
def test_which_sample_finishes_first_changes_nothing(rule):
    def late(request, position):
        return 0.0004 * (request.seed % 7)

    quick, slow = allocate(rule=rule, seed=5, batch=6), allocate(rule=rule, seed=5, batch=6, talker=model(pause=late))
    assert made(quick) == made(slow)
    assert [run.answer for run in quick.runs] == [run.answer for run in slow.runs]


def test_a_dear_problem_is_granted_less_where_the_votes_are_alike():
    talker = Speaker(talk(short=("answer 1", "answer 2"), long=tuple("well " * 30 + f"answer {n}" for n in (1, 2))))
    allocation = allocate(
        [Problem(prompt=name, id=name) for name in ("long", "short")], talker=talker, budget="600 tokens", minimum=2
    )
    assert allocation.samples["short"] > 2 * allocation.samples["long"]
    last = [each for each in allocation.decisions if each.problem == "long"][-1]
    assert (last.cost, allocation.unit) == (3 + 32, "tokens")


@pytest.mark.parametrize("limit", [23, 60, 111, 240])
def test_the_total_is_exceeded_by_at_most_one_delivery_a_stream_and_all_keep_their_best_answer(limit):
    talker = model(hard=tuple(f"answer {value} " + "or so " * value for value in (9, 2, 4, 8)))
    allocation = allocate(talker=talker, budget=f"{limit} tokens", batch=4)
    assert allocation.usage.tokens <= limit + 4
    assert sum((run.usage for run in allocation.runs), tttlab.Usage()).tokens == allocation.usage.tokens
    assert talker.in_flight == 0
    assert "budget" in {run.status for run in allocation.runs} <= {"ok", "budget"}
    for run in allocation.runs:
        assert run.answer == (run.curve[-1].value if run.curve else None)


def test_a_sample_that_turns_out_dearer_than_predicted_is_cut_and_the_run_keeps_its_answer():
    talker = model(easy=("answer 7", "answer 7", "on " * 500))
    allocation = allocate(EASY[:1], talker=talker, budget="60 tokens", batch=1)
    cut = allocation.runs[0]
    assert (cut.status, cut.answer, len(cut.curve), allocation.usage.tokens <= 62) == ("budget", "7", 2, True)
    [status] = tttlab.connect().execute("SELECT DISTINCT cancelled_by FROM calls WHERE status = 'cancelled'").fetchall()
    assert status == ("budget",)


def test_a_budget_in_seconds_ends_what_stalls():
    talker = model(pause=lambda request, position: 60 if "hard" in request.messages[0].text else 0)
    allocation = allocate([*EASY, *HARD], talker=talker, budget="0.3 s")
    assert ({run.status for run in allocation.runs}, allocation.exhausted, talker.in_flight) == (
        {"budget"},
        "seconds",
        0,
    )
    assert allocation.seconds < 5


def test_a_budget_in_dollars_needs_a_price_and_is_kept():
    talker = model()
    with pytest.raises(OptionError, match="needs a price"):
        allocate(talker=talker, budget="$1")
    talker.price = Price(prompt=1e4, output=1e4)
    allocation = allocate(talker=talker, budget="$2")
    assert (allocation.unit, allocation.usage.dollars) == ("dollars", pytest.approx(2, abs=0.05))
    assert allocation.decisions[-1].cost == pytest.approx(0.05)


def test_abstentions_never_win_and_a_problem_that_only_abstains_gives_way():
    allocation = allocate(talker=model(easy="no idea"), budget="80 calls")
    assert [allocation.answers[problem.id] for problem in EASY] == [None] * 3
    assert max(allocation.samples[problem.id] for problem in EASY) < min(
        allocation.samples[problem.id] for problem in HARD
    )
    assert allocation.accuracy == 0.4


def test_an_error_in_one_problem_costs_that_problem_and_one_failed_call_costs_one_sample():
    talker = model(hard=(fault(), "answer 1", "answer 2"), broken=fault("the line went dead"))
    broken = Problem(prompt="broken", id="broken")
    allocation = allocate([broken, *EASY, HARD[0]], talker=talker, budget="60 calls")
    runs = {run.problem.id: run for run in allocation.runs}
    assert (runs["broken"].status, runs["broken"].error) == ("failed", "the line went dead")
    assert {runs[problem.id].status for problem in EASY} == {"ok"}
    assert (runs["hard 0"].status, allocation.samples["broken"]) == ("ok", 2)
    assert len(runs["hard 0"].curve) < allocation.samples["hard 0"] == 40
    assert {each.problem: each.reason for each in allocation.decisions if each.action == "leave"}["broken"] == "failed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problems": []}, "there are no problems"),
        ({"problems": "7 * 8?"}, "one problem leaves nothing to allocate"),
        ({"problems": [7]}, "7 is not a problem"),
        ({"problems": ["7 * 8?", "7 * 8?"]}, "is given twice"),
        ({"problems": ["7 * 8?", " "]}, "the prompt is empty"),
        ({"rule": "postrior"}, "no rule of allocation is named 'postrior'; did you mean 'posterior'?"),
        ({"treshold": 1}, "no option 'treshold'; did you mean 'threshold'?"),
        ({"minimum": 5, "maximum": 4}, "the maximum of samples=4 is too small: the least is 5"),
        ({"minimum": 0}, "the minimum of samples=0 is too small"),
        ({"batch": 0}, "batch=0 is too small"),
        ({"threshold": 1.5}, "threshold=1.5 is a probability"),
        ({"temperature": -1}, "temperature=-1 is too small"),
        ({"budget": "4 calls"}, "has no room for one sample of each of 5 problems: give at least 5 calls"),
        ({"budget": "14 tokens"}, "give at least 15 tokens"),
        ({"budget": None}, "there is no budget to allocate"),
        ({"difficulty": {}}, "the rule 'posterior' takes no difficulty"),
        ({"rule": "difficulty", "difficulty": {"easy": 1}}, "'easy 0' has no difficulty; did you mean 'easy'?"),
        ({"rule": "difficulty", "difficulty": lambda problem: 2}, "the difficulty of 'easy 0' is 2"),
        ({"rule": "difficulty", "difficulty": 3}, "neither a mapping nor a function"),
    ],
)
def test_bad_input_is_one_clear_line_before_anything_is_spent(options, message):
    talker = model()
    with pytest.raises(OptionError) as caught:
        allocate(**{"talker": talker, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert talker.started == 0


def test_every_decision_is_a_span_below_the_allocation_and_links_to_the_run():
    allocation = allocate(budget="30 calls")
    connection = tttlab.connect()
    rows = connection.sql("SELECT * FROM allocations ORDER BY number").to_arrow_table().to_pylist()
    assert [
        (
            row["action"],
            row["reason"],
            row["problem_id"],
            row["run_id"],
            json.loads(row["votes"]),
            row["gain"],
            row["left"],
        )
        for row in rows
    ] == [
        (each.action, each.reason, each.problem, each.run, each.votes, each.gain, each.left)
        for each in allocation.decisions
    ]
    [root] = connection.sql("SELECT * FROM spans WHERE name = 'allocate posterior'").to_arrow_table().to_pylist()
    assert {row["parent_key"] for row in rows} == {root["span_key"]}
    assert {row["allocation_id"] for row in rows} == {root["run_id"]} == {allocation.id}
    facts = json.loads(root["attributes"])
    assert (facts["tttlab.usage.calls"], facts["tttlab.allocation.exhausted"], root["complete"]) == (30, "calls", True)
    runs = {
        run: (trace, key)
        for run, trace, key in connection.execute("SELECT run_id, trace_id, span_key FROM runs").fetchall()
    }
    for row in rows:
        [link] = json.loads(row["links"])
        assert (link["trace_id"], int(link["span_id"], 16)) == runs[row["run_id"]]


def test_each_problem_is_an_ordinary_run_with_its_calls_answers_votes_and_correctness():
    allocation = allocate(budget="30 calls")
    connection = tttlab.connect()
    rows = connection.execute(
        "SELECT run_id, problem_id, status, strategy, answer, correct, calls, parameters ->> 'grants' FROM runs"
    ).fetchall()
    assert sorted(rows) == sorted(
        (run.id, run.problem.id, run.status, "allotted", run.answer, run.correct, run.usage.calls, "allocate posterior")
        for run in allocation.runs
    )
    assert connection.execute("SELECT count(*), count(DISTINCT run_id) FROM calls").fetchone() == (30, 5)
    assert connection.execute("SELECT count(*) FROM answers").fetchone() == (30,)
    [hard] = [run for run in allocation.runs if run.problem.id == "hard 0"]
    votes = connection.execute(
        "SELECT candidate, weight FROM votes WHERE run_id = ? ORDER BY step DESC LIMIT 3", [hard.id]
    ).fetchall()
    assert dict(votes) == hard.curve[-1].votes


def test_it_reads_as_a_line_and_as_a_table():
    allocation = allocate(budget="30 calls")
    assert repr(allocation) == "<allocation posterior: 5 problems, 5 right, 30 samples, 30 calls of 30 calls>"
    rows = allocation.table()
    found = (
        tttlab.connect().execute("SELECT problem_id, samples, left_for FROM rows ORDER BY samples LIMIT 1").fetchall()
    )
    assert found == [("easy 0", 2, "budget")]
    assert rows.num_rows == 5


def test_one_that_is_stopped_keeps_what_it_has():
    talker = model()

    def stop(event):
        if isinstance(event, RunEnded) and event.run.problem.id == "easy 0":
            allocator.stop()

    allocator = Allocator(plan_allocation(ALL, budget="1000 calls", model=talker, extract="last_number"), stop)
    allocation = wait_for(allocator.run, stop=allocator.stop)
    assert {run.problem.id: run.status for run in allocation.runs}["hard 0"] == "stopped"
    assert (allocation.answers["hard 0"], allocation.exhausted, talker.in_flight) == ("1", None, 0)
    assert {each.reason for each in allocation.decisions if each.action == "leave"} <= {"stable", "stopped"}


def test_one_that_is_stopped_before_it_begins_spends_nothing():
    talker = model()
    allocator = Allocator(plan_allocation(ALL, budget="1000 calls", model=talker))
    allocator.stop()
    allocation = wait_for(allocator.run, stop=allocator.stop)
    assert [run.status for run in allocation.runs] == ["stopped"] * 5
    assert talker.started == 0


def test_one_that_is_cancelled_leaves_whole_spans_and_nothing_running():
    talker = model(pause=lambda request, position: 60 if "hard" in request.messages[0].text else 0)

    async def cancelled():
        ended = asyncio.Event()
        watch = lambda event: ended.set() if isinstance(event, CallEnded) else None  # noqa: E731 - an observer
        task = asyncio.create_task(tttlab.aallocate(ALL, budget="99 calls", model=talker, observer=watch))
        await ended.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    anyio.run(cancelled)
    assert talker.in_flight == 0
    connection = tttlab.connect()
    assert connection.execute("SELECT count(*) FROM spans WHERE NOT complete").fetchone() == (0,)
    assert connection.execute("SELECT DISTINCT status FROM runs").fetchall() == [("stopped",)]


def test_awaited_it_decides_the_same():
    async def awaited():
        return await tttlab.aallocate(ALL, budget="30 calls", model=model(), extract="last_number")

    assert made(anyio.run(awaited)) == made(allocate(budget="30 calls"))


def test_a_replay_gives_the_same_again_without_a_model_and_adds_nothing_to_the_views():
    def counts():
        views = ("runs", "calls", "answers", "allocations")
        return [tttlab.connect().execute(f"SELECT count(*) FROM {view}").fetchone() for view in views]

    first, before = allocate(budget="30 calls"), counts()
    silent = Speaker(fault("no call should be made"))
    again = allocate(budget="30 calls", talker=silent, replay="only")
    assert (made(again), again.answers, again.usage) == (made(first), first.answers, first.usage)
    assert [run.id for run in again.runs] == [run.id for run in first.runs]
    assert [each.run for each in again.decisions] == [each.run for each in first.decisions]
    assert (silent.started, again.id, counts()) == (0, None, before)
