"""What the answer would have been after so much thinking: forced from the recorded thinking, or as it was proposed."""

import pytest

import tttlab
from tests.charts.teller import asked, saying
from tests.experiments.thinker import WORDS, Thinker
from tttlab.errors import OptionError
from tttlab.experiments.tasks.countdown import countdown
from tttlab.experiments.truncation import truncation
from tttlab.types import Message


def thought(model, strategy="direct", reference="6", prompt="How many words?", **options):
    return tttlab.think(prompt, model=model, strategy=strategy, reference=reference, **options)


def steps(found):
    return [[(step.at, step.answer, step.correct) for step in path.steps] for path in found.paths]


def test_each_thinking_is_cut_where_it_is_said_and_the_model_answers_from_there():
    model = Thinker()
    run = thought(model)
    found = truncation(run, at=[0, 2, 3, 4, 6, 9], model=model)
    assert found.way == "forced"
    assert steps(found) == [[(0, "5", False), (2, "5", False), (3, "5", False), (4, "6", True), (6, "6", True)]]
    assert found.lengths == (6,)
    assert [row["accuracy"] for row in found.data] == [0, 0, 0, 1, 1, 1]
    assert [row["thinking_on"] for row in found.data] == [1, 1, 1, 1, 0, 0]
    cuts = [request.messages[-1].text for request in model.asked[1:]]
    assert cuts[1:] == [f"<think>\n{''.join(WORDS[:cut])}\n</think>\n\n" for cut in (2, 3, 4)]
    assert model.asked[1].messages == (Message("user", "How many words?"),), "without thinking it is asked afresh"
    assert {request.sampling.thinking_budget for request in model.asked[1:]} == {0}


def test_forced_answers_are_runs_that_are_found_by_their_labels():
    model = Thinker()
    run = thought(model)
    [call] = asked("SELECT span_id FROM calls")
    found = truncation(run.id, at=[1, 4], model=model)
    rows = asked(
        "SELECT labels ->> '$.thinking_tokens' AS cut, answer, strategy FROM runs"
        " WHERE labels ->> '$.truncation' = $call ORDER BY cut",
        call=call["span_id"],
    )
    assert [(row["cut"], row["answer"]) for row in rows] == [("1", "5"), ("4", "6")]
    assert {row["strategy"] for row in rows} == {"answer_after"}
    assert [made.answer for made in found.runs] == ["5", "6"]
    assert found.usage.calls == 2


def test_the_packages_own_model_is_cut_judged_by_its_check_and_replayed():
    runs = [tttlab.think(each, model="local:countdown", thinking_budget=60) for each in countdown(2, seed=3)]
    found = truncation(*runs, at=[0, 10], replay="reuse")
    assert found.way == "forced"
    assert [path.problem for path in found.paths] == [run.problem.id for run in runs]
    assert [path.final.answer for path in found.paths] == [run.answer for run in runs]
    for path, run in zip(found.paths, runs, strict=True):
        assert [step.correct for step in path.steps] == [run.problem.correct(step.answer) for step in path.steps]
    again = truncation(*runs, at=[0, 10], replay="only")
    assert again.data == found.data
    assert [made.replayed for made in again.runs] == [1] * 4
    with pytest.raises(OptionError, match=r"judged by the check countdown@1.*pass the problems"):
        truncation(runs[0].id, at=[0])


def test_each_sample_is_a_thinking_of_its_own_and_its_problem_one_value():
    model = Thinker()
    runs = [thought(model, "self_consistency", samples=3), thought(model, reference="7", prompt="And now?")]
    found = truncation(*runs, at=[0, 6], model=model)
    assert len(found.paths) == 4
    [none, whole] = found.points
    assert (none.accuracy.mean, whole.accuracy.mean, whole.accuracy.problems) == (0, 0.5, 2)
    assert whole.final == 1


def test_thinking_that_a_strategy_declares_ends_in_the_words_that_ask_for_the_answer():
    model = Thinker(own=False)
    run = thought(model, "chain_of_thought")
    found = truncation(run, at=[0, 3, 4], model=model)
    assert steps(found) == [[(0, "5", False), (3, "5", False), (4, "6", True), (6, "6", True)]]
    prefixes = [request.messages[-1].text for request in model.asked[2:]]
    assert prefixes == [
        "Final Answer:",
        " one two three\n\nFinal Answer:".lstrip(),
        "one two three four\n\nFinal Answer:",
    ]


def test_where_the_final_answer_first_appeared_and_from_where_it_stood():
    runs = [
        thought(Thinker(), _thinking_then("5", "6", "5", "6", "6")),
        thought(Thinker(), _thinking_then(None, None), prompt="Never?"),
    ]
    found = truncation(*runs, way="recorded")
    first, never = found.appearances
    assert found.way == "recorded"
    assert (first["final_answer"], first["first_appeared_at"], first["stood_from"]) == ("6", 12, 24)
    assert (never["final_answer"], never["first_appeared_at"], never["stood_from"]) == (None, None, None)
    last = found.points[-1]
    assert (last.accuracy.mean, last.unanswered, last.final) == (0.5, 0.5, 0.5)


def _thinking_then(*answers):
    async def thinker(problem, think):
        for answer in answers:
            await think.complete(problem.prompt)
            think.propose(answer)

    return thinker


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Thinker(prefix=False), "thinker cannot go on from a partial answer"),
        (Thinker(chunks=None), None),
        (Thinker(chunks=6), None),
    ],
)
def test_the_recorded_proposals_stand_in_where_nothing_can_be_forced(model, reason):
    run = thought(model)
    if reason is None:
        assert truncation(run, at=[0], model=model).way == "forced"
        return
    assert truncation(run, at=[0, 6]).way == "recorded"
    with pytest.raises(OptionError, match=f"no answer can be forced: {reason}"):
        truncation(run, way="forced")


def test_chunks_are_cut_whole_and_only_where_their_tokens_are_counted():
    model = Thinker(chunks=6)
    assert steps(truncation(thought(model), at=[5], model=model))[0][0] == (5, "5", False)
    uncounted = _Uncounted()
    with pytest.raises(OptionError, match="does not say how many tokens a chunk holds"):
        truncation(thought(uncounted), at=[5], way="forced", model=uncounted)


class _Uncounted(Thinker):
    async def stream(self, request):
        async for event in Thinker(chunks=6).stream(request):
            yield event if not hasattr(event, "tokens") else type(event)(event.text, event.time_ns, event.channel, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"way": "guessed"}, "forced, recorded"),
        ({"at": []}, "whole numbers from 0 on"),
        ({"at": [-1]}, "whole numbers from 0 on"),
        ({"answer_tokens": 0}, "answer_tokens=0 is too small"),
    ],
)
def test_what_cannot_be_truncated_is_refused_in_one_line(options, said):
    model = Thinker()
    with pytest.raises(OptionError, match=said) as refused:
        truncation(thought(model), model=model, **options)
    assert "\n" not in str(refused.value)


def test_runs_without_thinking_or_without_a_reference_are_refused():
    with pytest.raises(OptionError, match="no thinking tokens"):
        truncation(tttlab.think("What is 7 * 8?", model=saying("56"), reference="56"))
    model = Thinker()
    with pytest.raises(OptionError, match="nothing says which answers"):
        truncation(thought(model, reference=None), model=model)
