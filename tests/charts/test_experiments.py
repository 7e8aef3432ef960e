"""Charts of experiments hold the numbers they were given, say n and their intervals' kind, and draw by themselves."""

import json
import math
from dataclasses import replace
from xml.etree import ElementTree as ET

import altair as alt
import duckdb
import polars as pl
import pyarrow as pa
import pytest

import tttlab
from tests.charts import measured
from tests.charts.teller import layers, saying, subtitle, think
from tests.charts.test_drawing import acting
from tttlab import charts
from tttlab.charts.chart_data import ChartData, data_of
from tttlab.charts.renderer import MIME
from tttlab.errors import OptionError
from tttlab.experiments.intervals import Interval

HOSTILE = measured.HOSTILE
PLAIN = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_bar().encode(x="a:Q")


def granted():
    done = tttlab.allocate(["What is 7 * 8?", HOSTILE], budget="12 calls", model=saying("56", "54"), maximum=6)
    return charts.granted(done)


MADE = {
    "accuracy": lambda: charts.accuracy(measured.points(), model=HOSTILE),
    "allocation": lambda: charts.allocation(measured.allocated(), model=HOSTILE),
    "shares": lambda: charts.shares(measured.allocated(), model=HOSTILE),
    "granted": granted,
    "equal_compute": lambda: charts.equal_compute({"direct": measured.equal(), HOSTILE: measured.equal()}),
    "flips": lambda: charts.flips(measured.flips(), levels=HOSTILE),
    "frontier": lambda: charts.frontier(measured.frontier(), model=HOSTILE),
    "reliability": lambda: charts.reliability(measured.bins(), aucs=measured.aucs(), verifier=HOSTILE),
    "reliability of several": lambda: charts.reliability({HOSTILE: measured.bins(), "b": measured.bins()}),
    "scaling_law": lambda: charts.scaling_law({HOSTILE: measured.law(), "flat": measured.flat()}),
    "coverage law": lambda: charts.scaling_law(measured.coverage(), model=HOSTILE),
    "truncation": lambda: charts.truncation(measured.truncated(), model=HOSTILE),
    "waterfall": lambda: charts.waterfall(measured.waterfall(), model=HOSTILE),
}


@pytest.mark.parametrize("name", MADE)
def test_it_draws_offline_says_n_and_the_kind_of_its_intervals_and_its_texts_are_inert(name):
    with alt.renderers.enable("default"):
        chart = MADE[name]()
        data, _ = chart._repr_mimebundle_()
    assert set(data) == {MIME, "image/svg+xml", "text/plain"}
    json.dumps(data, allow_nan=False)
    svg = data["image/svg+xml"]
    assert not [each for each in ET.fromstring(svg).iter() if each.tag.rpartition("}")[2] in ("script", "image", "a")]
    assert acting(svg) == (0, 0)
    assert acting(chart.to_html()) == acting(PLAIN.to_html())
    said = subtitle(chart)
    assert "n = " in said
    assert "interval" in said
    assert chart.data.rows
    assert chart.data.table().num_rows == len(chart.data.rows)


def test_every_chart_has_the_table_behind_it_and_altair_still_has_its_data():
    run = think("self_consistency", saying("54", "56"), samples=3, reference="56")
    for chart in (charts.curve(run), charts.run_tree(run), charts.token_strip(run), MADE["flips"]()):
        assert isinstance(chart.data, ChartData)
        rows = chart.data.rows
        assert isinstance(chart.data, alt.InlineData)
        assert pa.table(chart.data).to_pylist() == chart.data.table().to_pylist()
        assert pl.DataFrame(chart.data).height == len(rows)
        assert chart.properties(width=100).data.rows == rows
        assert (chart | chart).to_dict()["datasets"]
    behind = charts.curve(run).data
    assert duckdb.sql("SELECT count(*) FROM behind").fetchall() == [(3,)]
    assert [row["full"] for row in behind.rows] == ["54", "54", "54"]


def test_a_title_is_no_expression():
    chart = charts.flips(measured.flips(), levels='\\" + datum.lost + \\"\x1b')
    svg = chart._repr_mimebundle_()[0]["image/svg+xml"]
    assert ET.fromstring(svg) is not None
    assert "\u29f5\u201d + datum.lost + \u29f5\u201d" in svg


def test_data_are_plain_numbers_and_inert_texts():
    import numpy as np

    [row] = data_of([{"nan": math.nan, "number": np.float64(2), "text": "</script>", "none": None}]).rows
    assert row == {"nan": None, "number": 2.0, "text": "\u2039/script>", "none": None}
    assert type(row["number"]) is float


