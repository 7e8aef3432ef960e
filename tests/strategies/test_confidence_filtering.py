"""DeepConf against its formulas, on completions whose log-probabilities are written by the test."""

import time

import anyio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tttlab
from tests.speaker import Speaker, fault
from tttlab.errors import OptionError, RunFailed
from tttlab.events import Alternatives, Finish, TokenDelta, UsageUpdate
from tttlab.types import Capabilities, Usage

QUESTION = "What is 7 times 8?"


class Sure:
    """Gives the i-th sample the i-th of its replies: an answer, and each token's top log-probabilities."""

    name = "sure"
    can = Capabilities(seed=True, logprobs=True)

    def __init__(self, *replies):
        self.replies = replies
        self.first = None
        self.asked = []
        self.said = {}

    async def stream(self, request):
        self.first = request.seed if self.first is None else self.first
        self.asked.append(request.sampling.logprobs)
        number = request.seed - self.first
        answer, tops = self.replies[number % len(self.replies)]
        yield UsageUpdate(Usage(prompt_tokens=3))
        for position, top in enumerate(tops):
            text = answer if position == len(tops) - 1 else "." if answer else ""
            self.said[number] = position + 1
            given_top = Alternatives(tuple(range(len(top))), ("x",) * len(top), tuple(top))
            yield TokenDelta(text, time.time_ns(), position, top[0] if top else None, given_top)
        yield Finish("stop")


def think(*replies, **options):
    options = {"samples": len(replies), "extract": r"regex:(\w+)", **options}
    return tttlab.think(QUESTION, strategy="confidence_filtering", model=Sure(*replies), **options)


def trace_confidence(tops, measure, window):
    """The paper's formulas, in numpy: C_i, group confidence, and the measures over them."""
    token = np.array([-np.mean(top) for top in tops if len(top)])
    if not len(token):
        return None
    size = min(window, len(token))
    group = np.array([token[start : start + size].mean() for start in range(len(token) - size + 1)])
    return {
        "mean": token.mean(),
        "lowest": group.min(),
        "bottom": np.sort(group)[: max(1, int(len(group) * 0.1))].mean(),
        "tail": token[-size:].mean(),
    }[measure]


def vote(replies, keep, measure, window):
    """Keep the traces at or above the percentile 100 (1 - keep), then add up confidences by answer."""
    traces = [(answer, trace_confidence(tops, measure, window)) for answer, tops in replies if answer]
    if not traces:
        return {}
    least = np.percentile([confidence for _, confidence in traces], 100 * (1 - keep))
    weights = {}
    for answer, confidence in traces:
        if confidence >= least - 1e-12:
            weights[answer] = weights.get(answer, 0.0) + confidence
    return weights


TOP = st.lists(st.integers(-40, -1).map(lambda tenths: tenths / 10), min_size=1, max_size=3)
REPLY = st.tuples(st.sampled_from(["1", "2", "3", ""]), st.lists(TOP, min_size=1, max_size=25))


@settings(deadline=None, max_examples=60)
@example([("1", [[-0.1]]), ("1", [[-0.1, -0.1, -0.1]])], 0.1, "mean", 1)
@given(
    st.lists(REPLY, min_size=1, max_size=8),
    st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.0]),
    st.sampled_from(["mean", "lowest", "bottom", "tail"]),
    st.sampled_from([1, 2, 5, 2048]),
)
def test_the_confident_vote_as_the_paper_says(replies, keep, measure, window):
    run = think(*replies, keep=keep, measure=measure, window=window)
    wanted = vote(replies, keep, measure, window)
    votes = run.curve[-1].votes or {}
    assert votes.keys() == wanted.keys()
    assert all(abs(votes[answer] - wanted[answer]) < 1e-9 for answer in wanted)
    if wanted:
        assert wanted[run.answer] > max(wanted.values()) - 1e-9
        answered = sum(1 for answer, _ in replies if answer)
        share = wanted[run.answer] / sum(wanted.values()) * answered / len(replies)
        assert abs(run.confidence - share) < 1e-9
    else:
        assert (run.answer, run.confidence) == (None, 0.0)


def sure_of(answer, *confidences):
    return (answer, [(-confidence,) for confidence in confidences])


def test_a_few_sure_samples_outvote_many_unsure_ones_once_the_rest_is_filtered():
    replies = [sure_of("1", 1.0)] * 7 + [sure_of("2", 3.0)]
    assert think(*replies, keep=1.0).answer == "1"
    assert think(*replies, keep=0.1).answer == "2"


def test_each_measure_looks_at_another_part_of_the_completion():
    late, early = sure_of("late", 1, 1, 1, 1, 1, 1, 9, 9), sure_of("early", 8, 8, 8, 8, 8, 8, 2, 2)
    chosen = {
        measure: think(late, early, keep=0.1, window=2, measure=measure).answer
        for measure in ("mean", "lowest", "bottom", "tail")
    }
    assert chosen == {"mean": "early", "lowest": "early", "bottom": "early", "tail": "late"}


