"""The loop of an allocation: it decides in rounds, and takes what came of a round in the order of the problems."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from tttlab.allocation.entrant import Entrant
from tttlab.allocation.planning import AllocationPlan
from tttlab.allocation.result import Allocation, Decision
from tttlab.allocation.rules import (
    Standing,
    disagreement,
    is_satisfied,
    most_urgent,
    posterior_gain,
    priority,
    shares,
    stability,
)
from tttlab.concurrency import cancel_all
from tttlab.meter import Meter
from tttlab.progress import Observer
from tttlab.recording import recorder_for
from tttlab.runner import new_run_id
from tttlab.strategies.selection import leader
from tttlab.tracing import names
from tttlab.tracing.attributes import known, of_usage
from tttlab.tracing.recorder import mark_error, set_known


class MetersBelow:
    """What the total budget stops: every run under it by its own meter, so that each ends in order and is kept."""

    def __init__(self) -> None:
        self.cancel_called = False
        self._meters: list[Meter] = []

    def add(self, meter: Meter) -> None:
        """A run begins. One that begins too late is stopped at once."""
        self._meters.append(meter)
        if self.cancel_called:
            meter.cancel()

    def cancel(self) -> None:
        """Stop all runs."""
        self.cancel_called = True
        for meter in self._meters:
            meter.cancel()


class Allocator:
    """One allocation, from its first decision to its last run."""

    def __init__(self, planned: AllocationPlan, observer: Observer | None = None) -> None:
        self.plan = planned
        self._observer = observer
        self._stopped = False
        self._entrants: list[Entrant] = []
        self._decisions: list[Decision] = []
        self._shares = None if planned.difficulties is None else shares(planned.difficulties)
        self._round = 0
        self.id = new_run_id()
        self._begun: list[tuple[Any, Entrant]] = []
        self._made: list[tuple[Any, Entrant, int]] = []
        # Like a run, what may only repeat what is recorded is not seen until that is known.
        self._held = all(each.records is not None and each.records.runs for each in planned.plans)

    def stop(self) -> None:
        """End it: every run that is open gets status `stopped`, with its best answer so far. From any thread."""
        self._stopped = True
        for entrant in list(self._entrants):
            if entrant.left is None:
                entrant.runner.stop()

    async def run(self) -> Allocation:
        """Decide, draw, and return what came of it. A cancellation passes through after every run was kept."""
        planned, loop = self.plan, asyncio.get_running_loop()
        below = MetersBelow()
        self._total = Meter(planned.budget, below)
        self._recorder = recorder_for(planned.plans[0].store)
        if self._held:
            self._recorder.journal.hold(self.id)
        self._root = self._recorder.start(f"{names.SPAN_ALLOCATE} {planned.terms.rule}", self._opening())
        self._entrants.extend(
            Entrant(each, planned.terms, self._total, below.add, self._observer) for each in planned.plans
        )
        limit = planned.budget.seconds
        deadline = None if limit is None else loop.call_later(limit, self._total.exhaust, "seconds")
        try:
            await self._spend()
            return await self._end()
        except BaseException as error:
            mark_error(self._root, error)
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
            await cancel_all([entrant.task for entrant in self._entrants if entrant.task is not None])
            set_known(
                self._root,
                {names.ALLOCATION_EXHAUSTED: self._total.exhausted, **of_usage(self._total.spent)},
            )
            self._done()
            self._settle()
            self._root.end()
            if self._is_repeated():
                self._recorder.journal.drop(self.id)
            self._recorder.journal.release(self.id)

    async def _spend(self) -> None:
        while not self._stopped and self._total.exhausted is None:
            self._round += 1
            await self._leave({index: why for index in self._open() if (why := self._enough(index))})
            chosen = self._choose()
            if not chosen:
                return
            for index, decision in chosen:
                self._begin(index, decision)
            drawing = [entrant for entrant in self._entrants if entrant.pending]
            for entrant in drawing:
                entrant.grant(entrant.pending)
            for entrant in drawing:
                await entrant.idle()
            self._done()

    async def _end(self) -> Allocation:
        still = self._open()
        if still and not self._stopped:  # Nothing that is open has room for its next sample: the budget is spent.
            self._total.exhaust(self._total.exhausted or self.plan.unit)
        await self._leave({index: self._ended_by(index) for index in still})
        runs = [await entrant.task for entrant in self._entrants if entrant.task is not None]
        planned, total = self.plan, self._total
        final = {entrant.runner.run_id: run.id for entrant, run in zip(self._entrants, runs, strict=True)}
        return Allocation(
            id=None if self._is_repeated() else self.id,
            rule=planned.terms.rule,
            budget=planned.budget,
            unit=planned.unit,
            exhausted=total.exhausted,
            seed=planned.plans[0].seed,
            runs=tuple(runs),
            decisions=tuple(replace(decision, run=final[decision.run]) for decision in self._decisions),
            usage=total.spent,
            seconds=total.seconds,
            store=planned.plans[0].store,
        )

    def _ended_by(self, index: int) -> str:
        run = self._entrants[index].run
        if run is not None:
            return run.status
        return "stopped" if self._stopped else "budget"

    def _is_repeated(self) -> bool:
        return self._held and all(entrant.is_repeated for entrant in self._entrants)

    def _open(self) -> list[int]:
        return [index for index, entrant in enumerate(self._entrants) if entrant.left is None]

    def _enough(self, index: int) -> str | None:
        """Why a problem gets no more, if so."""
        planned, entrant = self.plan, self._entrants[index]
        if entrant.ended:
            return entrant.run.status if entrant.run else "stopped"
        if entrant.samples < planned.terms.minimum:
            return None
        if not entrant.ballot.seen:
            return "failed"
        if entrant.samples >= planned.terms.maximum:
            return "maximum"
        if self._wants(self._standing(index)):
            return None
        return "stable" if planned.terms.rule == "posterior" else "share"

    async def _leave(self, reasons: Mapping[int, str]) -> None:
        for index, reason in reasons.items():
            entrant = self._entrants[index]
            self._begin(index, self._decide("leave", reason, index, self._standing(index)))
            entrant.left = reason
            if reason == "stopped":
                entrant.runner.stop()
            entrant.grant(0)
            if entrant.task is not None:
                await asyncio.wait([entrant.task])
            self._done()

    def _choose(self) -> list[tuple[int, Decision]]:
        """The samples of one round, each with its decision. First the minimum of every problem; then by the rule."""
        terms, chosen, first = self.plan.terms, list[tuple[int, Decision]](), False
        left = self._left()
        standings = self._standings()
        for _ in range(terms.batch):
            able = [index for index, standing in standings.items() if self._able(standing, left)]
            below = [index for index in able if standings[index].samples < terms.minimum]
            if below:
                first, reason = True, "minimum"
                index: int | None = min(below, key=lambda index: (standings[index].samples, index))
            elif first:
                break
            else:
                if self._shares is None and terms.rule != "posterior":
                    self._shares = shares([disagreement(entrant.ballot) for entrant in self._entrants])
                    standings = self._standings()
                reason = "gain" if terms.rule == "posterior" else "share"
                index = most_urgent(terms.rule, standings, [index for index in able if self._wants(standings[index])])
            if index is None:
                break
            standing = standings[index]
            chosen.append((index, self._decide("sample", reason, index, standing)))
            self._entrants[index].pending += 1
            standings[index] = replace(standing, pending=standing.pending + 1)
            if standing.is_predicted and self.plan.unit != "seconds":  # In seconds, samples lie beside one another.
                left -= standing.cost
        return chosen

    def _wants(self, standing: Standing) -> bool:
        if self.plan.terms.rule != "posterior" and self._shares is None:
            return True
        return not is_satisfied(self.plan.terms.rule, standing, self.plan.terms.threshold)

    def _able(self, standing: Standing, left: float) -> bool:
        """Whether a problem may draw once more: below its maximum, and with room for what that is predicted to cost."""
        if standing.samples >= self.plan.terms.maximum:
            return False
        return standing.cost <= left if standing.is_predicted else left > 0

    def _standings(self) -> dict[int, Standing]:
        """Of the problems that are open."""
        return {index: self._standing(index) for index in self._open()}

    def _standing(self, index: int) -> Standing:
        """A sample's cost is predicted as the mean of the problem's own, else of all so far."""
        entrant, unit = self._entrants[index], self.plan.unit
        spent, calls = entrant.spent(unit), entrant.calls()
        if unit == "calls":
            cost = 1.0
        elif calls:
            cost = spent / calls
        else:
            cost = self._mean_cost()
        return Standing(
            ballot=entrant.ballot,
            pending=entrant.pending,
            spent=spent,
            cost=cost or 1.0,
            is_predicted=cost > 0,
            share=0.0 if self._shares is None else self._shares[index],
        )

    def _mean_cost(self) -> float:
        total, unit = self._total.spent, self.plan.unit
        if not total.calls:
            return 0.0
        if unit == "seconds":
            return sum(entrant.spent(unit) for entrant in self._entrants) / total.calls
        return float(getattr(total, unit) or 0) / total.calls

    def _left(self) -> float:
        return float(getattr(self._total.remaining(), self.plan.unit) or 0)

    def _decide(self, action: Literal["sample", "leave"], reason: str, index: int, standing: Standing) -> Decision:
        entrant, rule = self._entrants[index], self.plan.terms.rule
        posterior = rule == "posterior"
        ballot = standing.ballot
        decision = Decision(
            number=len(self._decisions) + 1,
            round=self._round,
            action=action,
            reason=reason,
            problem=entrant.problem.id,
            run=entrant.runner.run_id,
            leader=leader(ballot.votes),
            votes=dict(ballot.votes),
            seen=ballot.seen,
            pending=standing.pending,
            stability=stability(ballot.votes),
            gain=posterior_gain(ballot, standing.pending) if posterior else None,
            share=None if self._shares is None else self._shares[index],
            priority=priority(rule, standing) if reason in ("gain", "share") and action == "sample" else None,
            spent=standing.spent,
            cost=standing.cost if standing.is_predicted else None,
            left=self._left(),
        )
        self._decisions.append(decision)
        return decision

    def _begin(self, index: int, decision: Decision) -> None:
        """Open a decision's span. It lasts as long as what it decided."""
        terms = {names.ALLOCATION_RULE: self.plan.terms.rule, names.ALLOCATION_UNIT: self.plan.unit}
        attributes = {names.RUN_ID: self.id, **terms, **decision.attributes()}
        span = self._recorder.start(names.SPAN_DECIDE, attributes, parent=self._root)
        self._begun.append((span, self._entrants[index]))

    def _done(self) -> None:
        """What was decided is done."""
        self._made += [(span, entrant, time.time_ns()) for span, entrant in self._begun]
        self._begun.clear()
        if not self._held:
            self._settle()

    def _settle(self) -> None:
        """Link the spans of decisions to their runs and end them; held ones when it is known which runs those are."""
        for span, entrant, end_ns in self._made:
            if entrant.is_repeated and entrant.run is not None:
                span.set_attribute(names.DECISION_RUN, entrant.run.id)
            elif entrant.runner.span is not None:
                span.add_link(entrant.runner.span.get_span_context(), {names.RUN_ID: entrant.runner.run_id})
            span.end(end_ns)
        self._made.clear()

    def _opening(self) -> dict[str, Any]:
        planned = self.plan
        return {
            names.RUN_ID: self.id,
            names.ALLOCATION_RULE: planned.terms.rule,
            names.ALLOCATION_BUDGET: known(asdict(planned.budget)),
            names.ALLOCATION_UNIT: planned.unit,
            names.ALLOCATION_PROBLEMS: len(planned.plans),
            names.ALLOCATION_OPTIONS: {
                "minimum": planned.terms.minimum,
                "maximum": planned.terms.maximum,
                "threshold": planned.terms.threshold,
                "batch": planned.terms.batch,
                "difficulty": None if planned.difficulties is None else list(planned.difficulties),
            },
            names.RUN_SEED: planned.plans[0].seed,
            names.MODEL_NAME: planned.plans[0].model.name,
        }
