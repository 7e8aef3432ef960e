"""Replay: calls that were recorded are served from their record, in the order and with the times that they had then.

Modes: `reuse` (what is recorded is served, what is missing is run), `only` (a missing call is an error that names it),
`off`. What serves is decided call by call, by identity and seed, so a run that asks eight samples more replays the
others. A run that turns out to be nothing but another one again is noted, and adds nothing to what the views return.
"""

from __future__ import annotations

import collections
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import Any, Literal, NoReturn

import anyio

from tttlab.clock import RunClock
from tttlab.errors import CallError, MissingCall, ReplayDiffers
from tttlab.events import StreamEvent, UsageUpdate
from tttlab.models import canonical_name
from tttlab.models.stand_in import StandIn
from tttlab.order import Counter, Moment, RecordedOrder
from tttlab.protocols import Model
from tttlab.store.recorded import RecordedCall, RecordedRun, Records, program_key
from tttlab.tracing import names
from tttlab.tracing.attributes import of_request
from tttlab.types import Answer, CallIdentity, Channel, CodeLimits, Ran, Request, Usage

Mode = Literal["reuse", "only"]
ENDED = ("ok", "budget")


class Replay:
    """What the record can give to one run, and what of it was used."""

    def __init__(
        self,
        records: Records,
        mode: Mode,
        plan: Mapping[str, Any],
        *,
        pace: float | None = None,
        whole_only: bool = False,
    ) -> None:
        """`plan` is what makes another run the same run (see `RecordedRun.plan`); `pace` 1 keeps the recorded times.

        With `whole_only` no call serves that was cut.
        """
        self.mode = mode
        self._whole_only = whole_only
        self._cut: set[int] = set()
        """Calls that were cut, and that nothing has cut again yet."""
        self.clock = RunClock(held=True)
        self.base = _base(records, mode, _plain(plan))
        self.curve: tuple[Answer, ...] = ()
        """As it was recorded, of the run that this one is again; see `difference`."""
        self.served: list[RecordedCall] = []
        self.fresh = Usage()
        self.fresh_calls = 0
        self.fresh_programs = 0
        self.on_fresh: Callable[[], None] = lambda: None
        self.stop: Callable[[], None] = lambda: None
        """Ends the run as its user did; `on_fresh` is called before each call that is not served."""
        self._records = records
        self._pace = pace
        self.counter = Counter()
        self._programs: collections.Counter[str] = collections.Counter()
        self.order = RecordedOrder(self.counter, self._pass, self._time_is_up)

    def find(
        self, identity: CallIdentity, seed: int | None, model_digest: str | None, channel: Channel | None = None
    ) -> RecordedCall | None:
        """The record of this call, if it can serve; from the run that this one repeats, if it does, else the latest."""
        found = self._records.by_identity.get((identity, seed or 0), ())
        alike = [call for call in reversed(found) if _is_told_alike(call, channel)]
        usable = [call for call in alike if self._serves(call, model_digest)]
        # One that was served itself began before its run did: those that ran tell their times.
        usable.sort(key=lambda call: names.REPLAY_OF in call.attributes)
        own = [call for call in usable if self.base and call.run_id == self.base.run_id]
        return next((call for call in (*own, *usable) if self._records.is_whole(call)), None)

    def close(self) -> None:
        """Nothing more is asked of the record."""
        self._records.close()

    def run_of(self, call: RecordedCall) -> RecordedRun:
        """The run that recorded a call."""
        return self._records.runs[call.run_id]

    def begin_fresh(self, identity: CallIdentity, asked: Request) -> None:
        """A call that is not served is about to run: from here on time is real, and the run is one of its own.

        Raises `MissingCall` where only what is recorded may answer: what is asked, and how the nearest recorded call
        differs. Raises `ReplayDiffers` where a call that was cut is being served: it would not be cut as it was.
        """
        if self.mode == "only":
            branch = f"branch {identity.branch!r}" if identity.branch else "the root"
            raise MissingCall(
                f"call {identity.ordinal + 1} of its request in {branch} is not recorded: "
                f"{_difference(self._records.calls, identity, of_request(asked))}; to run it, use replay='reuse'"
            )
        self._begin_own_time()
        self.fresh_calls += 1

    def begin_program(self) -> None:
        """A program that is not recorded is about to run. Raises `ReplayDiffers`, likewise."""
        self._begin_own_time()
        self.fresh_programs += 1

    def ends_here(self, identity: CallIdentity | None = None, seed: int | None = None) -> bool:
        """Whether the recorded run had spent its budget of time before it came here: then it is spent now too.

        `identity` and `seed` are of a call that is about to begin; it had not, if there is no record of it.
        """
        if self.base is None or self.base.status != "budget":
            return False
        known = self._records.by_identity.get((identity, seed or 0), ()) if identity else ()
        return not any(call.run_id == self.base.run_id for call in known) and self._time_is_up()

    async def stream(self, call: RecordedCall) -> AsyncIterator[StreamEvent]:
        """What the call streamed. Raises the `CallError` that it ended with; a call that was cut waits to be cut."""
        self.served.append(call)
        if call.status == "cancelled":
            self._cut.add(call.span_key)
        try:
            async with aclosing(self._streamed(call)) as events:
                async for event in events:
                    yield event
        finally:
            self._cut.discard(call.span_key)

    async def _streamed(self, call: RecordedCall) -> AsyncGenerator[StreamEvent]:
        time_ns = call.start_ns
        for number, event in self._records.events(call):
            time_ns = time_ns if isinstance(event, UsageUpdate) else event.time_ns
            await self.order.turn(Moment(number, self._seconds(call, time_ns)))
            yield event
        seconds = self._seconds(call, call.end_ns)
        if call.status == "cancelled":
            await self._be_cut(call, seconds)
        await self.order.turn(Moment(call.ended, seconds))
        if call.status != "ok" or call.finish is None:
            raise CallError(call.error or "the recorded call failed")
        for item in call.reasoning:
            yield item
        yield call.finish

    async def _be_cut(self, call: RecordedCall, seconds: float) -> NoReturn:
        kind: Literal["cut", "spent"] = "spent" if call.cancelled_by == "budget" else "cut"
        await self.order.turn(Moment(call.ended, seconds, kind))
        if call.cancelled_by == "user":
            self.stop()
            await anyio.sleep_forever()
        raise _not_cut(call)

    def stand_in(self, model: str, load: Callable[[], Model]) -> Model | None:
        """What is recorded of a model that the run asks beside its own; None where nothing is. Raises `MissingCall`."""
        name = canonical_name(model)
        known = stand_in(self._records, name, None if self.mode == "only" else load)
        if known is None and self.mode == "only":
            raise MissingCall(f"no call of {name} is recorded for this prompt and seed: run it with replay='reuse'")
        return known

    def find_program(self, branch: str, arguments: str, limits: CodeLimits) -> Ran | None:
        """How this program ended when it was run there before. Raises `MissingCall` where only that may be told."""
        key = program_key(branch, arguments, asdict(limits))
        number = self._programs[key]
        self._programs[key] += 1
        runs = [self.base.run_id] if self.base else reversed(self._records.runs)
        for run_id in runs:
            recorded = self._records.programs.get((run_id, key), ())
            if number < len(recorded):
                return recorded[number]
        if self.mode == "only" and not self._may_end_here():
            raise MissingCall(
                f"a program that this run is to run in branch {branch!r} is not recorded: {arguments:.80}; "
                "to run it, use replay='reuse'"
            )
        return None

    async def turn_to_deliver(self, call: RecordedCall) -> None:
        """Wait until it is the recorded call's turn to be given to the strategy."""
        if call.delivered is not None:
            await self.order.turn(Moment(call.delivered, self._seconds(call, call.end_ns)))

    def difference(self, status: str, answers: Sequence[Answer], branches: Sequence[str]) -> str | None:
        """Why the run is another one than `base`, the run of the same plan; None if it was that one again.

        It was if every call was served from there, and the end and what each branch proposed came out the same. A
        proposal waits for no turn: how those of several branches interleave is taken from the record.
        """
        base = self.base
        if base is None:
            return "no run of the same plan is recorded"
        if self._is_new:
            return f"{self.fresh_calls} of its calls and {self.fresh_programs} of its programs are not recorded"
        if any(call.run_id != base.run_id for call in self.served) or len(self.served) != base.calls:
            return f"it made other calls than {base.run_id}"
        if status != base.status:
            return f"it ended as {status}, and {base.run_id} as {base.status}"
        curve = _in_order_of(self._records.answers(base.run_id), answers, branches)
        if curve is None:
            return f"from the same calls it proposed other answers than {base.run_id}"
        self.curve = curve
        return None

    def facts(self, difference: str | None) -> dict[str, Any]:
        """What a run's own span says of its replay."""
        return {
            names.REPLAY_MODE: self.mode,
            names.REPLAY_CALLS: len(self.served),
            names.REPLAY_NEW_TOKENS: self.fresh.tokens,
            names.REPLAY_DIFFERENCE: difference if self.served else None,
        }

    def _serves(self, call: RecordedCall, model_digest: str | None) -> bool:
        if not self._is_of(call, model_digest):
            return False
        of_base = self.base is not None and call.run_id == self.base.run_id and not self._whole_only
        if call.status == "ok":
            return of_base or not _is_shortened(call)
        # What was cut or failed serves the same run only; and where it can be had whole now, not what the user cut.
        # Nor where something is new: the run is another one by now, and would not cut it where it was.
        again = call.status == "cancelled" and call.cancelled_by != "user" and not self._is_new
        return of_base and (self.mode == "only" or again)

    @property
    def _is_new(self) -> bool:
        return bool(self.fresh_calls or self.fresh_programs)

    def _is_of(self, call: RecordedCall, model_digest: str | None) -> bool:
        """Whether a model of these weights gave it; where either says none, it is where nothing else may answer."""
        run = self.run_of(call)
        recorded = call.model_digest or (run.model_digest if call.model == run.plan["model"] else None)
        if recorded is None and model_digest is not None:
            return self.mode == "only"
        return model_digest in (None, recorded)

    def _seconds(self, call: RecordedCall, time_ns: int) -> float:
        return max(0.0, (time_ns - self._records.runs[call.run_id].start_ns) / 1e9)

    async def _pass(self, moment: Moment) -> None:
        if self._pace and self.clock.held and moment.seconds > self.clock.now():
            await anyio.sleep((moment.seconds - self.clock.now()) / self._pace)
        self.clock.advance(moment.seconds)

    def _begin_own_time(self) -> None:
        if self._cut and self.mode == "reuse":
            raise ReplayDiffers("a call that was cut is being served, and this run goes another way: run it again")
        self.clock.go()
        self.on_fresh()

    def _may_end_here(self) -> bool:
        spent = self.base is not None and self.base.status == "budget"
        return spent and self.clock.held and self.clock.next_due() is not None

    def _time_is_up(self) -> bool:
        due = self.clock.next_due() if self.clock.held else None
        if due is not None:
            self.clock.pass_deadlines(due)
        return due is not None


