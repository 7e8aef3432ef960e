"""DeepConf's offline form against its formulas, on completions whose log-probabilities are written by the test."""

import time

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

    async def stream(self, request):
        self.first = request.seed if self.first is None else self.first
        self.asked.append(request.sampling.logprobs)
        answer, tops = self.replies[(request.seed - self.first) % len(self.replies)]
        yield UsageUpdate(Usage(prompt_tokens=3))
        for position, top in enumerate(tops):
            text = answer if position == len(tops) - 1 else "." if answer else ""
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
