"""Best-of-n: each selection against its rule written out, on samples whose scores are known."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, answers, fault
from tttlab.errors import OptionError, RunFailed
from tttlab.strategies.best_of_n import BestOfN
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.types import Verdict

QUESTION = "What is 7 times 8?"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Reads its score from the candidate: `The answer is VALUE@SCORE`, or `VALUE@` where it has none."""

    async def __call__(self, problem, candidate, think):
        score = candidate.partition("@")[2]
        return Verdict(score=float(score) if score else None)


def think(*said, model=None, **options):
    reply = answers(*said)

    def spoken(request):
        text = reply(request)
        return "" if text == "The answer is " else text

    problem = tttlab.Problem(prompt=QUESTION)
    options = {"samples": len(said), "extract": r"regex:is (\w+)", **options}
    return tttlab.think(problem, strategy="best_of_n", model=model or Speaker(spoken), **options)


def by_rule(pairs, selection):
    """Pairs of an answer ("" for none) and a score (None for none), in order: the answer that the rule selects."""
    answered = [(value, score) for value, score in pairs if value]
    scored = [(value, score) for value, score in answered if score is not None]
    if not answered:
        return None
    if selection == "argmax" and scored:
        top = max(score for _, score in scored)
        return next(value for value, score in scored if score == top)
    totals = {}
    weighted = selection == "weighted" and any(score > 0 for _, score in scored)
    for value, score in answered:
        totals[value] = totals.get(value, 0) + (max(score or 0, 0) if weighted else 1)
    top = max(totals.values())
    return next(value for value in totals if totals[value] == top)


SCORES = st.sampled_from([None, -1.0, 0.0, 0.25, 0.5, 1.0])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["1", "2", "3", ""]), SCORES), min_size=1, max_size=7),
    st.sampled_from(["argmax", "majority", "weighted"]),
)
def test_each_rule_selects_what_it_says_at_every_point_of_the_curve(pairs, selection):
    said = [f"{value}@{'' if score is None else score}" if value else "" for value, score in pairs]
    run = think(*said, verifier=Spoken(), selection=selection)
    assert [point.value for point in run.curve] == [
        by_rule(pairs[: count + 1], selection) for count in range(len(pairs))
    ]


def test_the_same_samples_are_selected_from_differently_by_each_rule():
    said = ["1@0.1", "1@0.1", "1@0.1", "2@0.6", "3@0.9", "2@0.6"]
    chosen = {rule: think(*said, verifier=Spoken(), selection=rule) for rule in ("argmax", "majority", "weighted")}
    assert {rule: run.answer for rule, run in chosen.items()} == {"argmax": "3", "majority": "1", "weighted": "2"}
    assert chosen["argmax"].confidence == 0.9
    assert chosen["majority"].confidence == 0.5
    assert chosen["weighted"].confidence == 1.2 / 2.4
    texts = tttlab.connect().execute("SELECT run_id, list(text ORDER BY ordinal) FROM calls GROUP BY run_id").fetchall()
    assert len(texts) == 3
    assert len({tuple(said) for _, said in texts}) == 1


def test_every_score_and_what_became_of_its_candidate_is_recorded():
    think("1@0.25", "", "2@0.75", "2@", verifier=Spoken())
    rows = tttlab.connect().execute("SELECT path, score, state FROM branches ORDER BY path").fetchall()
    assert rows == [("0", 0.25, "pruned"), ("1", None, "pruned"), ("2", 0.75, "selected"), ("3", None, "pruned")]


def test_without_a_verifier_the_likeliest_completion_wins():
    scripted = tttlab.ScriptedModel(
        lambda request: scripted_reply("right", -0.1) if request.seed % 2 else scripted_reply("wrong", -2.0)
    )
    run = think(*["-"] * 6, model=scripted)
    assert (run.answer, round(run.confidence, 4)) == ("right", 0.9048)


def scripted_reply(value, logprob):
    from tttlab.models.scripted import Reply

    return Reply(text=f"The answer is {value}", logprob=logprob)


def test_where_a_model_gives_no_logprobs_the_majority_decides():
    silent = tttlab.ScriptedModel(["The answer is a", "The answer is b", "The answer is b"])
    run = think(*["-"] * 12, model=silent)
    counts = run.curve[-1].votes
    assert run.answer == max(counts, key=counts.get)
    assert run.confidence == max(counts.values()) / 12


def test_a_verifier_that_raises_costs_its_candidate_the_score_and_not_the_run():
    async def picky(problem, candidate, think):
        if "1" in candidate:
            raise ZeroDivisionError(candidate)
        return Verdict(score=None, passed="3" in candidate)

    run = think("1", "2", "3", verifier=picky)
    assert (run.status, run.answer, run.confidence) == ("ok", "3", 1.0)


def test_the_answer_alone_may_be_judged():
    heard = []

    async def listening(problem, candidate, think):
        heard.append(candidate)
        return Verdict(score=1.0)

    think("1", verifier=listening)
    think("1", verifier=listening, judged="answer")
    assert heard == ["The answer is 1", "1"]


def playing(prefers, said):
    """A model that answers the question with `said` in turn, and as a judge prefers by `prefers(a, b)`."""
    reply = answers(*said)

    def spoken(request):
        text = request.messages[-1].text
        if "Solution A:" not in text:
            return reply(request)
        a, b = (part.split("The answer is ")[1].split("\n")[0] for part in text.split("Solution ")[1:3])
        return prefers(a, b)

    return Speaker(spoken)


