"""The chart of accuracy holds the estimates, and says of how many problems."""

from tests.charts.teller import subtitle
from tttlab.charts.accuracy import accuracy
from tttlab.experiments.samples import Samples
from tttlab.experiments.scaling import scaling


def problems(count):
    return [
        Samples(
            problem=str(number),
            answers=("1", "2", "1", None),
            correct=(number % 2 == 0, False, number % 2 == 0, False),
            mean_logprobs=(-0.2, -0.1, -0.3, -0.05),
        )
        for number in range(count)
    ]


def test_every_estimate_is_a_row_with_its_interval():
    points = scaling(problems(6), [1, 2, 4])
    chart = accuracy(points, model="a model")
    assert [(row["series"], row["samples"], row["mean"], row["low"], row["high"]) for row in chart.data.rows] == [
        (point.rule, point.samples, point.interval.mean, point.interval.low, point.interval.high) for point in points
    ]
    assert "n = 6 problems; a model" in subtitle(chart)
    assert "bands: 95% intervals (" in subtitle(chart)


def test_it_draws_as_svg_and_says_what_coverage_is(tmp_path):
    chart = accuracy(scaling(problems(3), [1, 2]))
    chart.save(tmp_path / "accuracy.svg")
    assert "coverage" in (tmp_path / "accuracy.svg").read_text(encoding="utf-8")


def test_nothing_to_estimate_is_said():
    assert "no rule could be estimated" in str(accuracy([]).to_dict())
