"""Meters: what has been charged to a budget, and the stop that follows when it is spent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import anyio

from tttlab.budget import Budget
from tttlab.clock import RunClock
from tttlab.errors import BudgetExhausted
from tttlab.types import Usage

Number = TypeVar("Number", int, float)


class Cancellable(Protocol):
    """What a meter stops: an `anyio.CancelScope`, in a run."""

    @property
    def cancel_called(self) -> bool:
        """Whether it was told to stop, by `cancel` or by its deadline."""
        ...

    def cancel(self) -> None:
        """Stop all that runs inside."""
        ...


class Meter:
    """Counts what is spent against one budget; every charge goes to the meters above it too.

    The first limit that is passed sets `exhausted` to its unit and cancels the scope; a limit on calls refuses the
    next call instead and lets those in flight finish. `charge` runs once a token, so the counts are plain numbers.
    """

    counts_served = True
    """Whether calls that are served from their record are charged too, as if they ran."""

    def __init__(
        self,
        budget: Budget,
        scope: Cancellable,
        parent: Meter | None = None,
        clock: RunClock | None = None,
    ) -> None:
        self.budget = budget
        self.exhausted: str | None = None
        self._scope = scope
        self._parent = parent
        self.clock: RunClock = clock or (parent.clock if parent else RunClock())
        self._started = self.clock.now()
        self._prompt = self._cached = self._output = self._thinking = self._calls = 0
        self._dollars: float | None = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the meter was started."""
        return self.clock.now() - self._started

    @property
    def spent(self) -> Usage:
        """All that was charged so far, calls in flight included."""
        return Usage(
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            output_tokens=self._output,
            thinking_tokens=self._thinking,
            calls=self._calls,
            dollars=self._dollars,
        )

    @property
    def stopping(self) -> bool:
        """Whether what runs under this meter has been told to stop, by it or by one above it."""
        return self._scope.cancel_called or (self._parent is not None and self._parent.stopping)

    def remaining(self) -> Budget:
        """What is left in each limited unit, over this meter and those above it, never below 0."""
        own, spent = self.budget, self.spent
        left = Budget(
            tokens=None if own.tokens is None else max(0, own.tokens - spent.tokens),
            dollars=None if own.dollars is None else max(0.0, own.dollars - (spent.dollars or 0.0)),
            seconds=None if own.seconds is None else max(0.0, own.seconds - self.seconds),
            calls=None if own.calls is None else max(0, own.calls - spent.calls),
        )
        return left if self._parent is None else tighter(left, self._parent.remaining())

    def start_call(self, *, served: bool = False) -> None:
        """Charge one call, or raise `BudgetExhausted` where a budget has no room for it."""
        meter: Meter | None = self
        while meter:
            limit = meter.budget.calls
            if limit is not None and meter._calls >= limit:
                meter.exhausted = meter.exhausted or "calls"
            if meter.exhausted:
                raise BudgetExhausted(meter)
            meter = meter._above(served=served)
        meter = self
        while meter:
            meter._calls += 1
            meter = meter._above(served=served)

    def charge(
        self, prompt: int, cached: int, output: int, thinking: int, dollars: float | None, *, served: bool = False
    ) -> None:
        """Charge what one delivery added, in tokens and dollars (None where no price is known)."""
        self._prompt += prompt
        self._cached += cached
        self._output += output
        self._thinking += thinking
        self._dollars = None if dollars is None or self._dollars is None else self._dollars + dollars
        limits = self.budget
        if limits.tokens is not None and self._prompt + self._output > limits.tokens:
            self.exhaust("tokens")
        elif limits.dollars is not None and self._dollars is not None and self._dollars > limits.dollars:
            self.exhaust("dollars")
        above = self._above(served=True) if served else self._parent
        if above is not None:
            above.charge(prompt, cached, output, thinking, dollars, served=served)

    def _above(self, *, served: bool) -> Meter | None:
        """The next meter above that such a call is charged to."""
        meter = self._parent
        while meter and served and not meter.counts_served:
            meter = meter._parent
        return meter

    def give_back(self) -> None:
        """Take what was charged here, all of it served, from the meters above again: it is charged there once more."""
        meter = self._above(served=True)
        while meter:
            meter._prompt -= self._prompt
            meter._cached -= self._cached
            meter._output -= self._output
            meter._thinking -= self._thinking
            meter._calls -= self._calls
            if meter._dollars is not None and self._dollars is not None:
                meter._dollars -= self._dollars
            meter = meter._above(served=True)

    def exhaust(self, unit: str) -> None:
        """Declare the budget spent and stop what runs under it."""
        self.exhausted = self.exhausted or unit
        self.cancel()

    def cancel(self) -> None:
        """Stop what runs under this meter."""
        self._scope.cancel()


@contextmanager
def metered(budget: Budget, parent: Meter | None = None, clock: RunClock | None = None) -> Iterator[Meter]:
    """Hold a block to a budget: when it is spent, the block is cancelled and left quietly.

    The meter's `exhausted` then says which unit ran out. A call that this budget refused ends the block likewise. Time
    is the parent's unless a clock is given.
    """
    with anyio.CancelScope() as scope:
        meter = Meter(budget, scope, parent, clock)
        with meter.clock.limit(scope, budget.seconds) as deadline:
            try:
                yield meter
            except BudgetExhausted as refused:
                if refused.meter is not meter:
                    raise
            finally:
                if deadline.has_passed():
                    meter.exhausted = meter.exhausted or "seconds"


def tighter(first: Budget, second: Budget) -> Budget:
    """The budget that keeps both."""
    return Budget(
        tokens=_least(first.tokens, second.tokens),
        dollars=_least(first.dollars, second.dollars),
        seconds=_least(first.seconds, second.seconds),
        calls=_least(first.calls, second.calls),
    )


def _least(a: Number | None, b: Number | None) -> Number | None:
    if a is None or b is None:
        return a if b is None else b
    return min(a, b)