def test_every_confidence_is_recorded_and_the_alternatives_are_asked_for():
    model = Sure(sure_of("1", 1.0, 2.0), sure_of("2", 4.0))
    tttlab.think(QUESTION, strategy="confidence_filtering", model=model, samples=2, alternatives=7)
    rows = tttlab.connect().execute("SELECT score, state FROM branches ORDER BY path").fetchall()
    assert (rows, model.asked) == ([(1.5, "pruned"), (4.0, "selected")], [7, 7])


def test_tokens_without_alternatives_are_left_out_and_without_any_the_majority_decides():
    run = think(("1", [(), (-2.0,)]), ("2", [(-1.0,), (-1.0,)]), keep=1.0)
    assert run.curve[-1].votes == {"1": 2.0, "2": 1.0}
    assert think(("1", [()]), ("2", [()]), ("2", [()])).answer == "2"


def test_a_model_without_logprobs_is_refused_before_anything_is_spent():
    mute = Speaker()
    mute.can = Capabilities(seed=True)
    with pytest.raises(OptionError, match="log-probabilities, and speaker cannot"):
        tttlab.think(QUESTION, strategy="confidence_filtering", model=mute)
    assert mute.started == 0


def test_a_budget_keeps_the_best_so_far_and_all_failed_is_a_failed_run():
    run = think(sure_of("1", 1.0), sure_of("2", 3.0), sure_of("1", 1.0), sure_of("1", 9.0), budget="3 calls")
    assert (run.status, run.answer, len(run.curve)) == ("budget", "2", 3)
    with pytest.raises(RunFailed, match="the line went dead"):
        tttlab.think(QUESTION, strategy="confidence_filtering", model=Speaker(lambda request: fault()))


def test_parameters_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="at most 1"):
        think(sure_of("1", 1.0), keep=1.5)
    with pytest.raises(OptionError, match="mean, lowest"):
        think(sure_of("1", 1.0), measure="median")


def online(replies, warmup, keep, window, consensus):
    """DeepConf online: votes by answer, and the number of tokens that each trace was let say.

    The paper's algorithm 2, one trace after another. That a trace without an answer sets no threshold and counts in
    the consensus is the project's own rule.
    """
    lows = [(answer, trace_confidence(tops, "lowest", window)) for answer, tops in replies[:warmup]]
    lows = [pair for pair in lows if pair[0]] or lows
    threshold = np.percentile([low for _, low in lows], 100 * (1 - keep))
    weights, said, whole, answered = {}, [], 0, 0
    for number, (answer, tops) in enumerate(replies):
        share = max(weights.values()) / sum(weights.values()) * answered / whole if weights else 0
        if number >= warmup and share >= consensus:
            break
        conf = [-np.mean(top) for top in tops]
        low_at = [
            end
            for end in range(window, len(conf) + 1)
            if number >= warmup and np.mean(conf[end - window : end]) < threshold - 1e-9
        ]
        said.append(low_at[0] if low_at else len(tops))
        if low_at:
            continue
        whole, answered = whole + 1, answered + bool(answer)
        low = trace_confidence(tops, "lowest", window)
        if answer and low >= threshold - 1e-9:
            weights[answer] = weights.get(answer, 0) + low
    return weights, said


TOPS = st.lists(st.sampled_from([-0.25, -0.5, -1.0, -2.0, -4.0]).map(lambda x: (x,)), min_size=1, max_size=9)
ANSWERS = st.sampled_from(["1", "2", "3", ""])


def run_online(replies, *, model=None, **options):
    options = {"samples": len(replies), "extract": r"regex:(\w+)", "mode": "online", **options}
    return tttlab.think(QUESTION, strategy="confidence_filtering", model=model or Sure(*replies), **options)


def said_of(run):
    rows = tttlab.connect().execute("SELECT output_tokens FROM calls WHERE run_id = ? ORDER BY ordinal", [run.id])
    return [tokens for (tokens,) in rows.fetchall()]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(ANSWERS, TOPS), min_size=5, max_size=12),
    st.integers(1, 4),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.sampled_from([1, 2, 4, 2048]),
    st.sampled_from([0.61, 0.95, 2.0]),
)
def test_the_online_form_as_the_paper_says(replies, warmup, keep, window, consensus):
    model = Sure(*replies)
    run = run_online(replies, model=model, warmup=warmup, keep=keep, window=window, consensus=consensus)
    wanted, said = online(replies, warmup, keep, window, consensus)
    assert (run.curve[-1].votes or {}) == pytest.approx(wanted)
    assert [model.said[number] for number in sorted(model.said)] == said
    assert run.answer is None if not wanted else wanted[run.answer] > max(wanted.values()) - 1e-9


SURE = [sure_of("1", 2, 2, 2, 2), sure_of("2", 2, 2, 2, 2)]


