"""The session: the `think` handle of one run. It traces, charges, runs at once and cancels what a strategy does.

What a strategy asks for is done in a module of its own where it is a thing of its own: `sampling`, `verification`,
`execution`. What binds them is the place: where in the run the caller is running.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, TypeVar

import anyio

from tttlab.abilities import require_abilities, require_leave, require_price, require_thinking
from tttlab.branches import PLACE, Branch, Place, Scope, at, check_names, opening
from tttlab.budget import Budget
from tttlab.call import Call, CallContext
from tttlab.concurrency import cancel_all
from tttlab.errors import OptionError
from tttlab.execution import run_traced
from tttlab.identity import IdentityCounter
from tttlab.meter import Meter, metered
from tttlab.models import resolve_model
from tttlab.naming import name_of
from tttlab.order import Counter
from tttlab.progress import BranchChanged, Proposed, RunEvent, Spent, Verified
from tttlab.protocols import BranchHandle, Model, Strategy, Verifier, Watch, digest_of, price_of, recorded_facts
from tttlab.sampling import Draw, Order, calls_of, running, with_options
from tttlab.tracing import names
from tttlab.tracing.attributes import of_answer
from tttlab.tracing.recorder import mark_error, set_known
from tttlab.types import (
    Answer,
    Capabilities,
    Channel,
    CodeLimits,
    Completion,
    Problem,
    Prompt,
    Ran,
    Sampling,
    Usage,
    Verdict,
)
from tttlab.verification import verify_traced

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    def asked(self) -> CallContext:
        """The context of the caller's calls: the run's, or that of the model that `solve` was given."""
        return self.place.context or self.context

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
        """What the model that is asked here can do."""
        return self.asked.model.can

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
        order: Order = "index",
        role: str = "generator",
        channel: Channel | None = None,
        model: Model | str | None = None,
        stop_when: Callable[[], Watch] | None = None,
        **sampling: Any,
    ) -> AsyncIterator[AsyncIterator[Completion]]:
        """See `Think.sample`."""
        context = await self._context_of(model)
        # What the run says of thinking is said to its own model: another may know neither.
        told = self.sampling if context.model is self.context.model else Sampling()
        drawn = with_options(told, sampling)
        require_thinking(drawn, context.model)
        draw = Draw(prompt=prompt, n=n, sampling=drawn, role=role, channel=channel, stop_when=stop_when)
        calls = calls_of(draw, context, self.place, self.seed, self._identities)
        async with running(calls, order, self._give) as completions:
            yield completions

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
        model: Model | str | None = None,
        **attributes: str | float | bool,
    ) -> Answer:
        """See `Think.solve`."""
        context = await self._context_of(model)
        require_abilities(strategy, context.model, allow_code=self.allow_code)
        blind = (problem or self.context.problem).blind
        named = {} if model is None else {"model": context.model.name}
        branch = self._open(None, {"strategy": name_of(strategy), **named, **attributes})
        scope = Scope(self.place.scope)
        with (
            self._inside(branch),
            at(replace(self.place, scope=scope, context=context)),
            self.limit(budget) if budget else nullcontext(),
        ):
            propose_returned(self, await strategy(blind, self))
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
        """See `Think.verify`."""
        verdict = await verify_traced(self.context, self.place, verifier, problem, candidate, self)
        self.tell(Verified(name_of(verifier), candidate, verdict))
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
        linked = scope.new() if rests_on is None else list(rests_on)
        answer = Answer(
            value=value,
            confidence=confidence,
            votes=dict(votes) if votes else None,
            spent=self.meter.spent,
            basis=scope.usage if rests_on is None else sum((each.usage for each in linked), Usage()),
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
        scope.proposed_in.append(self.place.branch.path)
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
        require_price(budget, self.asked.model)
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

    def _give(self, call: Call, completion: Completion) -> None:
        call.deliver(self.sequence.next())
        self.place.scope.deliver(completion)
        self.tell(Spent(self.meter.spent, self.meter.seconds))

    async def _context_of(self, model: Model | str | None) -> CallContext:
        """The context of calls to another model than the one asked here, loaded off the loop where it is named."""
        if model is None:
            return self.asked
        found = await self._found(model) if isinstance(model, str) else model
        context = replace(
            self.context,
            model=found,
            price=price_of(found),
            model_digest=digest_of(found),
            model_facts=recorded_facts(found),
            reusable=isinstance(model, str) or digest_of(found) is not None or self._only_replays,
        )
        require_price(self.budget, found)
        return context

    @property
    def _only_replays(self) -> bool:
        return self.context.replay is not None and self.context.replay.mode == "only"

    async def _found(self, model: str) -> Model:
        replay = self.context.replay
        known = replay.stand_in(model, partial(resolve_model, model)) if replay else None
        return await anyio.to_thread.run_sync(resolve_model, model) if known is None else known

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


def propose_returned(think: Session, answer: Any) -> None:
    """Propose what a strategy returned, unless it is what it proposed last."""
    if answer is not None and not isinstance(answer, Answer):
        hint = "`complete` gives a list of completions; " if isinstance(answer, list) else ""
        raise OptionError(
            f"the strategy returned a {type(answer).__name__}, which is no answer: {hint}"
            "return think.propose(problem.extract(completion.text)), or propose and return nothing"
        )
    answers = think.place.scope.answers
    if answer is not None and (not answers or answer != answers[-1]):
        think.propose(answer.value, confidence=answer.confidence, votes=answer.votes)


def _own(handle: BranchHandle) -> Branch:
    if not isinstance(handle, Branch):
        raise OptionError(f"{handle!r} is not a branch of this run: pass what `think.branch()` gave")
    return handle
