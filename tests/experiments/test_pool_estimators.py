"""Estimators over arrays against brute force over all subsets, problem by problem."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.experiments.subsets import best, majority, over_subsets, weighted
from tttlab.errors import OptionError
from tttlab.experiments.estimators import (
    best_of_ks,
    majority_at_k,
    majority_at_ks,
    pass_at_ks,
    selection_gap,
    single_sample,
)
from tttlab.experiments.weighted_vote import weighted_at_ks

ABSTAINED, NO_SAMPLE = -1, -2
KS = list(range(1, 9))


@st.composite
def pools(draw, *, scores):
    """Problems of unequal counts, several right answers, abstentions, and ties of scores."""
    problems = draw(
        st.lists(st.lists(st.tuples(st.integers(-1, 3), scores), min_size=1, max_size=7), min_size=1, max_size=3)
    )
    right = [{code: draw(st.booleans()) for code in range(4)} for _ in problems]
    most = max(map(len, problems))
    answers = np.full((len(problems), most), NO_SAMPLE, dtype=np.int32)
    known = np.full(answers.shape, np.nan)
    for row, samples in enumerate(problems):
        answers[row, : len(samples)] = [answer for answer, _ in samples]
        known[row, : len(samples)] = [np.nan if score is None else score for _, score in samples]
    correct = np.array(
        [[each.get(int(answer), False) for answer in row] for each, row in zip(right, answers, strict=True)]
    )
    return problems, right, answers, correct, known


def expected(problems, right, rule):
    return [
        [over_subsets(samples, k, rule(verdicts)) if k <= len(samples) else math.nan for k in KS]
        for samples, verdicts in zip(problems, right, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(pools(scores=st.none()))
def test_coverage_and_majority_are_means_over_all_subsets_of_each_problem(pool):
    problems, right, answers, correct, _ = pool
    counts = [len(samples) for samples in problems]
    found = pass_at_ks(correct, KS, counts=counts)
    covered = expected(problems, right, lambda verdicts: lambda subset: any(verdicts.get(a, False) for a, _ in subset))
    assert found == pytest.approx(np.array(covered), nan_ok=True)
    assert majority_at_ks(answers, correct, KS) == pytest.approx(
        np.array(expected(problems, right, majority)), nan_ok=True
    )
    assert single_sample(correct, counts=counts) == pytest.approx(found[:, 0])


@settings(max_examples=60, deadline=None)
@given(pools(scores=st.sampled_from([None, -2.0, -1.0, 0.5])))
def test_best_of_k_is_the_mean_over_all_subsets_of_each_problem(pool):
    problems, right, answers, correct, scores = pool
    assert best_of_ks(scores, answers, correct, KS) == pytest.approx(
        np.array(expected(problems, right, best)), nan_ok=True
    )


@settings(max_examples=60, deadline=None)
@given(pools(scores=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
def test_a_weighted_vote_over_few_subsets_is_exact(pool):
    problems, right, answers, correct, scores = pool
    vote = weighted_at_ks(scores, answers, correct, KS)
    assert vote.value == pytest.approx(np.array(expected(problems, right, weighted)), nan_ok=True)
    assert (vote.exact == ~np.isnan(vote.value)).all()


def test_a_weighted_vote_over_many_subsets_states_an_error_that_holds():
    rng = np.random.default_rng(5)
    answers = rng.integers(-1, 4, (200, 12)).astype(np.int32)
    correct, scores = answers == 0, rng.random((200, 12))
    drawn = weighted_at_ks(scores, answers, correct, [6], subsets=100)
    assert drawn.exact.all(), "924 subsets are few"
    many = [np.tile(each, 2) for each in (scores, answers, correct)]
    drawn, true = (weighted_at_ks(*many, [12], subsets=number, seed=number) for number in (100, 4000))
    told = ~drawn.exact
    assert (told == correct.any(axis=1, keepdims=True)).all()
    away = (drawn.value - true.value)[told] / np.hypot(drawn.error, true.error)[told]
    assert 0.93 <= (np.abs(away) < 2).mean() <= 1
    assert abs(drawn.mean - true.mean)[0] < 4 * np.hypot(drawn.mean_error, true.mean_error)[0]
    assert drawn.mean_error[0] == pytest.approx(np.sqrt((drawn.error**2).sum()) / 200)


def test_equal_weights_are_a_majority_vote_counted_exactly():
    rng = np.random.default_rng(6)
    answers = rng.integers(-1, 6, (20, 40)).astype(np.int32)
    correct = answers == 2
    vote = weighted_at_ks(np.full(answers.shape, 0.3), answers, correct, [1, 10, 40])
    assert vote.exact.all()
    assert vote.value == pytest.approx(majority_at_ks(answers, correct, [1, 10, 40]))


def test_scores_of_nothing_make_every_answer_a_tie():
    vote = weighted_at_ks(np.zeros((1, 3)), [[0, 0, 1]], [[False, False, True]], [3])
    assert vote.value.tolist() == [[0.5]]
    assert weighted_at_ks(np.full((1, 3), math.nan), [[0, 0, 1]], [[False, False, True]], [3]).value.tolist() == [[0.5]]


def test_a_hundred_samples_vote_as_drawn_subsets_of_them_do():
    rng = np.random.default_rng(7)
    said = rng.choice(8, 100, p=[0.24, 0.22, 0.2, 0.1, 0.1, 0.08, 0.04, 0.02])
    answers = said[None].astype(np.int32)
    [counted] = majority_at_ks(answers, answers == 0, [20])[0]
    wins = []
    for _ in range(4000):
        counts = np.bincount(rng.choice(said, 20, replace=False), minlength=8)
        wins.append((counts[0] == counts.max()) / (counts == counts.max()).sum())
    assert counted == pytest.approx(np.mean(wins), abs=4 * np.std(wins) / 4000**0.5)
    assert majority_at_ks(answers, answers == 0, range(1, 101))[0, -1] == float(np.bincount(said).argmax() == 0)


def test_all_unanswered_is_wrong_and_never_missing():
    answers = np.full((2, 3), ABSTAINED)
    wrong, scores = np.zeros((2, 3), dtype=bool), np.ones((2, 3))
    assert (majority_at_ks(answers, wrong, [1, 3]) == 0).all()
    assert (best_of_ks(scores, answers, wrong, [1, 3]) == 0).all()
    assert (weighted_at_ks(scores, answers, wrong, [1, 3]).value == 0).all()
    assert (pass_at_ks(wrong, [1, 3]) == 0).all()
    assert majority_at_k([None, None], [False, False], 2) == 0


def test_a_size_that_some_problem_lacks_makes_the_mean_unknown():
    estimates = pass_at_ks([[True, False, False], [True, False, False]], [2, 3], counts=[3, 2])
    assert estimates.mean(axis=0) == pytest.approx([5 / 6, math.nan], nan_ok=True)


def test_the_gap_is_what_a_perfect_choice_would_add():
    gap = selection_gap([[0.5, 1.0]], [[0.5, 0.25]])
    assert gap.tolist() == [[0.0, 0.75]]
    with pytest.raises(OptionError, match="same problems and sizes"):
        selection_gap([[0.5]], [[0.5, 0.25]])


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: pass_at_ks([[True]], [0]), "at least 1"),
        (lambda: pass_at_ks([[True]], []), "at least 1"),
        (lambda: pass_at_ks([[True]], [1.5]), "at least 1"),
        (lambda: pass_at_ks([True], [1]), "problems x samples"),
        (lambda: pass_at_ks([[True, True]], [1], counts=[1]), "contradict"),
        (lambda: pass_at_ks([[True]], [1], counts=[2]), "do not fit"),
        (lambda: majority_at_ks([[1, 1]], [[True, False]], [1]), "both right and wrong"),
        (lambda: majority_at_ks([[-1, 1]], [[True, False]], [1]), "abstention"),
        (lambda: majority_at_ks([[1]], [[True, False]], [1]), "problems x samples"),
        (lambda: majority_at_ks(np.zeros((1, 1001), int), np.ones((1, 1001), bool), [1]), "at most 1,000"),
        (lambda: best_of_ks([[1.0]], [[1, 1]], [[True, True]], [1]), "shape"),
        (lambda: weighted_at_ks([[-0.5]], [[1]], [[True]], [1]), "0 or more"),
        (lambda: weighted_at_ks([[math.inf]], [[1]], [[True]], [1]), "finite"),
        (lambda: weighted_at_ks([[1.0]], [[1]], [[True]], [1], subsets=1), "at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(ask, why):
    with pytest.raises(OptionError, match=why):
        ask()