def stand_in(records: Records, name: str, load: Callable[[], Model] | None) -> StandIn | None:
    """The model of this name as the latest run or call on it recorded it; None where none did."""
    found = [run.model_facts for run in records.runs.values() if run.plan["model"] == name]
    found += [call.attributes.get(names.MODEL_FACTS) or {} for call in records.calls if call.model == name]
    facts = next((each for each in reversed(found) if each), None)
    return None if facts is None else StandIn(name, facts, load)


def _base(records: Records, mode: Mode, plan: Mapping[str, Any]) -> RecordedRun | None:
    same = [run for run in records.runs.values() if run.plan == plan]
    whole = [run for run in same if run.status in ENDED]
    return next(reversed(whole or (same if mode == "only" else [])), None)


def _is_told_alike(call: RecordedCall, channel: Channel | None) -> bool:
    # Which text was thinking the strategy had said, and this one leaves it to the model.
    return channel is not None or call.attributes.get(names.REASONING_SOURCE) != "strategy"


def _is_shortened(call: RecordedCall) -> bool:
    """Whether it ended at a length below the one that was asked for: a budget caps what is sent, and may not be spent.

    So may it be where a host counts pieces of text, and says at no time how many tokens they are.
    """
    asked = call.attributes.get(names.REQUEST_MAX_TOKENS)
    return call.finish is not None and call.finish.reason == "length" and call.usage.output_tokens < (asked or 0)


