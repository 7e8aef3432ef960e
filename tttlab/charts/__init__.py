"""Charts: of recorded runs (SQL in, altair chart out) and of experiments (values in), one chart a file.

Each has the table behind it: `chart.data.rows`, `chart.data.table()`.
"""

from tttlab.charts.accuracy import accuracy
from tttlab.charts.allocation import allocation, shares
from tttlab.charts.curve import curve
from tttlab.charts.equal_compute import equal_compute
from tttlab.charts.flips import flips
from tttlab.charts.frontier import frontier
from tttlab.charts.granted import granted
from tttlab.charts.reliability import reliability
from tttlab.charts.run_tree import run_tree
from tttlab.charts.scaling_law import scaling_law
from tttlab.charts.token_strip import token_strip
from tttlab.charts.truncation import truncation
from tttlab.charts.waterfall import waterfall

__all__ = [
    "accuracy",
    "allocation",
    "curve",
    "equal_compute",
    "flips",
    "frontier",
    "granted",
    "reliability",
    "run_tree",
    "scaling_law",
    "shares",
    "token_strip",
    "truncation",
    "waterfall",
]
