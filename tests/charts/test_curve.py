"""The answer's curve: its points are what the view `answers` says; it names what it counts and what it leaves out."""

import pytest

import tttlab
from tests.charts.teller import asked, layers, proposing, rows, saying, subtitle, think
from tttlab.charts import curve
from tttlab.errors import OptionError
from tttlab.experiments.measures import MEASURES

SPENT = sorted(set(MEASURES) - {"spent_dollars", "basis_dollars"})


@pytest.mark.parametrize("compute", SPENT)
def test_the_points_are_the_proposals_and_the_axis_names_the_measure(compute):
    run = think("self_consistency", saying("54", "56", "56"), samples=3, reference="56")
    chart = curve(run, compute=compute)
    points = rows(chart, "point")
    expected = asked(f"SELECT * FROM answers WHERE run_id = '{run.id}' ORDER BY step")
    assert [point["compute"] for point in points] == [row[compute] for row in expected]
    assert [point["confidence"] for point in points] == [row["confidence"] for row in expected] == [1, 0.5, 2 / 3]
    assert [point["full"] for point in points] == [row["answer"] for row in expected] == ["54", "54", "56"]
    assert [point["verdict"] for point in points] == ["incorrect", "incorrect", "correct"]
    [(line, _)] = [found for found in layers(chart, x="compute", y="confidence") if found[0]["mark"]["type"] == "line"]
    assert line["encoding"]["x"]["title"] == MEASURES[compute]
    assert line["mark"]["interpolate"] == "step-after"
    assert "n = 3 proposed answers of 1 run (ok)" in subtitle(chart)


def test_calls_is_short_for_calls_spent():
    run = think("self_consistency", saying("56"), samples=2)
    assert rows(curve(run, compute="calls"), "point") == rows(curve(run, compute="spent_calls"), "point")


def test_one_proposal_without_confidence_stands_at_its_answer():
    run = think("direct", saying("56"))
    chart = curve(run.id)
    [point] = rows(chart, "point", y="answer")
    assert (point["answer"], point["compute"], point["confidence"]) == ("56", run.usage.tokens, None)
    assert "n = 1 proposed answer of 1 run (ok): direct, teller" in subtitle(chart)


def test_sixty_four_proposals_are_all_drawn_and_labelled_only_where_there_is_room():
    changing = proposing(*[str(50 + index // 8) for index in range(64)], confidence=lambda index: index / 64)
    chart = curve(think(changing), compute="seconds")
    assert len(rows(chart, "point")) == 64
    labels = [row["label"] for row in rows(chart, "text")]
    assert labels[0] == "57"
    assert len(labels) <= 9
    assert set(labels) <= {str(50 + index) for index in range(8)}


def test_an_answer_keeps_its_colour_and_its_name_in_the_legend():
    chart = curve(think(proposing("54", "56", None, "54", confidence=lambda index: 0.5)))
    [(point, _)] = [found for found in layers(chart, color="series") if found[0]["mark"]["type"] == "point"]
    scale = point["encoding"]["color"]["scale"]
    assert scale["domain"] == ["54", "(no answer yet)", "56"]
    assert len(set(scale["range"])) == 3


def test_answers_beyond_a_dozen_are_taken_together_and_the_last_one_keeps_its_name():
    many = [str(index) for index in range(30)] + ["7", "last"]
    points = rows(curve(think(proposing(*many)), compute="seconds"), "point")
    named = {point["answer"] for point in points}
    assert len(named) == 12
    assert {"last", "7", "(other answers)"} <= named
    assert [point["full"] for point in points] == many


def test_long_answers_that_begin_alike_stay_apart():
    points = rows(curve(think(proposing("x" * 500 + "1", "x" * 500 + "2")), compute="seconds"), "point")
    assert len({point["answer"] for point in points}) == 2


def test_several_runs_are_told_apart_and_many_by_their_strategies():
    runs = [think("self_consistency", saying("54", "56"), samples=2, seed=seed) for seed in range(3)]
    points = rows(curve(*runs), "point")
    assert {point["run"] for point in points} == {run.id for run in runs}
    assert {point["series"] for point in points} == {f"self_consistency …{run.id[-6:]}" for run in runs}
    more = [*runs, *[think("direct", saying("56")) for _ in range(4)]]
    chart = curve(*more)
    assert {point["series"] for point in rows(chart, "point")} == {"self_consistency (3 runs)", "direct (4 runs)"}
    assert "n = 10 proposed answers of 7 runs on 1 problem" in subtitle(chart)


def test_runs_with_and_without_confidence_are_compared_by_their_answers():
    runs = think("direct", saying("56")), think("self_consistency", saying("54"), samples=2)
    assert len(rows(curve(*runs), "point", y="answer")) == 3
    by_confidence = curve(*runs, height="confidence")
    assert len(rows(by_confidence, "point", y="confidence")) == 2
    assert "not drawn: 1 proposal without a confidence" in subtitle(by_confidence)


def test_a_run_asked_for_twice_is_drawn_once():
    run = think("direct", saying("56"))
    assert len(rows(curve(run, run.id), "point")) == 1


def test_very_many_proposals_are_thinned_evenly_and_the_chart_says_so():
    chart = curve(think(proposing(*[str(index % 3) for index in range(66)])), compute="seconds", proposals=10)
    assert [point["step"] for point in rows(chart, "point")] == [1, 8, 15, 22, 29, 36, 43, 50, 57, 64, 66]
    assert "n = 66 proposed answers" in subtitle(chart)
    assert "one proposal in 7" in subtitle(chart)


def test_a_run_without_a_proposal_says_so():
    async def silent(problem, think):
        pass

    chart = curve(think(silent))
    assert rows(chart, "text")[0]["said"] == "no answer was proposed"
    assert "n = 0 proposed answers" in subtitle(chart)


def test_an_open_connection_serves_and_keeps_its_pending_result():
    run = think("direct", saying("56"))
    connection = tttlab.connect()
    pending = connection.execute("SELECT * FROM range(3)")
    assert len(rows(curve(run, connection=connection), "point")) == 1
    assert pending.fetchall() == [(0,), (1,), (2,)]
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_an_unknown_run_is_named_with_the_nearest_ones():
    run = think("direct", saying("56"))
    wrong = run.id[:-1] + "!"
    with pytest.raises(OptionError, match=f"no run '{wrong}'.*nearest are '{run.id}'") as refused:
        curve(run, wrong)
    assert "\n" not in str(refused.value)


def test_in_an_empty_store_every_run_is_unknown():
    with pytest.raises(OptionError, match="no run '20260101-000000-abcdef': nothing is recorded"):
        curve("20260101-000000-abcdef")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((), {}, "pass a run"),
        ((3,), {}, "int 3 is not a run"),
        ((["a", "b"],), {}, "one by one"),
        (("x",), {"compute": "spent_token"}, "'spent_tokens'"),
        (("x",), {"height": "tall"}, "answer, confidence"),
    ],
)
def test_what_cannot_be_charted_is_refused_in_one_line(arguments, options, said):
    with pytest.raises(OptionError, match=said) as refused:
        curve(*arguments, **options)
    assert "\n" not in str(refused.value)


def test_dollars_need_a_price():
    with pytest.raises(OptionError, match="spent_dollars is known for no answer"):
        curve(think("direct", saying("56")), compute="spent_dollars")