def _in_order_of(
    recorded: Sequence[tuple[str, Answer]], answers: Sequence[Answer], branches: Sequence[str]
) -> tuple[Answer, ...] | None:
    """The answers in the order, and at the cost, of those recorded; None where a branch proposed anything else."""
    of_branch: dict[str, collections.deque[Answer]] = collections.defaultdict(collections.deque)
    for branch, answer in zip(branches, answers, strict=True):
        of_branch[branch].append(answer)
    curve = []
    for branch, known in recorded:
        if not of_branch[branch]:
            return None
        proposed = of_branch[branch].popleft()
        if known.value != _stored(proposed.value) or not _close(known.confidence, proposed.confidence):
            return None
        curve.append(replace(proposed, spent=known.spent, basis=known.basis, sequence=known.sequence))
    return None if any(of_branch.values()) else tuple(curve)


def _plain(plan: Mapping[str, Any]) -> dict[str, Any]:
    """As it reads when it was recorded: what JSON has no words for is what it was written as."""
    from tttlab.store.columns import as_json

    read: dict[str, Any] = json.loads(as_json(dict(plan)))
    return read


def _stored(value: str | None) -> str | None:
    from tttlab.store.columns import storable

    return None if value is None else storable(value)


def _close(a: float | None, b: float | None) -> bool:
    if a is not None and b is not None and math.isnan(a) and math.isnan(b):
        return True
    # Log-probabilities are stored in single precision, and confidences are computed from them.
    return a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6))


