"""The four shapes that tttlab is made of. A class that fits one needs no base class and no registration call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import asdict
from random import Random
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from tttlab.budget import Budget
from tttlab.events import Delta, StreamEvent
from tttlab.types import (
    Answer,
    Capabilities,
    Channel,
    CodeLimits,
    Completion,
    Price,
    Problem,
    Prompt,
    Ran,
    Request,
    Verdict,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

Watch = Callable[[Delta], bool]
"""Asked about each token or chunk of one sample as it comes: whether the sample is to end there."""


@runtime_checkable
class Model(Protocol):
    """A source of completions. `stream` yields events until a `Finish`; closing the iterator cancels the call.

    A model may also have `price: Price | None`, `provider: str` (the `gen_ai.provider.name`), `parameters: int | None`
    (how many weights it has), `check(prompt)` (raises `OptionError` for a prompt that it cannot read),
    `reports_dollars: bool` (its host says what each call costs), and `describe() -> Mapping[str, str | int]` (what
    identifies its weights, recorded with each run).
    """

    @property
    def name(self) -> str:
        """The model's full name, such as `local:smollm2`."""
        ...

    @property
    def can(self) -> Capabilities:
        """What the model can do."""
        ...

    def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Run one call. Raises `CallError` where the call fails."""
        ...


class BranchHandle(Protocol):
    """An open branch. Prune, score or select it with `mark`."""

    @property
    def path(self) -> str:
        """The branch's place in the tree: `""` is the root, `"0.2"` the third child of its first child."""
        ...

    def mark(self, **attributes: str | float | bool) -> None:
        """Record facts about the branch: `state="pruned"`, `score=0.3`, `reason="..."`."""
        ...


class Think(Protocol):
    """All that a strategy may do to the world. Whatever passes through it is traced, charged and cancellable."""

    @property
    def budget(self) -> Budget:
        """What is left, in each unit that is limited."""
        ...

    @property
    def rng(self) -> Random:
        """A generator seeded from the run's seed and the current branch."""
        ...

    @property
    def can(self) -> Capabilities:
        """What the model that is asked here can do: the run's, or that of `solve`."""
        ...

    @property
    def delivered(self) -> tuple[Completion, ...]:
        """The completions that the strategy was given so far, first to last."""
        ...

    def sample(
        self,
        prompt: Prompt,
        *,
        n: int,
        order: Literal["index", "finished"] = "index",
        role: str = "generator",
        channel: Channel | None = None,
        model: Model | str | None = None,
        stop_when: Callable[[], Watch] | None = None,
        **sampling: Any,
    ) -> AbstractAsyncContextManager[AsyncIterator[Completion]]:
        """Start `n` independent completions at once and iterate over them; leaving the context cancels the rest.

        They come in index order, whatever finishes first, unless `order="finished"`: use that only where the rule
        provably ignores order, since short completions finish first. A failed call among them is skipped (its span
        keeps the error); if all fail, the first error is raised at the end. `channel="thinking"` declares the whole
        text to be thinking, for models without a thinking channel of their own. `model` asks another model than the
        run's, by name or as an object; the same budgets are charged.

        `stop_when()` makes a watch for each sample. It is asked about every token (or chunk, where the host gives
        those) as it comes, and where it says True that sample ends early: its generation is cancelled, the others go
        on, and what it has said is given in its turn, with the finish reason `cancelled`. It may keep count of what it
        was shown, and of nothing else: a replay shows it the same again.
        """
        ...

    async def complete(self, prompt: Prompt, *, n: int = 1, **options: Any) -> list[Completion]:
        """All `n` completions of a prompt, in index order; the options are those of `sample`."""
        ...

    async def solve(
        self,
        strategy: Strategy,
        problem: Problem | None = None,
        *,
        budget: Budget | None = None,
        model: Model | str | None = None,
        **attributes: str | float | bool,
    ) -> Answer:
        """Run another strategy inside this one, in a branch of its own: `best_of_n` over `self_refine`, say.

        Its proposals are recorded and are not the run's: returned is the last of them, the best so far where `budget`
        ended it, with a value of None if there was none. The run's own problem is asked unless another is given. With
        `model`, all that is asked inside is asked of that model, as if it were the run's.
        """
        ...

    async def map(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item],
        *,
        branches: Iterable[BranchHandle] | None = None,
    ) -> list[Result]:
        """Run `function` over `items` at once, each in a branch of its own; results in the order of `items`.

        Each gets a new branch, or the one given for it in `branches`, whose block may have ended: so the nodes of a
        tree are expanded and judged at once, each in its own place.
        """
        ...

    async def verify(self, verifier: Verifier, problem: Problem, candidate: str) -> Verdict:
        """Ask a verifier. One that raises gives a verdict with an `error`; the run goes on."""
        ...

    async def run_code(self, code: str, *, stdin: str = "", limits: CodeLimits | None = None) -> Ran:
        """Run a Python program in the sandbox; its end is told, never raised, and its time is the run's.

        Raises `OptionError` where the user has not allowed it. A class that calls this says so: `needs = ("code",)`.
        """
        ...

    def propose(
        self,
        value: str | None,
        *,
        confidence: float | None = None,
        votes: Mapping[str, float] | None = None,
        rests_on: Iterable[Completion] | None = None,
    ) -> Answer:
        """Say what the answer would be if the run had to stop now: one more point on its curve.

        `rests_on` names the completions behind it; all that were delivered so far unless given.
        """
        ...

    def branch(
        self, parent: BranchHandle | None = None, **attributes: str | float | bool
    ) -> AbstractContextManager[BranchHandle]:
        """Open a branch below `parent` (the current one unless given); calls made inside belong to it.

        The handle may be marked after the block has ended, until the run ends: pruning is decided later.
        """
        ...

    def limit(self, budget: Budget) -> AbstractContextManager[Any]:
        """Hold what happens inside to a budget of its own; when it is spent, the block ends and the run goes on."""
        ...


