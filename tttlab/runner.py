"""Running a strategy on a problem: from names to a session, from a session to a `Run`."""

from __future__ import annotations

import asyncio
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tttlab.abilities import require_abilities
from tttlab.answers import Extractor, find_extractor, same_answer
from tttlab.branches import PLACE, Branch, Place, at
from tttlab.budget import Budget
from tttlab.call import CallContext
from tttlab.errors import OptionError, RunFailed, TttlabError
from tttlab.meter import Meter, metered, require_price
from tttlab.models import resolve_model
from tttlab.naming import name_of, parameters_of
from tttlab.options import resolve, resolve_flag, store_folder
from tttlab.progress import Observer, RunEnded, RunEvent, RunStarted
from tttlab.protocols import Model, Strategy, price_of
from tttlab.provenance import environment
from tttlab.recording import recorder_for
from tttlab.run import Run, Status
from tttlab.session import Counter, Session, propose_returned
from tttlab.strategies import resolve_strategy
from tttlab.tracing import names
from tttlab.tracing.attributes import known, of_problem, of_usage
from tttlab.tracing.recorder import Recorder, mark_error, set_known
from tttlab.types import Answer, Price, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run is to be, resolved and checked, before anything is spent."""

    problem: Problem
    strategy: Strategy
    model: Model
    budget: Budget
    seed: int
    store: Path
    sources: Mapping[str, Mapping[str, str]]
    allow_code: bool = False

    @property
    def price(self) -> Price | None:
        """The model's price, where one is known."""
        return price_of(self.model)


def plan(
    prompt: str | Problem,
    *,
    strategy: str | Strategy | None = None,
    model: str | Model | None = None,
    budget: str | Budget | None = None,
    seed: int = 0,
    reference: str | None = None,
    extract: str | Extractor | None = None,
    allow_code: bool | str | None = None,
    **parameters: Any,
) -> Plan:
    """Resolve and check what `think` was given. Raises `OptionError`, or `ModelError` where a model cannot be had."""
    problem = prompt if isinstance(prompt, Problem) else Problem(prompt=prompt)
    if not problem.prompt.strip():
        raise OptionError("there is nothing to think about: the prompt is empty")
    if reference is not None:
        problem = replace(problem, reference=reference)
    if not isinstance(extract, str | Extractor | None):
        raise OptionError(f"extract={extract!r} is no rule: give an extractor's name, such as last_number")
    if extract is not None:
        problem = replace(problem, extractor=extract if isinstance(extract, Extractor) else find_extractor(extract))
    strategy_option = resolve("strategy", strategy if isinstance(strategy, str) else None)
    model_option = resolve("model", model if isinstance(model, str) else None)
    code_option = resolve_flag("allow_code", allow_code)
    chosen = resolve_strategy(strategy if strategy is not None else strategy_option.value, parameters)
    limits = Budget.of(budget)
    found = resolve_model(model if model is not None else model_option.value)
    planned = Plan(
        problem=problem,
        strategy=chosen,
        model=found,
        budget=limits,
        seed=seed,
        store=store_folder(),
        sources={
            "strategy": {
                "value": name_of(chosen),
                "source": "given" if strategy is not None else strategy_option.source,
            },
            "model": {"value": found.name, "source": "given" if model is not None else model_option.source},
            "traces": {"value": str(store_folder().parent), "source": resolve("traces").source},
            "allow_code": {"value": code_option.value, "source": code_option.source},
        },
        allow_code=code_option.value == "true",
    )
    require_price(limits, found.name, priced=planned.price is not None)
    require_abilities(chosen, found, allow_code=planned.allow_code)
    return planned


async def athink(prompt: str | Problem, *, observer: Observer | None = None, **options: Any) -> Run:
    """Run a strategy on a prompt or a problem and return the `Run`; everything it does is recorded in the store.

    Options: `strategy` (a name, an object, or a coroutine function), `model`, `budget` (`"2000 tokens"`), `seed`,
    `reference`, `extract` (an extractor's name), `allow_code` (whether programs that the model writes may be run),
    and the strategy's own parameters by name.

    Raises `OptionError` before anything is spent; `RunFailed` where the run ended with an error.
    """
    return await Runner(plan(prompt, **options), observer).run()


