"""How a host is treated: how often it is asked, how long it is waited for, and when it is asked again.

A call is asked again only where its error may pass, and only while it has given nothing: what was given stands.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tttlab.checks import at_least
from tttlab.errors import HostError
from tttlab.models.rates import rate
from tttlab.options import resolve_number, state_of

if TYPE_CHECKING:
    from tenacity import RetryCallState

Item = TypeVar("Item")

_FIRST_WAIT = 0.5
_RATES = ("requests_per_minute", "tokens_per_minute")
_WAITS = ("connect_seconds", "first_token_seconds", "silent_seconds")
_FOREVER = 86_400.0
_LONGEST_WAIT = 60.0
"""Seconds: a host that names a longer time has refused the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Limits of one host's calls. Seconds and numbers a minute; None is no limit of ours."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Of prompt and output together; until a call has ended, all that it may put out is counted."""
    connect_seconds: float = 10.0
    first_token_seconds: float = 600.0
    """From the request to the first token: a model that does not show its thinking is silent meanwhile."""
    silent_seconds: float = 120.0
    """Between two frames of a stream that has begun."""
    attempts: int = 4
    """How often a call is made at most."""
    first_wait: float = _FIRST_WAIT
    """Before the second attempt, about, where the host names no time; each further wait is twice as long."""

    def __post_init__(self) -> None:
        at_least(1, attempts=self.attempts)
        at_least(0, **{each.name: getattr(self, each.name) for each in fields(self)})

    @classmethod
    def configured(cls) -> Conduct:
        """What `tttlab.configure` and its like say. Raises `OptionError`."""
        return _configured(state_of((*_RATES, *_WAITS, "attempts")))


@lru_cache(maxsize=8)
def _configured(_: Hashable) -> Conduct:
    numbers: dict[str, Any] = {name: resolve_number(name) for name in _RATES}
    numbers |= {name: resolve_number(name) or _FOREVER for name in _WAITS}
    return Conduct(attempts=int(resolve_number("attempts") or 1), **numbers)


class Spent:
    """What a call has used of the tokens that it was let in with."""

    tokens: int | None = None
    """None until the host has said it."""


@asynccontextmanager
async def admitted(host: str, conduct: Conduct, tokens: int) -> AsyncIterator[Spent]:
    """Wait for the host's turn with a request of about as many tokens. At the end, the host's count corrects them."""
    spent = Spent()
    limits = (("requests", 1, conduct.requests_per_minute), ("tokens", tokens, conduct.tokens_per_minute))
    held = [(rate(host, unit), units, limit) for unit, units, limit in limits if limit]
    wait = max((each.take(units, limit) for each, units, limit in held), default=0.0)
    try:
        if wait:
            await asyncio.sleep(wait)
    except asyncio.CancelledError:
        for each, units, limit in held:
            each.give_back(units, limit)
        raise
    try:
        yield spent
    finally:
        if conduct.tokens_per_minute and spent.tokens is not None:
            rate(host, "tokens").give_back(tokens - spent.tokens, conduct.tokens_per_minute)


async def again(
    attempt: Callable[[], AsyncGenerator[Item, None]], conduct: Conduct, shown: Callable[[Item], bool]
) -> Begun[Item]:
    """Begin a stream, again where that fails with an error that may pass. It has begun with the first item `shown`."""
    try:
        return await _begin(attempt, shown)
    except HostError as error:
        return await _after(error, attempt, conduct, shown)


async def _after(
    first: HostError, attempt: Callable[[], AsyncGenerator[Item, None]], conduct: Conduct, shown: Callable[[Item], bool]
) -> Begun[Item]:
    """The further attempts, which tenacity makes. It is told of the first, which it would have made at a cost."""
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

    errors = [first]

    async def next_attempt() -> Begun[Item]:
        if errors:
            raise errors.pop()
        return await _begin(attempt, shown)

    waits = _Waits(conduct.first_wait)
    retrying = AsyncRetrying(
        stop=stop_after_attempt(conduct.attempts), wait=waits, retry=retry_if_exception(_may_pass), reraise=True
    )
    begun: Begun[Item] = await retrying(next_attempt)
    return replace(begun, notes=tuple(waits.notes))


@dataclass(slots=True)
class Begun(Generic[Item]):
    """A stream that has begun: its first items, the rest, and a note on each attempt before it."""

    head: list[Item]
    rest: AsyncGenerator[Item, None]
    notes: tuple[str, ...] = ()

    async def items(self) -> AsyncGenerator[Item, None]:
        """All of it. To leave it closes the stream."""
        async with aclosing(self.rest):
            for item in self.head:
                yield item
            async for item in self.rest:
                yield item


async def _begin(attempt: Callable[[], AsyncGenerator[Item, None]], shown: Callable[[Item], bool]) -> Begun[Item]:
    head: list[Item] = []
    stream = attempt()
    try:
        async for item in stream:
            head.append(item)
            if shown(item):
                break
    except BaseException:
        await stream.aclose()
        raise
    return Begun(head, stream)


class _Waits:
    """How long to wait before each further attempt, and what to say of it."""

    def __init__(self, first: float) -> None:
        from tenacity import wait_random_exponential

        self._first = first
        self._wait = wait_random_exponential(multiplier=first, max=_LONGEST_WAIT, min=first / 2)
        self.notes: list[str] = []

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        named = error.retry_after if isinstance(error, HostError) else None
        # Calls that a host refused together are not made together again.
        wait = self._wait(state) if named is None else named + random.uniform(0, self._first)  # noqa: S311
        said = f"{type(error).__name__}, {error.said}" if isinstance(error, HostError) else str(error)
        self.notes.append(f"attempt {state.attempt_number + 1}: after {wait:.1f} s, since the last failed ({said})")
        return wait


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, HostError) and error.passing and (error.retry_after or 0.0) <= _LONGEST_WAIT


def delay_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that a host says to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
