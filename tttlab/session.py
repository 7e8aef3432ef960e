"""The session: the `think` handle of one run. It traces, charges, runs at once and cancels what a strategy does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any, Literal, TypeVar

import anyio

from tttlab.branches import PLACE, Branch, Place, at, check_names, opening
from tttlab.budget import Budget
from tttlab.call import Call, CallContext
from tttlab.checks import at_least
from tttlab.errors import BudgetExhausted, CallError, OptionError, nearest
from tttlab.identity import IdentityCounter, call_seed, request_digest
from tttlab.meter import Meter, metered, require_price
from tttlab.naming import name_of, parameters_of
from tttlab.progress import BranchChanged, Proposed, RunEvent, Spent, Verified
from tttlab.protocols import BranchHandle, Verifier
from tttlab.tracing import names
from tttlab.tracing.attributes import of_answer, of_evaluation, of_verdict
from tttlab.tracing.recorder import mark_error, set_known
from tttlab.types import (
    SAMPLING_OPTIONS,
    Answer,
    Capabilities,
    Channel,
    Completion,
    Problem,
    Prompt,
    Request,
    Sampling,
    Usage,
    Verdict,
    as_messages,
)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Counter:
    """The run-wide number of each delivery: what the strategy saw, in the order in which it saw it."""

    value: int = 0

    def next(self) -> int:
        """The next number, from 1."""
        self.value += 1
        return self.value


@dataclass(slots=True, kw_only=True)
class Session:
    """Implements `tttlab.protocols.Think` for one run."""

    context: CallContext
    seed: int
    root: Branch
    meter: Meter
    tell: Callable[[RunEvent], None]
    sequence: Counter
    sampling: Sampling = field(default_factory=Sampling)
    answers: list[Answer] = field(default_factory=list)
    _identities: IdentityCounter = field(default_factory=IdentityCounter)
    _delivered: list[Completion] = field(default_factory=list)
    _linked: int = 0
    _branches: list[Branch] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where the caller is running."""
        return PLACE.get(Place(self.root, self.root.span, self.meter))

    @property
    def budget(self) -> Budget:
        """What is left, in each unit that is limited."""
        return self.place.meter.remaining()

    @property
    def rng(self) -> Random:
        """The generator of the current branch."""
        return self.place.branch.rng

    @property
    def can(self) -> Capabilities:
        """What the run's model can do."""
        return self.context.model.can

    @asynccontextmanager
    async def sample(
        self,
        prompt: Prompt,
        *,
        n: int,
        order: Literal["index", "finished"] = "index",
        role: str = "generator",
        channel: Channel | None = None,
        **sampling: Any,
    ) -> AsyncIterator[AsyncIterator[Completion]]:
        """See `Think.sample`."""
        calls = self._prepare(prompt, n, role, channel, sampling)
        tasks = [asyncio.create_task(call.run(), name="tttlab-call") for call in calls]
        try:
            async with aclosing(self._delivering(calls, tasks, order)) as completions:
                yield completions
        finally:
            await _cancel(tasks)
            for call in calls:
                call.discard()

    async def complete(
        self, prompt: Prompt, *, n: int = 1, role: str = "generator", channel: Channel | None = None, **sampling: Any
    ) -> list[Completion]:
        """See `Think.complete`."""
        async with self.sample(prompt, n=n, role=role, channel=channel, **sampling) as samples:
            return [completion async for completion in samples]

    async def map(self, function: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
        """See `Think.map`."""

        async def in_branch(branch: Branch, item: Item) -> Result:
            with self._inside(branch):
                return await function(item)

        tasks = [asyncio.create_task(in_branch(self._open(None, {}), item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            await _cancel(tasks)

    async def verify(self, verifier: Verifier, problem: Problem, candidate: str) -> Verdict:
        """See `Think.verify`. The verifier is given the problem with its reference, which the strategy has not."""
        name = name_of(verifier)
        opening_attributes = {
            names.RUN_ID: self.context.run_id,
            names.VERIFIER_NAME: name,
            names.VERDICT_CANDIDATE: candidate,
            names.VERIFIER_PARAMETERS: parameters_of(verifier),
            names.BRANCH_PATH: self.place.branch.path,
        }
        whole = replace(problem, reference=self.context.problem.reference)
        with self.context.recorder.span(
            f"{names.SPAN_VERIFY} {name}", opening_attributes, parent=self.place.span
        ) as span:
            with at(replace(self.place, span=span)):
                verdict = await _ask(verifier, whole, candidate, self)
            set_known(span, {**of_verdict(verdict), names.VERDICT_SEQUENCE: self.sequence.next()})
            span.add_event(names.EVALUATION_EVENT, of_evaluation(name, verdict))
        self.tell(Verified(name, candidate, verdict))
        return verdict

    def propose(
        self,
        value: str | None,
        *,
        confidence: float | None = None,
        votes: Mapping[str, float] | None = None,
        rests_on: Iterable[Completion] | None = None,
    ) -> Answer:
        """See `Think.propose`."""
        basis = list(self._delivered if rests_on is None else rests_on)
        # Links to what was delivered since the proposal before: to all of it each time would grow with the square.
        linked = self._delivered[self._linked :] if rests_on is None else basis
        self._linked = len(self._delivered)
        answer = Answer(
            value=value,
            confidence=confidence,
            votes=dict(votes) if votes else None,
            spent=self.meter.spent,
            basis=sum((completion.usage for completion in basis), Usage(dollars=0.0)),
            seconds=self.meter.seconds,
            sequence=self.sequence.next(),
        )
        attributes = {
            names.RUN_ID: self.context.run_id,
            names.BRANCH_PATH: self.place.branch.path,
            **of_answer(answer, self.context.problem),
        }
        links = [completion.span_id for completion in linked if completion.span_id]
        self.context.recorder.start(names.SPAN_PROPOSE, attributes, parent=self.place.span, links=links).end()
        self.answers.append(answer)
        self.tell(Proposed(answer))
        return answer

    @contextmanager
    def branch(self, parent: BranchHandle | None = None, **attributes: str | float | bool) -> Iterator[BranchHandle]:
        """See `Think.branch`."""
        branch = self._open(parent, attributes)
        with self._inside(branch):
            yield branch

    @contextmanager
    def limit(self, budget: Budget) -> Iterator[Meter]:
        """See `Think.limit`. The meter that is given says afterwards, in `exhausted`, which unit ran out, if any."""
        require_price(budget, self.context.model.name, priced=self.context.price is not None)
        place = self.place
        attributes = {names.RUN_ID: self.context.run_id, names.LIMIT_BUDGET: asdict(budget)}
        with self.context.recorder.span(names.SPAN_LIMIT, attributes, parent=place.span) as span:
            try:
                with metered(budget, place.meter) as meter, at(Place(place.branch, span, meter)):
                    yield meter
            finally:
                set_known(span, {names.LIMIT_EXHAUSTED: meter.exhausted})

    def settle(self) -> None:
        """The run has ended: close what was kept open for late marks."""
        for branch in self._branches:
            branch.settle()

    def _prepare(
        self, prompt: Prompt, n: int, role: str, channel: Channel | None, options: Mapping[str, Any]
    ) -> list[Call]:
        at_least(1, n=n)
        sampling = with_options(self.sampling, options)
        place, messages = self.place, as_messages(prompt)
        digest = request_digest(self.context.model.name, messages, sampling)
        return [
            Call(
                self.context,
                identity=identity,
                role=role,
                channel=channel,
                meter=place.meter,
                parent=place.span,
                request=Request(messages=messages, sampling=sampling, seed=call_seed(self.seed, identity)),
            )
            for identity in self._identities.take(digest, place.branch.path, n)
        ]

    async def _delivering(
        self, calls: Sequence[Call], tasks: Sequence[asyncio.Task[Completion]], order: Literal["index", "finished"]
    ) -> AsyncGenerator[Completion]:
        failures: list[CallError] = []
        async for index in _in_order(tasks, order):
            try:
                completion = tasks[index].result()
            except CallError as error:
                failures.append(error)
                continue
            calls[index].deliver(self.sequence.next())
            self._delivered.append(completion)
            self.tell(Spent(self.meter.spent, self.meter.seconds))
            yield completion
        if failures and len(failures) == len(tasks):
            raise failures[0]

    def _open(self, parent: BranchHandle | None, attributes: Mapping[str, Any]) -> Branch:
        check_names(attributes)
        above = self.place.branch if parent is None else parent
        if not isinstance(above, Branch):
            raise OptionError(f"{above!r} is not a branch of this run: pass what `think.branch()` gave")
        index, path = above.next_child()
        branch = Branch(path, None, self.seed, above)
        branch.span = self.context.recorder.start(
            f"{names.SPAN_BRANCH} {path}", opening(self.context.run_id, branch, index, attributes), parent=above.span
        )
        branch.attributes.update(attributes)
        self._branches.append(branch)
        self.tell(BranchChanged(path, above.path, dict(attributes)))
        return branch

    @contextmanager
    def _inside(self, branch: Branch) -> Iterator[Branch]:
        try:
            with at(Place(branch, branch.span, self.place.meter)):
                yield branch
        except BaseException as error:
            mark_error(branch.span, error)
            raise
        finally:
            branch.leave()
            self.tell(BranchChanged(branch.path, branch.parent.path if branch.parent else None, branch.attributes))


async def _ask(verifier: Verifier, problem: Problem, candidate: str, think: Any) -> Verdict:
    try:
        return await verifier(problem, candidate, think)
    except BudgetExhausted:
        raise
    except Exception as error:  # noqa: BLE001 - a verifier may raise anything: its verdict says so
        return Verdict(score=None, passed=None, error=f"{type(error).__name__}: {error}")


async def _in_order(tasks: Sequence[asyncio.Task[Any]], order: Literal["index", "finished"]) -> AsyncIterator[int]:
    if order == "index":
        for index, task in enumerate(tasks):
            await asyncio.wait([task])
            yield index
        return
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for index, task in enumerate(tasks):
            if task in done:
                yield index


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        with anyio.CancelScope(shield=True):
            await asyncio.wait(running)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def with_options(sampling: Sampling, options: Mapping[str, Any]) -> Sampling:
    """The sampling with these options set. Raises `OptionError` for one that there is not."""
    for name in options:
        if name not in SAMPLING_OPTIONS:
            raise OptionError(f"sampling has no option {name!r}{nearest(name, SAMPLING_OPTIONS)}")
    return replace(sampling, **options)