def test_an_unsure_sample_is_stopped_at_its_unsure_group_and_only_that_much_is_paid():
    run = run_online([*SURE, sure_of("9", 2, 1, 1, 2, 2, 2), *SURE[:1]], warmup=2, window=2)
    assert said_of(run) == [4, 4, 2, 4]
    assert (run.answer, run.usage.output_tokens) == ("1", 14)
    rows = tttlab.connect().execute("SELECT status, cancelled_by FROM calls ORDER BY ordinal").fetchall()
    assert rows == [("ok", None), ("ok", None), ("cancelled", "strategy"), ("ok", None)]
    states = tttlab.connect().execute("SELECT state, score FROM branches ORDER BY path").fetchall()
    assert states == [("selected", 2.0), ("selected", 2.0), ("pruned", 1.5), ("selected", 2.0)]


def test_it_ends_once_the_vote_is_decided():
    alike = [sure_of("1", 2, 2)] * 8
    assert run_online(alike, warmup=2).usage.calls == 2
    assert run_online([*SURE, *alike], warmup=2, consensus=0.8).usage.calls == 5
    assert run_online([*SURE, *alike], warmup=2, consensus=2.0).usage.calls == 10


def test_stopped_samples_leave_the_vote_and_those_without_an_answer_stay_in_the_denominator():
    mute, unsure = sure_of("", 2, 2, 2), sure_of("9", 1, 1, 1)
    run = run_online([SURE[0], SURE[0], mute, unsure], warmup=3, window=2)
    assert run.confidence == pytest.approx(2 / 3)


def test_a_batch_gives_the_same_answer_whatever_finishes_first():
    replies = [*SURE, sure_of("9", 1, 1, 1), *[sure_of("2", 2, 2, 2)] * 8]

    class LastFirst(Sure):
        async def stream(self, request):
            await anyio.sleep(0.002 * (7 - request.seed % 7))
            async for event in super().stream(request):
                yield event

    options = {"warmup": 2, "window": 2, "consensus": 0.8}
    one = run_online(replies, **options)
    many = run_online(replies, model=LastFirst(*replies), batch=4, **options)
    assert (one.answer, one.confidence, one.curve[-1].votes) == (many.answer, many.confidence, many.curve[-1].votes)
    assert many.usage.calls >= one.usage.calls


def test_a_budget_in_the_middle_keeps_the_best_so_far_and_leaves_no_call_open():
    replies = [*SURE, *[sure_of("2", 2, 2, 2)] * 4]
    run = run_online(replies, warmup=2, consensus=2.0, budget="24 tokens")
    assert (run.status, run.answer) == ("budget", "2")
    assert said_of(run)[:3] == [4, 4, 3]
    statuses = tttlab.connect().execute("SELECT status, cancelled_by FROM calls ORDER BY ordinal DESC").fetchall()
    assert statuses[0] == ("cancelled", "budget")
    assert "incomplete" not in {status for status, _ in statuses}


def test_a_window_that_is_not_given_fits_the_longest_text():
    long_unsure = sure_of("9", *[1] * 64)
    replies = [*SURE, long_unsure, long_unsure]
    assert said_of(run_online(replies, warmup=2, max_tokens=512)) == [4, 4, 64, 64]
    assert said_of(run_online(replies, warmup=2, max_tokens=80)) == [4, 4, 10, 10]


def test_a_failed_sample_after_the_warm_up_is_one_sample_less():
    class Faulty(Sure):
        async def stream(self, request):
            if self.first is not None and request.seed - self.first == 2:
                raise fault()
            async for event in super().stream(request):
                yield event

    replies = [*SURE, SURE[0], SURE[0]]
    run = run_online(replies, model=Faulty(*replies), warmup=2)
    assert (run.status, run.answer) == ("ok", "1")


def test_a_host_that_gives_no_alternatives_after_all_has_its_majority_decide_and_stops_nothing():
    run = run_online([("1", [(), ()]), ("2", [(), ()]), ("2", [(), ()])], warmup=2, window=1)
    assert (run.answer, said_of(run)) == ("2", [2, 2, 2])


def test_an_online_form_without_anything_to_stop_is_refused():
    with pytest.raises(OptionError, match="warmup=8 leaves none of 4 samples"):
        run_online(SURE * 2)
    with pytest.raises(OptionError, match="offline or online"):
        think(*SURE, mode="onlin")


def test_its_own_trace_gives_the_same_run_with_the_same_samples_stopped():
    replies = [*SURE, sure_of("9", 1, 1, 1), sure_of("2", 2, 2), sure_of("8", 2, 2, 1, 1, 2), sure_of("2", 2)]
    options = {"warmup": 2, "window": 2, "consensus": 2.0, "batch": 2}
    run = run_online(replies, **options)
    silent = Speaker(lambda request: fault("a replay asks no model"), name="sure")
    again = run_online(replies, model=silent, replay="only", **options)
    assert silent.started == 0
    assert (again.id, again.curve[-1].votes, again.usage) == (run.id, run.curve[-1].votes, run.usage)
    assert [point.sequence for point in again.curve] == [point.sequence for point in run.curve]