def price_of(model: Model) -> Price | None:
    """The model's price, where one is known."""
    price = getattr(model, "price", None)
    return price if isinstance(price, Price) else None


def reports_dollars(model: Model) -> bool:
    """Whether the model's host says what each call costs."""
    return getattr(model, "reports_dollars", False) is True


def recorded_facts(model: Model) -> dict[str, Any]:
    """What is recorded of a model, so that it can be stood in for when its calls are replayed."""
    describe: Callable[[], Mapping[str, str | int]] | None = getattr(model, "describe", None)
    return {
        "can": asdict(model.can),
        "provider": getattr(model, "provider", "tttlab"),
        "parameters": getattr(model, "parameters", None),
        "identity": dict(describe()) if describe else None,
        "price": asdict(price) if (price := price_of(model)) else None,
        "reports_dollars": reports_dollars(model),
    }


def digest_of(model: Model) -> str | None:
    """The digest of the model's weights, where it says one: what it gave before is then what it would give again."""
    describe: Callable[[], Mapping[str, str | int]] | None = getattr(model, "describe", None)
    digest = describe().get("digest") if describe else None
    return digest if isinstance(digest, str) else None


@runtime_checkable
class Strategy(Protocol):
    """A way of spending compute: a frozen dataclass of its parameters with one coroutine, or a plain function.

    One that needs a model to be able to do something names it in a class attribute `needs`: `("logprobs",)`, or
    `("prefix|thinking",)` where either will do. So does one that needs the user's leave to run programs: `("code",)`.
    """

    async def __call__(self, problem: Problem, think: Think) -> Answer | None:
        """Solve the problem; call `think.propose` whenever the answer would change."""
        ...


@runtime_checkable
class Verifier(Protocol):
    """A check of a candidate answer. It sees the problem's reference; a strategy does not."""

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        """Judge the candidate."""
        ...