def knockout(values, beats):
    """The winner of a knockout; who has no opponent plays first in the next round, equals go on unplayed."""
    left, games = list(values), 0
    while len(left) > 1:
        through = left[len(left) // 2 * 2 :]
        for first, second in zip(left[::2], left[1::2], strict=False):
            games += first != second
            through.append(first if first == second or beats(first, second) else second)
        left = through
    return left[0], games


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 9).map(str), min_size=1, max_size=9), st.integers(1, 9))
def test_a_tournament_is_won_as_a_knockout_is_and_each_match_is_judged_in_both_orders(said, favourite):
    def beats(a, b):
        return abs(int(a) - favourite) * 10 + int(a) < abs(int(b) - favourite) * 10 + int(b)

    model = playing(lambda a, b: f"Better: {'A' if beats(a, b) else 'B'}", said)
    run = think(*said, model=model, selection="tournament")
    winner, games = knockout(said, beats)
    assert (run.answer, run.usage.calls) == (winner, len(said) + 2 * games)


def test_a_judge_that_always_prefers_the_first_decides_nothing():
    always_first = playing(lambda a, b: "Better: A", ["1@0.2", "2@0.4", "3@0.3"])
    assert think("", model=always_first, samples=3, selection="tournament", verifier=Spoken()).answer == "2"
    unscored = playing(lambda a, b: "better: Solution A", ["1@", "2@", "3@"])
    assert think("", model=unscored, samples=3, selection="tournament", verifier=Spoken()).answer == "1"


def test_an_unparsable_judge_abstains_and_a_failing_one_costs_only_its_judgement():
    for verdict in ("I cannot say", fault()):
        model = playing(lambda a, b, verdict=verdict: verdict, ["1@0.2", "2@0.4"])
        run = think("", model=model, samples=2, selection="tournament", verifier=Spoken())
        assert (run.status, run.answer) == ("ok", "2")


def test_another_model_may_judge_and_the_role_says_so():
    judge = Speaker("Better: B", name="other")
    think("1", "2", selection="tournament", judge=judge)
    roles = tttlab.connect().execute("SELECT model, role, count(*) FROM calls GROUP BY 1, 2 ORDER BY 1").fetchall()
    assert roles == [("other", "judge", 2), ("speaker", "generator", 2)]


def test_the_candidates_may_be_the_answers_of_another_strategy():
    inner = SelfConsistency(samples=2)
    run = think("1", "2", "2", "2", "2", samples=3, batch=2, inner=inner, selection="majority")
    assert (run.usage.calls, sum(run.curve[-1].votes.values()), len(run.curve)) == (6, 3, 3)


def test_the_score_of_another_strategy_is_its_confidence():
    async def boasting(problem, think):
        value = str(think.rng.randrange(2))
        await think.complete(problem.prompt)
        return think.propose(value, confidence=0.9 if value == "1" else 0.1)

    assert think("-", samples=8, inner=boasting).answer == "1"


def test_a_strategy_inside_that_fails_costs_one_candidate_and_all_failed_is_a_failed_run():
    async def failing(problem, think):
        [said] = await think.complete(problem.prompt, model=Speaker(fault()) if think.rng.random() < 0.5 else None)
        return think.propose(problem.extract(said.text))

    run = think("1", samples=8, inner=failing)
    assert (run.status, run.answer) == ("ok", "1")
    assert len(run.curve) < 8
    with pytest.raises(RunFailed, match="the line went dead"):
        think(fault(), samples=3, inner=SelfConsistency(samples=1))


def test_nested_best_of_n_is_best_of_n():
    run = think("1@0.2", "2@0.9", samples=2, inner=BestOfN(samples=2, verifier=Spoken()))
    assert (run.answer, run.usage.calls) == ("2", 4)


def test_no_answer_at_all_is_no_answer():
    for rule in ("argmax", "majority", "weighted", "tournament"):
        run = think("", "", selection=rule)
        assert (run.status, run.answer) == ("ok", None)


def test_a_budget_keeps_the_best_so_far_verifier_calls_included():
    async def asking(problem, candidate, think):
        await think.complete(f"Judge {candidate}", role="verifier")
        return Verdict(score=float(candidate.partition("@")[2]))

    run = think("1@0.3", "2@0.8", "3@0.9", verifier=asking, budget="5 calls")
    assert (run.status, run.answer, run.usage.calls) == ("budget", "2", 5)
    states = tttlab.connect().execute("SELECT state FROM branches ORDER BY path").fetchall()
    assert states[:2] == [("pruned",), ("selected",)]


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match=r"selection='best'.*argmax, majority"):
        think("1", selection="best")
    with pytest.raises(OptionError, match=r"judged='reference'.*answer, completion"):
        think("1", judged="reference")


def test_what_is_among_the_parameters_is_recorded_by_its_name():
    judge = Speaker("Better: A", name="other")
    run = think("1", "2", judge=judge, verifier=Spoken(), inner=SelfConsistency(samples=2), selection="weighted")
    assert (run.parameters["judge"], run.parameters["verifier"]) == ("other", {"name": "spoken"})
    assert (run.parameters["inner"]["name"], run.parameters["inner"]["samples"]) == ("self_consistency", 2)
    [(recorded,)] = tttlab.connect().execute("SELECT parameters FROM runs").fetchall()
    assert '"other"' in str(recorded)
