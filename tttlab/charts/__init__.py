"""Charts of recorded runs: SQL in, altair chart out, one chart a file."""

from tttlab.charts.accuracy import accuracy
from tttlab.charts.curve import curve
from tttlab.charts.run_tree import run_tree
from tttlab.charts.token_strip import token_strip

__all__ = ["accuracy", "curve", "run_tree", "token_strip"]