def _not_cut(call: RecordedCall) -> ReplayDiffers:
    tokens = call.usage.output_tokens
    return ReplayDiffers(
        f"a recorded call was cut after {tokens} tokens (by the {call.cancelled_by}), and this run does not stop "
        "there: run it with replay='off'"
    )


def _difference(calls: Sequence[RecordedCall], identity: CallIdentity, asked: Mapping[str, Any]) -> str:
    same = [call for call in calls if call.identity.digest == identity.digest]
    if unfit := [call for call in same if call.identity == identity]:
        return f"{unfit[-1].run_id} has it, but cut, failed, of other weights, or without all its tokens"
    here = [call.identity.ordinal for call in same if call.identity.branch == identity.branch]
    if here:
        recorded = sorted({ordinal + 1 for ordinal in here})
        return f"of this request numbers {recorded[0]} to {recorded[-1]} are recorded there, with this seed"
    if same:
        return f"the same request is recorded in branch {same[0].identity.branch!r}"
    if not calls:
        return "no run of this prompt and seed is recorded"
    asked = {key: value for key, value in asked.items() if key != names.REQUEST_SEED}
    near = max(calls, key=lambda call: sum(call.attributes.get(key) == value for key, value in asked.items()))
    parts = [
        f"{key.rpartition('.')[2]} {near.attributes.get(key)!r:.60} there and {value!r:.60} here"
        for key, value in asked.items()
        if near.attributes.get(key) != value
    ]
    return "the nearest recorded call differs in " + (", ".join(parts) or "its branch or its model")
