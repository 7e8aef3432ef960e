"""The tree of a run: branches, each with a span, and the place in it at which code is running."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.identity import hashed_seed
from tttlab.meter import Meter
from tttlab.tracing import names
from tttlab.tracing.recorder import set_known
from tttlab.types import Answer, Completion, Usage

if TYPE_CHECKING:
    from tttlab.call import CallContext

_OWN_NAMES = ("path", "parent_path", "depth", "index")


class Branch:
    """A branch of the tree. Its span ends when its block ends, and is kept open for marks until the run ends."""

    def __init__(self, path: str, span: Any, run_seed: int, parent: Branch | None = None) -> None:
        self.path = path
        self.parent = parent
        self.span = span
        self.attributes: dict[str, Any] = {}
        self._children = 0
        self._run_seed = run_seed
        self._rng: Random | None = None
        self._left_ns: int | None = None

    @property
    def depth(self) -> int:
        """0 for the root."""
        return self.path.count(".") + 1 if self.path else 0

    @property
    def rng(self) -> Random:
        """The branch's own generator, seeded from the run's seed and its path."""
        if self._rng is None:
            self._rng = Random(hashed_seed(self._run_seed, "rng", self.path))  # noqa: S311 - reproducible, not secret
        return self._rng

    def next_child(self) -> tuple[int, str]:
        """The index and path of the next branch below this one."""
        index = self._children
        self._children += 1
        return index, f"{self.path}.{index}" if self.path else str(index)

    def mark(self, **attributes: str | float | bool) -> None:
        """Record facts about the branch. Raises `OptionError` for a name that is the tree's own."""
        check_names(attributes)
        self.attributes.update(attributes)
        set_known(self.span, {names.BRANCH_PREFIX + key: value for key, value in attributes.items()})

    def leave(self) -> None:
        """The block has ended; marks may still come."""
        self._left_ns = time.time_ns()

    def settle(self) -> None:
        """The run has ended: no mark can come any more."""
        if self.span.is_recording():
            self.span.end(self._left_ns)


def check_names(attributes: Mapping[str, Any]) -> None:
    """Raise `OptionError` where a fact about a branch has a name that says where the branch stands."""
    for name in attributes:
        if name in _OWN_NAMES:
            raise OptionError(f"a branch's {name!r} is given by its place in the tree: choose another name")


@dataclass(slots=True)
class Scope:
    """Whose proposals are made: the run's own, or those of a strategy that runs inside it."""

    parent: Scope | None = None
    answers: list[Answer] = field(default_factory=list)
    proposed_in: list[str] = field(default_factory=list)
    """The path of the branch of each answer."""
    delivered: list[Completion] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    """Of all that was delivered: to add it up for each proposal would grow with the square."""
    linked: int = 0
    """How many of those delivered a proposal links to already: to all of them each time would grow with the square."""

    def deliver(self, completion: Completion) -> None:
        """Note that a completion was given to the strategy, and so to those that it runs inside of."""
        scope: Scope | None = self
        while scope:
            scope.delivered.append(completion)
            scope.usage += completion.usage
            scope = scope.parent

    def new(self) -> list[Completion]:
        """What was delivered since this was last asked."""
        since = self.delivered[self.linked :]
        self.linked = len(self.delivered)
        return since


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run code is running: its branch, the span above its calls, the meter they go to, its scope."""

    branch: Branch
    span: Any
    meter: Meter
    scope: Scope
    context: CallContext | None = None
    """Of the calls, where they go to another model than the run's."""


PLACE: ContextVar[Place] = ContextVar("tttlab_place")


@contextmanager
def at(place: Place) -> Iterator[Place]:
    """Run a block at another place."""
    token = PLACE.set(place)
    try:
        yield place
    finally:
        PLACE.reset(token)


def opening(run_id: str, branch: Branch, index: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with which a branch's span starts."""
    return {
        names.RUN_ID: run_id,
        names.BRANCH_PATH: branch.path,
        names.BRANCH_INDEX: index,
        names.BRANCH_PARENT: branch.parent.path if branch.parent else None,
        names.BRANCH_DEPTH: branch.depth,
        names.BRANCH_STATE: "open",
        **{names.BRANCH_PREFIX + key: value for key, value in attributes.items()},
    }
