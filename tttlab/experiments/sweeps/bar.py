"""How far a sweep is, on one line: runs, time, and what was spent."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tttlab.experiments.sweeps.sweeper import Sweeper


def in_kernel() -> bool:
    """Whether this is a notebook's kernel."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class Bar:
    """A progress bar of tqdm, in a notebook or a terminal. `pump` it from the thread that waits.

    One that fails is given up with a warning, and the sweep goes on.
    """

    def __init__(self, sweeper: Sweeper, *, shown: bool | None) -> None:
        """By default it is shown in notebooks and in terminals."""
        self._sweeper = sweeper
        self._bar: Any = None
        self._shown = shown if shown is not None else in_kernel() or sys.stderr.isatty()
        if self._shown:
            self._try(self._open)

    def say(self, line: str) -> None:
        """Show a line above the bar."""
        if self._bar is not None:
            self._try(lambda: self._bar.write(line, file=sys.stdout if in_kernel() else sys.stderr))

    def pump(self) -> None:
        """Show how far it is now."""
        if self._bar is not None:
            self._try(self._show)

    def close(self) -> None:
        """Leave it as it is."""
        self.pump()
        if self._bar is not None:
            self._try(self._bar.close)
            self._bar = None

    def _open(self) -> None:
        from tqdm.auto import tqdm

        there = len(self._sweeper.done)
        self._bar = tqdm(total=len(self._sweeper.plan), initial=there, desc=self._sweeper.plan.name, unit="run")

    def _show(self) -> None:
        sweeper, bar = self._sweeper, self._bar
        bar.n = len(sweeper.done)
        spent, left = sweeper.spent, sweeper.total.left.tokens
        said = [f"{spent.tokens:,} tokens"]
        if spent.dollars:
            said.append(f"${spent.dollars:.2f}")
        if left is not None:
            said.append(f"{left:,} left")
        if sweeper.failed:
            said.append(f"{sweeper.failed:,} failed")
        bar.set_postfix_str(", ".join(said), refresh=False)
        bar.refresh()

    def _try(self, show: Any) -> None:
        try:
            show()
        except Exception as error:  # noqa: BLE001 - whatever it is, the sweep is worth more
            self._bar = None
            warnings.warn(f"the progress bar failed ({type(error).__name__}: {error}); the sweep goes on", stacklevel=3)
