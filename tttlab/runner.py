"""Running a strategy on a problem: from names to a session, from a session to a `Run`."""

from __future__ import annotations

import asyncio
import secrets
import warnings
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tttlab.branches import PLACE, Branch, Place, at
from tttlab.call import CallContext
from tttlab.clock import RunClock
from tttlab.errors import BudgetExhausted, MissingCall, ReplayDiffers, RunFailed, TttlabError
from tttlab.masking import masked
from tttlab.meter import Meter, metered
from tttlab.naming import name_of, parameters_of
from tttlab.order import Counter
from tttlab.plan import Plan
from tttlab.progress import CallEnded, Observer, RunEnded, RunEvent, RunStarted
from tttlab.protocols import digest_of, recorded_facts
from tttlab.provenance import environment
from tttlab.recording import recorder_for
from tttlab.run import Run, Status
from tttlab.session import Session, propose_returned
from tttlab.tracing import names
from tttlab.tracing.attributes import known, of_problem, of_usage
from tttlab.tracing.recorder import Recorder, mark_error, set_known
from tttlab.types import Answer


class Runner:
    """One run, from its first span to its last.

    `within` is a budget that it shares with other runs: each charge goes there too, and the run ends with status
    `budget` when that one is spent.
    """

    def __init__(self, planned: Plan, observer: Observer | None = None, *, within: Meter | None = None) -> None:
        self.plan = planned
        self.run_id = new_run_id()
        self.span: Any = None
        """The run's root span, from its start on."""
        self._within = within
        self._observer = observer
        self._meter: Meter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._replay = planned.replaying()
        self._difference: str | None = None
        self._notes: dict[str, None] = {}

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
        recorder = recorder_for(self.plan.store)
        self._loop = asyncio.get_running_loop()
        run, cause = await self._attempt(recorder)
        if self._differs(cause):
            # Once more, with those calls alone that came to their own end: nothing of this one was seen or spent.
            if self._meter:
                self._meter.give_back()
            self._replay = self.plan.replaying(whole_only=True)
            run, cause = await self._attempt(recorder)
        self._tell(RunEnded(run))
        if isinstance(cause, asyncio.CancelledError):
            raise cause
        if run.status == "failed":
            raise RunFailed(f"{run.strategy} failed: {run.error}", run) from cause
        return run

    async def _attempt(self, recorder: Recorder) -> tuple[Run, BaseException | None]:
        planned = self.plan
        self._hold(recorder)
        root = self.span = recorder.start(f"{names.OPERATION_RUN} {name_of(planned.strategy)}", self._opening())
        cause: BaseException | None = None
        self._notes = dict.fromkeys(self.plan.notes)
        try:
            clock = self._replay.clock if self._replay else RunClock()
            with metered(planned.budget, self._within, clock) as meter:
                self._meter = meter
                session = self._session(recorder, root, meter)
                self._tell(self._started(meter))
                if self._stopped:
                    meter.cancel()
                await self._think(session, root)
        except asyncio.CancelledError as cancelled:  # From outside: what this run cancels itself ends at its meter.
            self._stopped, cause = self._stopped or not self._spent_above(), cancelled
        except BaseException as error:  # noqa: BLE001 - a strategy may raise anything, and the run is kept all the same
            cause = None if isinstance(error, BudgetExhausted) and self._spent_above() else error
        session.settle()
        run = self._close(session, root, cause)
        return self._settle_replay(recorder, run, cause), cause

    def _differs(self, cause: BaseException | None) -> bool:
        """Whether the run went another way than the recorded one that it seemed to repeat, before any call was new."""
        replay = self._replay
        return (
            isinstance(cause, ReplayDiffers)
            and replay is not None
            and replay.mode == "reuse"
            and not replay.fresh_calls
        )

    def _started(self, meter: Meter) -> RunStarted:
        planned = self.plan
        strategy, model, prompt = name_of(planned.strategy), planned.model.name, planned.problem.prompt
        return RunStarted(self.run_id, strategy, model, prompt, str(planned.budget), self.stop, meter)

    async def _think(self, session: Session, root: Any) -> None:
        # A strategy does not see the reference: only verifiers do.
        with at(Place(session.root, root, session.meter, session.scope)):
            propose_returned(session, await self.plan.strategy(self.plan.problem.blind, session))

    def _status(self, meter: Meter, cause: BaseException | None) -> Status:
        if self._stopped:
            return "stopped"
        if cause is not None and not isinstance(cause, asyncio.CancelledError):
            return "failed"
        return "budget" if meter.exhausted or self._spent_above() else "ok"

    def _spent_above(self) -> bool:
        return self._within is not None and self._within.exhausted is not None

    def _session(self, recorder: Recorder, root: Any, meter: Meter) -> Session:
        planned, sequence = self.plan, self._replay.counter if self._replay else Counter()
        context = CallContext(
            run_id=self.run_id,
            model=planned.model,
            price=planned.price,
            problem=planned.problem,
            recorder=recorder,
            next_sequence=sequence.next,
            tell=self._tell,
            stopped_by=self._stopped_by,
            model_digest=digest_of(planned.model),
            replay=self._replay,
        )
        return Session(
            context=context,
            seed=planned.seed,
            root=Branch("", root, planned.seed),
            meter=meter,
            tell=self._tell,
            sequence=sequence,
            allow_code=planned.allow_code,
            sampling=planned.sampling,
        )

    def _stopped_by(self) -> str:
        if self._stopped:
            return "user"
        return "budget" if PLACE.get().meter.stopping else "strategy"

    def _opening(self) -> dict[str, Any]:
        planned = self.plan
        facts = recorded_facts(planned.model)
        limits = known(asdict(planned.budget))
        return {
            names.OPERATION: names.OPERATION_RUN,
            names.WORKFLOW_NAME: name_of(planned.strategy),
            names.RUN_ID: self.run_id,
            names.RUN_SEED: planned.seed,
            names.RUN_BUDGET: limits or None,
            names.RUN_THINKING: planned.thinking or None,
            names.RUN_LABELS: dict(planned.labels) or None,
            names.RUN_OPTIONS: {key: dict(value) for key, value in planned.sources.items()},
            names.RUN_ENVIRONMENT: environment(Path.cwd()),
            names.STRATEGY_NAME: name_of(planned.strategy),
            names.STRATEGY_PARAMETERS: parameters_of(planned.strategy),
            names.MODEL_NAME: planned.model.name,
            names.MODEL_IDENTITY: facts["identity"],
            names.MODEL_FACTS: facts,
            **of_problem(planned.problem),
        }

    def _close(self, session: Session, root: Any, cause: BaseException | None) -> Run:
        planned, curve, status = self.plan, tuple(session.scope.answers), self._status(session.meter, cause)
        last = curve[-1] if curve else Answer(value=None)
        spent = session.meter.spent
        self._difference = self._replay.difference(status, curve, session.scope.proposed_in) if self._replay else None
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
            notes=tuple(self._notes),
            store=planned.store,
            correct=planned.problem.correct(last.value),
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
                **(self._replay.facts(self._difference) if self._replay else {}),
            },
        )
        if cause is not None and status == "failed":
            mark_error(root, cause)
        root.end()
        return run

    def _hold(self, recorder: Recorder) -> None:
        """A run that may repeat a recorded one is not seen until a call is new, or it has ended as one of its own."""
        replay = self._replay
        if replay is None:
            return
        replay.stop = self.stop
        if replay.base is not None or replay.mode == "only":
            recorder.journal.hold(self.run_id)
            replay.on_fresh = partial(recorder.journal.release, self.run_id)

    def _settle_replay(self, recorder: Recorder, run: Run, cause: BaseException | None) -> Run:
        """The run with what was replayed of it; where it is a recorded one again, that one, and a note of it."""
        replay = self._replay
        if replay is None:
            return run
        replay.close()
        run = replace(run, replayed=len(replay.served), new=replay.fresh)
        base = replay.base
        if base is None or self._difference is not None:
            stopped = run.status == "stopped" and not replay.fresh_calls
            if isinstance(cause, MissingCall) or self._differs(cause) or stopped:
                recorder.journal.drop(self.run_id)  # What could not be replayed, or was interrupted in that, is no run.
            recorder.journal.release(self.run_id)
            return run
        recorder.journal.drop(self.run_id)
        note = {
            names.OPERATION: names.OPERATION_REPLAY,
            names.RUN_ID: self.run_id,
            names.REPLAY_OF: base.run_id,
            names.REPLAY_MODE: replay.mode,
            names.REPLAY_CALLS: run.replayed,
            names.RUN_OPTIONS: {key: dict(value) for key, value in self.plan.sources.items()},
            names.RUN_ENVIRONMENT: environment(Path.cwd()),
        }
        elsewhere = [(base.trace_id, base.span_key)]
        recorder.start(f"{names.OPERATION_REPLAY} {run.strategy}", note, elsewhere=elsewhere).end()
        run = replace(run, id=base.run_id, seconds=base.seconds, usage=base.usage, curve=replay.curve)
        return replace(run, correct=run.problem.correct(run.answer))

    def _tell(self, event: RunEvent) -> None:
        if isinstance(event, CallEnded):
            self._notes |= dict.fromkeys(event.completion.notes)
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
    return masked(str(error) if isinstance(error, TttlabError) else f"{type(error).__name__}: {error}")
