"""How long `%load_ext tttlab` takes once IPython is up, each time in a fresh interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys

TIMES = 7
CODE = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1 + 1")
started = time.perf_counter()
shell.run_line_magic("load_ext", "tttlab")
print(time.perf_counter() - started)
"""


def main() -> None:
    """Print the median and the greatest."""
    taken = sorted(
        float(
            subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout.split()[-1]
        )
        for _ in range(TIMES)
    )
    print(f"%load_ext tttlab  median {statistics.median(taken):.3f} s, greatest {taken[-1]:.3f} s of {TIMES}")


if __name__ == "__main__":
    main()
