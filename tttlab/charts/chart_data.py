"""The table behind a chart: `chart.data`, of every chart. Imported late: altair is heavy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import altair as alt

from tttlab.charts.shown_text import shown

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


class ChartData(alt.InlineData):
    """What a chart draws, as rows: altair's own data, which can be read as a table too.

    `chart.data.rows` is a list of dicts, `chart.data.table()` an Arrow table; whatever takes Arrow takes it as it is:
    `pl.DataFrame(chart.data)`, `pd.DataFrame.from_arrow(chart.data)`, and by a variable's name DuckDB. Texts are as the
    chart shows them: invisible characters are visible.
    """

    @property
    def rows(self) -> list[Row]:
        """One dict a row, each with the same names."""
        return [dict(row) for row in self["values"]]

    def table(self) -> pa.Table:
        """The rows as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table().__arrow_c_stream__(requested_schema)


def data_of(rows: Iterable[Mapping[str, Any]]) -> ChartData:
    """The rows as a chart may hold them: texts inert, NaN and infinities None, no numbers of numpy's."""
    return ChartData(values=[{name: _plain(value) for name, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
