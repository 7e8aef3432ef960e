"""What a recorded allocation granted: the samples of each problem, and whether it ended right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.axes import whole_ticks
from tttlab.charts.look import HUES, REST, dressed
from tttlab.charts.shown_text import counted, shown
from tttlab.errors import OptionError
from tttlab.experiments.asked import near, opened

if TYPE_CHECKING:
    import altair as alt
    from duckdb import DuckDBPyConnection

    from tttlab.allocation import Allocation
    from tttlab.charts.renderer import OfflineChart

VERDICTS = {"right": HUES[0], "wrong": HUES[1], "no answer": REST, "no reference": HUES[4]}
_WIDEST, _BAR = 640, 16


def granted(allocation: Allocation | str, *, connection: DuckDBPyConnection | None = None) -> OfflineChart:
    """A bar a problem, the most samples first: how many it was granted, and whether its answer was right.

    An allocation is named by its `allocation_id` in the view `allocations`. Raises `OptionError` for one that is not in
    the store.
    """
    asked = allocation if isinstance(allocation, str) else allocation.id
    if asked is None:
        raise OptionError("this allocation was replayed whole: it is in the store as the one that it repeats")
    with opened(connection) as store:
        found = store.rows(_GRANTED, allocation=asked)
        if not found:
            raise OptionError(
                f"the store has no allocation {asked!r}{near(store, 'allocations', 'allocation_id', asked)}"
            )
    import altair as alt

    from tttlab.charts.chart_data import data_of
    from tttlab.charts.renderer import OfflineChart

    rows = [{**row, "place": place, "verdict": _verdict(row)} for place, row in enumerate(found)]
    verdicts = [name for name in VERDICTS if any(row["verdict"] == name for row in rows)]
    scale = alt.Scale(domain=verdicts, range=[VERDICTS[name] for name in verdicts])
    most = max(row["samples"] for row in rows)
    axis = alt.Axis(values=whole_ticks(0, most), format="d")
    bars = (
        alt.Chart()
        .mark_bar(width={"band": 0.8})
        .encode(
            x=alt.X("place:O", title="problems, the most samples first", axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y(
                "samples:Q", title="samples granted", axis=axis, scale=alt.Scale(domain=[0, max(1, most)], nice=False)
            ),
            color=alt.Color("verdict:N", scale=scale, title=None, legend=alt.Legend(orient="bottom")),
            tooltip=_tooltip(),
        )
    )
    width = min(_WIDEST, max(200, _BAR * len(rows)))
    chart = OfflineChart(data=data_of(rows), layer=[bars], width=width, height=220)
    return dressed(chart, "Samples granted", _lines(rows))


def _verdict(row: Mapping[str, Any]) -> str:
    if row["answer"] is None:
        return "no answer"
    return {True: "right", False: "wrong", None: "no reference"}[row["correct"]]


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    samples, first = sum(row["samples"] for row in rows), rows[0]
    known = [row for row in rows if row["verdict"] != "no reference"]
    right = f"; {sum(row['verdict'] == 'right' for row in rows)} of {len(known)} right" if known else ""
    models = list(dict.fromkeys(shown(row["model"], 60) for row in rows))
    return [
        f"n = {counted(len(rows), 'problem')}, {counted(samples, 'sample')}{right}; {', '.join(models[:3])}",
        f"rule {shown(first['rule'], 30)}; counts of these problems, without an interval",
    ]


def _tooltip() -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("problem_id:N", title="problem"),
        alt.Tooltip("samples:Q"),
        alt.Tooltip("answer:N"),
        alt.Tooltip("verdict:N"),
        alt.Tooltip("left_for:N", title="left because of"),
        alt.Tooltip("stability:Q", title="stability at the end", format=".3f"),
        alt.Tooltip("spent:Q", format=",.4~g"),
        alt.Tooltip("unit:N"),
    ]


_GRANTED = """
SELECT
    decision.problem_id, any_value(decision.run_id) AS run_id, any_value(decision.rule) AS rule,
    count(*) FILTER (action = 'sample') AS samples, any_value(run.answer) AS answer,
    bool_or(run.correct) AS correct, any_value(run.model) AS model,
    any_value(reason) FILTER (action = 'leave') AS left_for,
    arg_max(stability, number) AS stability, arg_max(decision.spent, number) AS spent, any_value(unit) AS unit
FROM allocations AS decision
LEFT JOIN runs AS run USING (run_id)
WHERE allocation_id = $allocation
GROUP BY decision.problem_id
ORDER BY samples DESC, decision.problem_id
"""
