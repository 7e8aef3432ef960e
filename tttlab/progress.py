"""What a run tells whoever watches it, one class a kind of news. The live view is such a watcher; so may you be.

An observer is called in the run's event loop: it must be quick and must not raise (one that raises is dropped, with a
warning, and the run goes on).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tttlab.events import Delta
from tttlab.meter import Meter
from tttlab.types import Answer, CallIdentity, Completion, Usage, Verdict

if TYPE_CHECKING:
    from tttlab.run import Run


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins. `stop` may be called from any thread: it ends the run with status `stopped`.

    What `meter` says was spent, and is left, may be read from any thread too.
    """

    run_id: str
    strategy: str
    model: str
    prompt: str
    budget: str
    stop: Callable[[], None]
    meter: Meter


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A model call begins."""

    span_id: str
    identity: CallIdentity
    role: str
    branch: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """A call delivered a token or a chunk, as the run's delivery number `sequence`."""

    span_id: str
    delta: Delta
    sequence: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call ended: `ok`, `failed` or `cancelled`, with what it gave until then."""

    span_id: str
    status: str
    completion: Completion
    answer: str | None


@dataclass(frozen=True, slots=True)
class BranchChanged:
    """A branch was opened or marked."""

    path: str
    parent: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verified:
    """A verifier gave its verdict."""

    verifier: str
    candidate: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Proposed:
    """The answer, if the run had to stop now."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Spent:
    """The run's spend, at the end of each call."""

    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended, whatever its status."""

    run: Run


RunEvent = RunStarted | CallStarted | Streamed | CallEnded | BranchChanged | Verified | Proposed | Spent | RunEnded
Observer = Callable[[RunEvent], None]
