"""Beam search and DVTS against the procedure of Snell et al. (2024, section 5.2), written here from the paper."""

import math
from random import Random

import pytest

import tttlab
from tests.speaker import Speaker, fault
from tttlab import Verdict
from tttlab.errors import OptionError
from tttlab.strategies.beam_search import BeamSearch
from tttlab.types import Capabilities

AGGREGATE = {"min": min, "prod": math.prod, "last": lambda s: s[-1], "mean": lambda s: sum(s) / len(s)}


class World:
    """Random steps and scores: the i-th step after a path, and what a verifier says of a path."""

    def __init__(self, seed, answers=0.3):
        self.seed, self.answers, self.asked = seed, answers, {}

    def step(self, path, i):
        rng = Random(f"{self.seed} step {path} {i}")
        return f"({i}) the answer is {rng.randint(1, 3)}" if rng.random() < self.answers else f"({i}) think"

    def score(self, path):
        return Random(f"{self.seed} score {path}").randint(0, 5) / 5

    def reply(self, request):
        path = tuple(request.messages[1].text.strip().split("\n\n")) if len(request.messages) > 1 else ()
        if request.sampling.temperature == 0:
            return "(greedy) think"
        self.asked[path] = self.asked.get(path, -1) + 1
        return self.step(path, self.asked[path])

    async def verifier(self, problem, candidate, think):
        return Verdict(score=self.score(tuple(candidate.split("\n\n"))))


def is_final(path):
    return "answer" in path[-1]


