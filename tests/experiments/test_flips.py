"""Answers that flip as compute grows are found, told apart, and counted in pairs."""

import pytest

import tttlab
from tests.charts.teller import proposing, saying
from tttlab.errors import OptionError
from tttlab.experiments.answer_paths import AnswerPath, Step, across_runs, along_runs, levels_of, sampled
from tttlab.experiments.flips import Flips


def path(problem, states, levels=(1, 2, 4, 8)):
    """R is right, a letter a wrong answer, - no answer."""
    return AnswerPath(
        problem=problem,
        of="seed 0",
        steps=tuple(
            Step(at=at, answer=None if each == "-" else each, correct=each == "R")
            for at, each in zip(levels, states, strict=False)
        ),
    )


def answered(value, prompt="7 * 8", reference="56", **options):
    return tttlab.think(prompt, model=saying(value), strategy="direct", reference=reference, **options)


def test_changes_are_told_apart_and_their_problems_named():
    found = Flips(paths=(path("up", "aaRR"), path("down", "RRab"), path("out", "R-bb"), path("still", "RRRR")))
    assert {kind: number for kind, number in found.counts.items() if number} == {
        "wrong to right": 1,
        "right to wrong": 1,
        "wrong to other wrong": 1,
        "right to unanswered": 1,
        "unanswered to wrong": 1,
    }
    assert found.problems("right to wrong") == ["down"]
    assert found.problems("right to unanswered") == ["out"]
    assert (found.net.mean, found.net.problems) == (-0.25, 4)


def test_each_passage_between_levels_has_its_gains_its_losses_and_their_paired_interval():
    paths = tuple(path(str(number), "aR" if number < 8 else "Ra" if number < 12 else "RR") for number in range(40))
    [passage] = Flips(paths=paths).passages()
    assert (passage.before, passage.after, passage.gained, passage.lost, passage.paths) == (1, 2, 8, 4, 40)
    assert passage.net.mean == pytest.approx(0.1)
    assert passage.net.low < 0 < passage.net.high < 0.3


def test_two_right_answers_that_differ_are_no_gain():
    found = Flips(
        paths=(
            AnswerPath(
                problem="many",
                of="x",
                steps=(Step(at=1, answer="1 + 2", correct=True), Step(at=2, answer="3", correct=True)),
            ),
        )
    )
    assert found.counts["right to other right"] == 1
    [passage] = found.passages()
    assert (passage.gained, passage.lost) == (0, 0)


def test_a_row_says_when_a_path_was_first_right_and_when_it_settled():
    [row] = Flips(paths=(path("p", "aRbb"),)).data
    assert (row["first_right_at"], row["settled_at"], row["final"], row["changes"]) == (2, 4, "wrong", 2)
    [never] = Flips(paths=(AnswerPath(problem="p", of="x", steps=()),)).data
    assert (never["final"], never["first_right_at"], never["settled_at"]) == ("unanswered", None, None)


def test_a_run_is_followed_along_its_curve_where_its_answer_changes():
    run = tttlab.think("7 * 8", model=saying("1"), strategy=proposing("54", "54", "56", None, "56"), reference="56")
    [along] = along_runs(run, compute="seconds")
    assert [(step.answer, step.state) for step in along.steps] == [
        ("54", "wrong"),
        ("56", "right"),
        (None, "unanswered"),
        ("56", "right"),
    ]
    assert Flips(paths=(along,)).counts["right to unanswered"] == 1


def test_curves_are_compared_at_the_same_amounts():
    runs = [
        tttlab.think("7 * 8", model=saying("54", "56", "56"), strategy="self_consistency", samples=3, reference="56"),
        tttlab.think("7 * 9", model=saying("63", "1", "1"), strategy="self_consistency", samples=3, reference="63"),
    ]
    along = along_runs(*runs, compute="basis_calls")
    [first, second] = Flips(paths=sampled(along, [3, 0, 1])).passages()
    assert (first.before, first.after, first.gained, first.lost) == (0, 1, 1, 0)
    assert (second.before, second.after, second.gained, second.lost) == (1, 3, 1, 1)
    with pytest.raises(OptionError, match="`sampled"):
        Flips(paths=(path("a", "RR"), path("b", "RR", levels=(1, 3)))).passages()


def test_the_runs_of_a_sweep_are_levels_by_a_label():
    for budget, value in ((100, "56"), (0, "54"), (25, "55")):
        answered(value, labels={"sweep": "s", "budget": budget, "rule": "a"})
    answered("1", labels={"sweep": "s", "budget": 0, "rule": "b"})
    levels = levels_of("s", "budget", rule="a")
    assert list(levels) == [0, 25, 100]
    [across] = across_runs(levels)
    assert [(step.at, step.answer, step.correct) for step in across.steps] == [
        (0, "54", False),
        (25, "55", False),
        (100, "56", True),
    ]
    with pytest.raises(OptionError, match=r"no run with the label 'budgets'.*its labels are budget, rule"):
        levels_of("s", "budgets")
    with pytest.raises(OptionError, match="the store has no run of it"):
        levels_of("t", "budget")


def test_seeds_are_paired_with_themselves():
    levels = {n: [answered(str(54 + n + seed), seed=seed) for seed in (0, 1)] for n in (1, 2)}
    found = across_runs(levels)
    assert [(each.of, [step.answer for step in each.steps]) for each in found] == [
        ("seed 0", ["55", "56"]),
        ("seed 1", ["56", "57"]),
    ]


def test_levels_that_do_not_match_are_refused_and_named():
    one, other = answered("56"), answered("63", prompt="7 * 9", reference="63")
    with pytest.raises(OptionError, match="has no run at 'more'"):
        across_runs({"less": [one, other], "more": [one]})
    with pytest.raises(OptionError, match=f"two runs at 'less', {one.id}"):
        across_runs({"less": [one, answered("56")], "more": [one]})
    with pytest.raises(OptionError, match="give two or more"):
        across_runs({"less": [one]})
    with pytest.raises(OptionError, match="nothing says which answers"):
        along_runs(answered("56", reference=None))
    with pytest.raises(OptionError, match="there are no answers"):
        Flips(paths=())
    with pytest.raises(OptionError, match="no change 'flip'"):
        Flips(paths=(path("p", "RR"),)).problems("flip")