def test_flips_are_drawn_both_ways_from_zero_with_their_net():
    chart = MADE["flips"]()
    [row] = chart.data.rows
    assert (row["passage"], row["gained"], row["lost"], row["wrong_to_other_wrong"]) == ("0 → 25", 8, 8, 4)
    assert row["net_said"] == "0 points"
    bars = [
        layer["transform"][0]["calculate"] for layer, _ in layers(chart, y="signed") if layer["mark"]["type"] == "bar"
    ]
    assert bars == ["1 * datum.gained", "-1 * datum.lost"]


def test_the_truncation_curve_has_a_point_for_each_amount_and_says_how_it_was_cut():
    chart = MADE["truncation"]()
    assert [row["thinking_tokens"] for row in chart.data.rows] == [0, 10, 25]
    assert chart.data.rows[0]["accuracy"] == pytest.approx(1 / 2)
    assert "cut there, and the model made to answer" in subtitle(chart)


def test_the_waterfall_says_what_is_left_and_who_lost_the_rest():
    chart = MADE["waterfall"]()
    assert [(row["stage"], row["before"], row["left"]) for row in chart.data.rows] == [
        ("all problems", 24, 24),
        ("proposed, depth 1", 24, 20),
        ("kept, depth 1", 20, 15),
        ("answered", 15, 9),
    ]
    assert "lost by: proposer 4" in subtitle(chart)


def test_points_on_the_frontier_are_filled_and_what_is_not_known_is_counted():
    chart = MADE["frontier"]()
    assert len(chart.data.rows) == 5
    assert "not drawn: 1 of 6 points" in subtitle(chart)
    filters = [layer["transform"][0]["filter"] for layer, _ in layers(chart, shape="policy")]
    assert filters == ["!datum.on_frontier", "datum.on_frontier"]
    [steps] = [rows for layer, rows in layers(chart, y="accuracy") if layer["mark"]["type"] == "line"]
    assert [step["accuracy"] for step in steps] == sorted(step["accuracy"] for step in steps)


def test_a_law_is_drawn_with_its_held_out_points_hollow_and_without_one_its_reason_is_said():
    chart = MADE["scaling_law"]()
    fit, rows = measured.law(), chart.data.rows
    assert [row["held_out"] for row in rows[:8]] == [point.held_out for point in fit.points] == [False] * 6 + [True] * 2
    assert [row["law"] for row in rows[:8]] == [point.predicted.mean for point in fit.points]
    assert [row["law"] for row in rows[8:]] == [None] * 8
    assert not any(row["held_out"] for row in rows[8:])
    assert "flat: not enough data" in subtitle(chart)
    assert f"{fit.law} law, held-out error" in subtitle(chart)
    axis = layers(chart, x="compute")[0][0]["encoding"]["x"]
    assert (axis["scale"]["type"], axis["title"]) == ("log", "tokens a problem, prompt and output")


def test_a_gain_that_is_not_known_is_no_number():
    wide = Interval(math.nan, math.nan, math.nan, 40, 0.95, "not enough data: the interval is wide, -0.20 to 0.30")
    said = subtitle(charts.scaling_law(replace(measured.law(), gain_per_doubling=wide)))
    assert "what one more doubling adds is not known: not enough data: the interval is wide" in said
    assert "nan" not in said


def test_coverage_is_not_called_accuracy():
    chart = MADE["coverage law"]()
    assert chart.to_dict()["title"]["text"] == "Coverage against samples"
    assert "coverage(k) = exp(" in subtitle(chart)
    assert sum(row["held_out"] for row in chart.data.rows) > 3


def test_bins_stand_at_their_mean_score_and_empty_ones_are_not_drawn():
    chart = MADE["reliability"]()
    assert sum(row["count"] for row in chart.data.rows) == 60
    assert [row["right"] for row in chart.data.rows if row["to"] <= 0.4] == [0] * 4
    assert "AUC " in subtitle(chart)
    assert charts.reliability([]).data.rows == [{"said": "nothing was judged"}]


def test_an_allocation_is_drawn_by_its_problems():
    rows = granted().data.rows
    assert len(rows) == 2
    assert [row["verdict"] for row in rows] == ["no reference"] * 2
    with pytest.raises(OptionError, match="no allocation 'x'; the nearest"):
        charts.granted("x")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: charts.scaling_law({}), "one unit of compute, not none"),
        (lambda: charts.scaling_law({"a": measured.law(), "b": measured.coverage()}), "not tokens, samples"),
        (lambda: charts.equal_compute({}), "in one unit, not none"),
        (lambda: charts.shares(measured.allocated(), budget=3), "no budget of 3 calls was replayed"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(made, said):
    with pytest.raises(OptionError, match=said) as refused:
        made()
    assert "\n" not in str(refused.value)