def search(world, *, n, width, iterations, aggregation, diverse, lookahead):
    """The finished beams with their scores, in the order in which they finish."""
    finished, counts = [], {}

    def extend(path):
        counts[path] = counts.get(path, -1) + 1
        return (*path, world.step(path, counts[path]))

    def judged(path, scores):
        ahead = path if is_final(path) else (*path, *["(greedy) think"] * lookahead)
        scores = (*scores, world.score(ahead))
        return path, scores, AGGREGATE[aggregation](scores)

    def best(beams, keep):
        return sorted(beams, key=lambda beam: -beam[2])[:keep]

    trees = n // width if diverse else 1
    fronts = [[((), (), 0)]] * trees
    for iteration in range(iterations):
        each = n // trees if iteration == 0 else width
        next_fronts = []
        for front in fronts:
            children = [judged(extend(path), scores) for path, scores, _ in front for _ in range(each)]
            if diverse:
                kept = best(children, 1)
                finished += [beam for beam in kept if is_final(beam[0])]
            else:
                finished += [beam for beam in children if is_final(beam[0])]
                kept = best([beam for beam in children if not is_final(beam[0])], n // width)
            next_fronts.append([beam for beam in kept if not is_final(beam[0])])
        fronts = [front for front in next_fronts if front]
        if not fronts or len(finished) >= n:
            break
    return finished


def weighted(finished):
    votes = {}
    for path, _, score in finished:
        answer = path[-1].split()[-1]
        votes[answer] = votes.get(answer, 0) + score
    return votes


def rounded(votes):
    return {answer: round(weight, 9) for answer, weight in votes.items()}


def think(model, **parameters):
    return tttlab.think("Q", strategy=BeamSearch(**parameters), model=model)


@pytest.mark.parametrize("aggregation", list(AGGREGATE))
@pytest.mark.parametrize("diverse", [False, True])
@pytest.mark.parametrize("lookahead", [0, 2])
def test_it_finishes_the_beams_that_the_paper_finishes_and_weighs_each_once(aggregation, diverse, lookahead):
    for seed in range(3):
        world = World(seed)
        finished = search(
            world, n=6, width=2, iterations=4, aggregation=aggregation, diverse=diverse, lookahead=lookahead
        )
        run = think(
            tttlab.ScriptedModel(world.reply),
            n=6,
            beam_width=2,
            num_iterations=4,
            aggregation=aggregation,
            diverse=diverse,
            lookahead=lookahead,
            verifier=world.verifier,
        )
        votes = weighted(finished)
        assert finished
        if not any(votes.values()):
            continue
        assert rounded(run.curve[-1].votes) == rounded(votes)
        assert run.answer == max(votes, key=votes.get)
        assert math.isclose(run.confidence, votes[run.answer] / sum(votes.values()))


def two_steps(request):
    """Two of four first steps go on; every second step answers."""
    if len(request.messages) > 1:
        return "the answer is 1" if "good" in request.messages[1].text else "the answer is 2"
    return ["good", "bad", "bad", "good"][request.seed % 4]


async def likes_good(problem, candidate, think):
    return Verdict(score=0.9 if "good" in candidate else 0.2)


def test_what_is_pruned_and_what_goes_on_is_in_the_store():
    run = think(tttlab.ScriptedModel(two_steps), n=4, beam_width=2, verifier=likes_good)
    assert (run.answer, run.confidence) == ("1", 1.0)
    rows = tttlab.connect().execute("SELECT depth, state, score, count(*) FROM branches GROUP BY ALL ORDER BY ALL")
    assert rows.fetchall() == [(1, "expanded", 0.9, 2), (1, "pruned", 0.2, 2), (2, "selected", 0.9, 4)]
    assert tttlab.connect().execute("SELECT count(*) FROM verdicts").fetchone() == (8,)


def test_finished_beams_are_counted_once_and_not_repeated_to_fill_up():
    said = iter(["the answer is 1", "think", "think", "think", *["the answer is 2"] * 4])
    run = think(tttlab.ScriptedModel(lambda request: next(said)), n=4, beam_width=2, verifier=likes_good)
    assert rounded(run.curve[-1].votes) == {"1": 0.2, "2": 0.8}
    assert run.usage.calls == 4 + 4


@pytest.mark.parametrize(("select", "answer"), [("best", "1"), ("majority", "2"), ("weighted", "1")])
def test_the_answer_is_taken_as_declared(select, answer):
    said = iter(["the answer is 2", "the answer is 1", "the answer is 2", "no answer: "])

    async def scorer(problem, candidate, think):
        return Verdict(score=0.9 if "1" in candidate else 0.3)

    run = think(tttlab.ScriptedModel(lambda r: next(said)), n=4, beam_width=4, select=select, verifier=scorer)
    assert run.answer == answer


def test_its_own_scores_come_from_the_model_and_unreadable_ones_are_worth_nothing():
    scores = {"1": "Fine.\nScore: 3/10.", "2": "**Score: 9**", "3": "excellent, 10 out of 10", "4": "Score: 11"}
    said = iter(["the answer is 1", "the answer is 2", "the answer is 3", "the answer is 4"])

    def reply(request):
        text = request.messages[0].text
        return next((s for k, s in scores.items() if f"answer is {k}\n" in text), None) or next(said)

    run = think(tttlab.ScriptedModel(reply), n=4, beam_width=4)
    assert run.curve[-1].votes == {"1": 0.3, "2": 0.9, "3": 0.0, "4": 0.0}
    assert run.answer == "2"


def test_a_verifier_that_raises_leaves_a_vote_by_number():
    async def broken(problem, candidate, think):
        raise ValueError("no")

    said = iter(["the answer is 2", "the answer is 1", "the answer is 1", "the answer is 3"])
    run = think(tttlab.ScriptedModel(lambda r: next(said)), n=4, beam_width=2, verifier=broken)
    assert (run.answer, run.confidence) == ("1", 0.5)


def test_an_empty_step_finishes_its_beam_and_one_without_an_end_is_cut():
    run = think(tttlab.ScriptedModel(lambda r: "12" if len(r.messages) == 1 else ""), n=2, beam_width=2)
    assert run.answer == "12"
    endless = think(tttlab.ScriptedModel("and so on"), n=2, beam_width=2, num_iterations=3)
    assert endless.usage.calls == 3 * 2 * 2


def test_a_model_that_cannot_go_on_from_a_text_is_asked_in_a_turn():
    seen = []

    def reply(request):
        seen.append([message.role for message in request.messages])
        return "think" if len(request.messages) == 1 else "the answer is 1"

    run = think(tttlab.ScriptedModel(reply, can=Capabilities()), n=2, beam_width=2, verifier=likes_good)
    assert run.answer == "1"
    assert ["user", "assistant", "user"] in seen


def test_a_failed_expansion_costs_its_beam_and_not_the_run():
    said = iter(["good", "fine", "fine", "fine"])

    def reply(request):
        if len(request.messages) == 1:
            return next(said)
        return fault() if "good" in request.messages[1].text else "the answer is 2"

    run = think(Speaker(reply), n=4, beam_width=2, verifier=likes_good)
    assert (run.status, run.answer) == ("ok", "2")


def test_a_budget_in_the_middle_keeps_what_had_finished():
    said = iter(["the answer is 1", "think", "think", "think", *["the answer is 2"] * 4])
    strategy = BeamSearch(n=4, beam_width=2, verifier=likes_good)
    model = tttlab.ScriptedModel(lambda request: next(said))
    run = tttlab.think("Q", strategy=strategy, model=model, budget="4 calls")
    assert (run.status, run.answer) == ("budget", "1")


def test_a_step_of_nothing_finishes_its_beam():
    silent = Speaker("")
    run = think(silent, n=1, beam_width=1)
    assert (run.answer, silent.started) == (None, 1)
    steps = iter(["five", ""])
    model = Speaker(lambda request: next(steps) if request.sampling.stop else "Score: 5")
    run = think(model, n=1, beam_width=1)
    assert (run.status, model.started, run.answer) == ("ok", 3, "five")


def test_numbers_that_do_not_go_together_are_refused():
    with pytest.raises(OptionError, match="not a multiple"):
        BeamSearch(n=6, beam_width=4)
    with pytest.raises(OptionError, match="'prod'"):
        BeamSearch(aggregation="product")