class Runner:
    """One run, from its first span to its last."""

    def __init__(self, planned: Plan, observer: Observer | None = None) -> None:
        self.plan = planned
        self.run_id = new_run_id()
        self._observer = observer
        self._meter: Meter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the run with status `stopped` and its best answer so far. From any thread, at any time."""
        self._stopped = True
        loop, meter = self._loop, self._meter
        if loop and meter:
            try:
                loop.call_soon_threadsafe(meter.cancel)
            except RuntimeError:  # The loop is closed: the run has ended.
                return

    async def run(self) -> Run:
        """Run it. Whatever happens, the run is recorded and told to the observer.

        Raises `RunFailed`; a cancellation from outside passes through after the run was kept as `stopped`.
        """
        planned = self.plan
        recorder = recorder_for(planned.store)
        self._loop = asyncio.get_running_loop()
        root = recorder.start(f"{names.OPERATION_RUN} {name_of(planned.strategy)}", self._opening())
        cause: BaseException | None = None
        try:
            with metered(planned.budget) as meter:
                self._meter = meter
                session = self._session(recorder, root, meter)
                self._tell(self._started(meter))
                if self._stopped:
                    meter.cancel()
                await self._think(session, root)
        except asyncio.CancelledError as cancelled:  # From outside: what this run cancels itself ends at its meter.
            self._stopped, cause = True, cancelled
        except BaseException as error:  # noqa: BLE001 - a strategy may raise anything, and the run is kept all the same
            cause = error
        session.settle()
        run = self._close(session, root, cause)
        if isinstance(cause, asyncio.CancelledError):
            raise cause
        if run.status == "failed":
            raise RunFailed(f"{run.strategy} failed: {run.error}", run) from cause
        return run

    def _started(self, meter: Meter) -> RunStarted:
        planned = self.plan
        strategy, model, prompt = name_of(planned.strategy), planned.model.name, planned.problem.prompt
        return RunStarted(self.run_id, strategy, model, prompt, str(planned.budget), self.stop, meter)

    async def _think(self, session: Session, root: Any) -> None:
        # A strategy does not see the reference: only verifiers do.
        blind = replace(self.plan.problem, reference=None)
        with at(Place(session.root, root, session.meter, session.scope)):
            propose_returned(session, await self.plan.strategy(blind, session))

    def _status(self, meter: Meter, cause: BaseException | None) -> Status:
        if self._stopped:
            return "stopped"
        if cause is not None:
            return "failed"
        return "budget" if meter.exhausted else "ok"

    def _session(self, recorder: Recorder, root: Any, meter: Meter) -> Session:
        planned, sequence = self.plan, Counter()
        context = CallContext(
            run_id=self.run_id,
            model=planned.model,
            price=planned.price,
            problem=planned.problem,
            recorder=recorder,
            next_sequence=sequence.next,
            tell=self._tell,
            stopped_by=self._stopped_by,
        )
        return Session(
            context=context,
            seed=planned.seed,
            root=Branch("", root, planned.seed),
            meter=meter,
            tell=self._tell,
            sequence=sequence,
            allow_code=planned.allow_code,
        )

    def _stopped_by(self) -> str:
        if self._stopped:
            return "user"
        return "budget" if PLACE.get().meter.stopping else "strategy"

    def _opening(self) -> dict[str, Any]:
        planned = self.plan
        describe: Callable[[], Mapping[str, Any]] | None = getattr(planned.model, "describe", None)
        limits = known(asdict(planned.budget))
        return {
            names.OPERATION: names.OPERATION_RUN,
            names.WORKFLOW_NAME: name_of(planned.strategy),
            names.RUN_ID: self.run_id,
            names.RUN_SEED: planned.seed,
            names.RUN_BUDGET: limits or None,
            names.RUN_OPTIONS: {key: dict(value) for key, value in planned.sources.items()},
            names.RUN_ENVIRONMENT: environment(Path.cwd()),
            names.STRATEGY_NAME: name_of(planned.strategy),
            names.STRATEGY_PARAMETERS: parameters_of(planned.strategy),
            names.MODEL_NAME: planned.model.name,
            names.MODEL_IDENTITY: dict(describe()) if describe else None,
            **of_problem(planned.problem),
        }

    def _close(self, session: Session, root: Any, cause: BaseException | None) -> Run:
        planned, curve, status = self.plan, tuple(session.scope.answers), self._status(session.meter, cause)
        last = curve[-1] if curve else Answer(value=None)
        spent = session.meter.spent
        error = None if cause is None or status != "failed" else _said(cause)
        run = Run(
            id=self.run_id,
            status=status,
            problem=planned.problem,
            strategy=name_of(planned.strategy),
            parameters=parameters_of(planned.strategy),
            model=planned.model.name,
            seed=planned.seed,
            budget=planned.budget,
            curve=curve,
            usage=spent,
            seconds=session.meter.seconds,
            error=error,
            store=planned.store,
            correct=same_answer(last.value, planned.problem.reference),
        )
        set_known(
            root,
            {
                names.RUN_STATUS: status,
                names.RUN_ERROR: error,
                names.ANSWER_VALUE: last.value,
                names.ANSWER_CONFIDENCE: last.confidence,
                names.ANSWER_CORRECT: run.correct,
                **of_usage(spent),
            },
        )
        if cause is not None and status == "failed":
            mark_error(root, cause)
        root.end()
        self._tell(RunEnded(run))
        return run

    def _tell(self, event: RunEvent) -> None:
        if self._observer is None:
            return
        try:
            self._observer(event)
        except Exception as error:  # noqa: BLE001 - an observer may raise anything
            self._observer = None
            warnings.warn(f"the run goes on unwatched: its observer failed with {_said(error)}", stacklevel=2)


def new_run_id() -> str:
    """A new run's id: its start in UTC to the second, which sorts, and six random characters."""
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    tail = "".join(secrets.choice(alphabet) for _ in range(6))
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{tail}"


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, TttlabError) else f"{type(error).__name__}: {error}"
