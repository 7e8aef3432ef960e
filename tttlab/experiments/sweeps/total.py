"""The budget of a whole sweep."""

from __future__ import annotations

from dataclasses import asdict

from tttlab.budget import Budget
from tttlab.meter import Meter
from tttlab.runner import Runner
from tttlab.types import Usage


class OpenRuns:
    """The runs that are going on, to be stopped together: each ends in order, and is kept."""

    def __init__(self) -> None:
        self.cancel_called = False
        self._open: set[Runner] = set()

    def add(self, runner: Runner) -> None:
        """A run begins. One that begins too late is stopped at once."""
        self._open.add(runner)
        if self.cancel_called:
            runner.stop()

    def remove(self, runner: Runner) -> None:
        """A run has ended."""
        self._open.discard(runner)

    def cancel(self) -> None:
        """Stop them."""
        self.cancel_called = True
        for runner in list(self._open):
            runner.stop()


class Total(Meter):
    """Counts what the runs of a sweep spend anew, and stops all of them when it is spent.

    A run that it stops is `stopped`: it is no result of its cell, and goes on when the sweep is started again. No run
    sees it, since what a run does must not depend on what others spent.
    """

    counts_served = False

    def __init__(self, budget: Budget, before: Usage | None = None) -> None:
        """`before` was spent by earlier runs of the sweep."""
        self.runs = OpenRuns()
        self._exhausted: str | None = None
        super().__init__(budget, self.runs)
        self.before = before or Usage()
        self.take(self.before)

    @property
    def exhausted(self) -> str | None:
        """The unit that ran out; None while there is something left."""
        return self._exhausted

    @exhausted.setter
    def exhausted(self, unit: str | None) -> None:
        self._exhausted = unit
        if unit is not None:  # A call that is refused says so here, and no other way.
            self.runs.cancel()

    @property
    def left(self) -> Budget:
        """What is left, in each unit that is limited."""
        return super().remaining()

    @property
    def spent_unit(self) -> str | None:
        """The unit of which nothing is left for one run more."""
        if self._exhausted is not None or self.budget == Budget():
            return self._exhausted
        return next((unit for unit, amount in asdict(self.left).items() if amount == 0), None)

    def remaining(self) -> Budget:
        """What its runs are told: nothing of it."""
        return Budget()

    def take(self, spent: Usage) -> None:
        """Charge what was spent elsewhere."""
        self._calls += spent.calls
        self.charge(spent.prompt_tokens, spent.cached_tokens, spent.output_tokens, spent.thinking_tokens, spent.dollars)
