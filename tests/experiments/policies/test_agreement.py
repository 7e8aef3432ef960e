"""A replay in the recorded order answers what the strategy answers, after as many samples."""

from hypothesis import given, settings
from hypothesis import strategies as st

import tttlab
from tests.experiments.policies.pools import SAID, first_answer, pool_saying
from tttlab.experiments.policies import (
    AdaptiveConsistency,
    BestOfN,
    Cascade,
    ConfidenceFiltering,
    EarlyStoppingConsistency,
    SelfConsistency,
    SingleSample,
    WeightedVote,
)
from tttlab.models.scripted import Reply, ScriptedModel

LOGPROB = st.sampled_from([-0.25, -0.5, -1.0, -2.0])
SAMPLES = st.lists(st.tuples(SAID, LOGPROB), min_size=12, max_size=12)

FEW = st.lists(st.tuples(SAID, LOGPROB), min_size=3, max_size=3)


def teller(said, name="scripted"):
    """A model that gives its i-th call the i-th of these answers, each with its log-probability.

    Calls begin in the order of their samples, whatever branch asks for them.
    """
    left = iter(said)

    def reply(request):
        value, logprob = next(left)
        return Reply(text="" if value is None else f"The answer is {value}", logprob=logprob)

    return ScriptedModel(reply, name=name)


def run(strategy, said, **parameters):
    return tttlab.think("What is 7 times 8?", strategy=strategy, model=teller(said), **parameters)


def recorded(said):
    logprobs = [logprob if value is not None else None for value, logprob in said]
    confidences = [-logprob for _, logprob in said]
    return pool_saying([value for value, _ in said], scores={"mean_logprob": [logprobs], "confidence": [confidences]})


def agrees(policy, strategy, said, **parameters):
    ran = run(strategy, said, **parameters)
    return first_answer(policy, recorded(said)) == (ran.answer, ran.usage.calls)


@settings(deadline=None, max_examples=20)
@given(SAMPLES, st.integers(1, 12))
def test_self_consistency(said, samples):
    assert agrees(SelfConsistency(samples=samples), "self_consistency", said, samples=samples)
    if samples == 1:
        assert agrees(SingleSample(), "direct", said)


@settings(deadline=None, max_examples=20)
@given(SAMPLES, st.integers(1, 4), st.integers(1, 12))
def test_early_stopping_consistency(said, window, most):
    options = {"window": window, "max_samples": most}
    assert agrees(EarlyStoppingConsistency(**options), "early_stopping_consistency", said, **options)


@settings(deadline=None, max_examples=20)
@given(SAMPLES, st.sampled_from([0.75, 0.9, 0.95]), st.integers(1, 5), st.integers(5, 12), st.sampled_from([1, 3]))
def test_adaptive_consistency(said, threshold, least, most, batch):
    options = {"threshold": threshold, "min_samples": least, "max_samples": most, "batch": batch}
    assert agrees(AdaptiveConsistency(**options), "adaptive_consistency", said, **options)


@settings(deadline=None, max_examples=20)
@given(SAMPLES, st.integers(1, 12), st.sampled_from(["argmax", "weighted"]))
def test_best_of_n_and_the_weighted_vote(said, samples, selection):
    policy = {"argmax": BestOfN, "weighted": WeightedVote}[selection](samples=samples)
    assert agrees(policy, "best_of_n", said, samples=samples, selection=selection)


@settings(deadline=None, max_examples=20)
@given(SAMPLES, st.integers(1, 12), st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.0]))
def test_confidence_filtering(said, samples, keep):
    policy = ConfidenceFiltering(samples=samples, keep=keep, score="confidence")
    assert agrees(policy, "confidence_filtering", said, samples=samples, keep=keep, measure="mean")


@settings(deadline=None, max_examples=20)
@given(SAMPLES, FEW, st.sampled_from([0.5, 0.67, 0.8, 1.0]), st.sampled_from([(2, 4, 8), (5,), (1, 3)]))
def test_a_cascade_over_one_model_and_on_to_another(said, dearer, threshold, steps):
    assert agrees(Cascade(steps=steps, threshold=threshold), "cascade", said, steps=steps, threshold=threshold)
    policy = Cascade(steps=(*steps, (3, recorded(dearer))), threshold=threshold)
    parameters = {"steps": (*steps, teller(dearer, name="dear")), "threshold": threshold, "samples": 3}
    assert agrees(policy, "cascade", said, **parameters)
