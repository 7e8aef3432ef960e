"""The session: the `think` handle of one run. It traces, charges, runs at once and cancels what a strategy does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from inspect import isawaitable
from random import Random
from typing import Any, Literal, TypeVar

import anyio

from tttlab.abilities import require_abilities, require_leave
from tttlab.branches import PLACE, Branch, Place, Scope, at, check_names, opening
from tttlab.budget import Budget
from tttlab.call import Call, CallContext
from tttlab.checks import at_least
from tttlab.concurrency import cancel_all, has_result, in_order
from tttlab.errors import BudgetExhausted, CallError, OptionError, nearest
from tttlab.execution import run_traced
from tttlab.identity import IdentityCounter, call_seed, request_digest
from tttlab.meter import Meter, metered, require_price
from tttlab.models import resolve_model
from tttlab.naming import name_of, parameters_of
from tttlab.progress import BranchChanged, Proposed, RunEvent, Spent, Verified
from tttlab.protocols import BranchHandle, Model, Strategy, Verifier, price_of
from tttlab.tracing import names
from tttlab.tracing.attributes import of_answer, of_evaluation, of_verdict
from tttlab.tracing.recorder import mark_error, set_known
from tttlab.types import (
    SAMPLING_OPTIONS,
    Answer,
    Capabilities,
    Channel,
    CodeLimits,
    Completion,
    Problem,
    Prompt,
    Ran,
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
    scope: Scope = field(default_factory=Scope)
    allow_code: bool = False
    _identities: IdentityCounter = field(default_factory=IdentityCounter)
    _branches: list[Branch] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where the caller is running."""
        return PLACE.get(Place(self.root, self.root.span, self.meter, self.scope))

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

    @property
    def delivered(self) -> tuple[Completion, ...]:
        """What the strategy was given so far."""
        return tuple(self.place.scope.delivered)

    @asynccontextmanager
    async def sample(
        self,
        prompt: Prompt,
        *,
        n: int,
        order: Literal["index", "finished"] = "index",
        role: str = "generator",
        channel: Channel | None = None,
        model: Model | str | None = None,
        **sampling: Any,
    ) -> AsyncIterator[AsyncIterator[Completion]]:
        """See `Think.sample`."""
        calls = self._prepare(prompt, n, role, channel, sampling, await self._context_of(model))
        tasks = [asyncio.create_task(call.run(), name="tttlab-call") for call in calls]
        try:
            async with aclosing(self._delivering(calls, tasks, order)) as completions:
                yield completions
        finally:
            await cancel_all(tasks)
            for call in calls:
                call.discard()

    async def complete(self, prompt: Prompt, *, n: int = 1, **options: Any) -> list[Completion]:
        """See `Think.complete`."""
        async with self.sample(prompt, n=n, **options) as samples:
            return [completion async for completion in samples]

    async def solve(
        self,
        strategy: Strategy,
        problem: Problem | None = None,
        *,
        budget: Budget | None = None,
        **attributes: str | float | bool,
    ) -> Answer:
        """See `Think.solve`."""
        require_abilities(strategy, self.context.model, allow_code=self.allow_code)
        asked = replace(problem or self.context.problem, reference=None)
        branch = self._open(None, {"strategy": name_of(strategy), **attributes})
        scope = Scope(self.place.scope)
        with (
            self._inside(branch),
            at(replace(self.place, scope=scope)),
            self.limit(budget) if budget else nullcontext(),
        ):
            propose_returned(self, await strategy(asked, self))
        return scope.answers[-1] if scope.answers else Answer(value=None)

    async def map(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item],
        *,
        branches: Iterable[BranchHandle] | None = None,
    ) -> list[Result]:
        """See `Think.map`."""

        async def in_branch(branch: Branch, item: Item) -> Result:
            with self._inside(branch):
                return await function(item)

        listed = list(items)
        places = [self._open(None, {}) for _ in listed] if branches is None else [_own(each) for each in branches]
        tasks = [asyncio.create_task(in_branch(*pair)) for pair in zip(places, listed, strict=True)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            await cancel_all(tasks)

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

    async def run_code(self, code: str, *, stdin: str = "", limits: CodeLimits | None = None) -> Ran:
        """See `Think.run_code`."""
        require_leave("the strategy", allow_code=self.allow_code)
        place, limits = self.place, limits or CodeLimits()
        return await run_traced(self.context, place, code, stdin, limits)

    def propose(
        self,
        value: str | None,
        *,
        confidence: float | None = None,
        votes: Mapping[str, float] | None = None,
        rests_on: Iterable[Completion] | None = None,
    ) -> Answer:
        """See `Think.propose`."""
        scope = self.place.scope
        basis = list(scope.delivered if rests_on is None else rests_on)
        linked = scope.new() if rests_on is None else basis
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
            names.ANSWER_NESTED: True if scope.parent else None,
            **of_answer(answer, self.context.problem),
        }
        links = [completion.span_id for completion in linked if completion.span_id]
        self.context.recorder.start(names.SPAN_PROPOSE, attributes, parent=self.place.span, links=links).end()
        scope.answers.append(answer)
        if scope.parent is None:
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
                with metered(budget, place.meter) as meter, at(replace(place, span=span, meter=meter)):
                    yield meter
            finally:
                set_known(span, {names.LIMIT_EXHAUSTED: meter.exhausted})

    def settle(self) -> None:
        """The run has ended: close what was kept open for late marks."""
        for branch in self._branches:
            branch.settle()

    def _prepare(
        self,
        prompt: Prompt,
        n: int,
        role: str,
        channel: Channel | None,
        options: Mapping[str, Any],
        context: CallContext,
    ) -> list[Call]:
        at_least(1, n=n)
        sampling = with_options(self.sampling, options)
        place, messages = self.place, as_messages(prompt)
        digest = request_digest(context.model.name, messages, sampling)
        return [
            Call(
                context,
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
        left = dict(enumerate(tasks))
        try:
            async for index in in_order(tasks, order):
                try:
                    completion = left.pop(index).result()
                except CallError as error:
                    failures.append(error)
                    continue
                yield self._deliver(calls[index], completion)
        except asyncio.CancelledError:
            # A run that is cut is still given what has finished: it was paid for, and may change the best answer.
            for index in [index for index, task in left.items() if has_result(task)]:
                yield self._deliver(calls[index], left[index].result())
            raise
        if failures and len(failures) == len(tasks):
            raise failures[0]

    def _deliver(self, call: Call, completion: Completion) -> Completion:
        call.deliver(self.sequence.next())
        self.place.scope.deliver(completion)
        self.tell(Spent(self.meter.spent, self.meter.seconds))
        return completion

    async def _context_of(self, model: Model | str | None) -> CallContext:
        """The context of calls to another model than the run's, which is loaded off the loop where it is named."""
        if model is None:
            return self.context
        found = await anyio.to_thread.run_sync(resolve_model, model) if isinstance(model, str) else model
        context = replace(self.context, model=found, price=price_of(found))
        require_price(self.budget, found.name, priced=context.price is not None)
        return context

    def _open(self, parent: BranchHandle | None, attributes: Mapping[str, Any]) -> Branch:
        check_names(attributes)
        above = self.place.branch if parent is None else _own(parent)
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
            with at(replace(self.place, branch=branch, span=branch.span)):
                yield branch
        except BaseException as error:
            mark_error(branch.span, error)
            raise
        finally:
            branch.leave()
            self.tell(BranchChanged(branch.path, branch.parent.path if branch.parent else None, branch.attributes))


def propose_returned(think: Session, answer: Answer | None) -> None:
    """Propose what a strategy returned, unless it is what it proposed last."""
    answers = think.place.scope.answers
    if answer is not None and (not answers or answer != answers[-1]):
        think.propose(answer.value, confidence=answer.confidence, votes=answer.votes)


def _own(handle: BranchHandle) -> Branch:
    if not isinstance(handle, Branch):
        raise OptionError(f"{handle!r} is not a branch of this run: pass what `think.branch()` gave")
    return handle


async def _ask(verifier: Verifier, problem: Problem, candidate: str, think: Any) -> Verdict:
    try:
        given: Any = verifier(problem, candidate, think)
        verdict = await given if isawaitable(given) else given
    except BudgetExhausted:
        raise
    except Exception as error:  # noqa: BLE001 - a verifier may raise anything: its verdict says so
        return Verdict(score=None, error=f"{type(error).__name__}: {error}")
    if isinstance(verdict, Verdict):
        return verdict
    return Verdict(score=None, error=f"the verifier gave no Verdict, but {verdict!r:.80}")


def with_options(sampling: Sampling, options: Mapping[str, Any]) -> Sampling:
    """The sampling with these options set. Raises `OptionError` for one that there is not."""
    for name in options:
        if name not in SAMPLING_OPTIONS:
            raise OptionError(f"sampling has no option {name!r}{nearest(name, SAMPLING_OPTIONS)}")
    return replace(sampling, **options)
