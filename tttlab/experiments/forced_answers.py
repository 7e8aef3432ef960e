"""Forcing an answer where a recorded thinking is cut: each is a run of its own, which goes on from the cut."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, ClassVar

from tttlab.answers import find_extractor
from tttlab.concurrency import cancel_all
from tttlab.errors import OptionError
from tttlab.experiments.asked import Store
from tttlab.protocols import Model, Think
from tttlab.run import Run
from tttlab.thinking import athink
from tttlab.types import Answer, Message, Problem

OPENING, CLOSING = "<think>", "</think>"
"""Around thinking in a partial answer, as the models write it that are run locally."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAfter:
    """Answer from where a recorded call's thinking stood after so many tokens, greedily unless told otherwise.

    A model that thinks in a channel of its own is given its thinking closed, and no room for more; another is given it
    with `suffix` at its end, as in extended thinking. After 0 tokens of thinking it is asked to answer at once. Not a
    fresh attempt: the thinking is the recorded one, token by token.
    """

    needs: ClassVar[tuple[str, ...]] = ("prefix",)

    call: str
    """Whose thinking it is: a `span_id` of the view `calls`."""
    thinking_tokens: int
    thinking: str
    asked: tuple[Message, ...]
    """What the recorded call asked."""
    own_channel: bool
    answer_tokens: int = 64
    temperature: float = 0.0
    suffix: str = "Final Answer:"

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        """One call, which answers."""
        held: dict[str, Any] = {"thinking_budget": 0} if think.can.thinking_budget else {}
        at_once = self.thinking_tokens == 0 and self.own_channel and think.can.thinking_budget
        [conclusion] = await think.complete(
            self.asked if at_once else self._begun(),
            temperature=self.temperature,
            max_tokens=self.answer_tokens,
            **held,
        )
        said = conclusion.text
        stated = said if self.own_channel else f"{self.suffix} {said}"
        return think.propose(problem.extract(stated) if said.strip() else None)

    def _begun(self) -> list[Message]:
        *before, last = self.asked
        # A later round of thinking was asked with the earlier ones as its beginning.
        turns, begun = (before, last.text) if last.role == "assistant" else (list(self.asked), "")
        if self.own_channel:
            begun = begun or f"{OPENING}\n"
            return [*turns, Message("assistant", f"{begun}{self.thinking}\n{CLOSING}\n\n")]
        return [*turns, Message("assistant", f"{begun}{self.thinking}\n\n{self.suffix}".lstrip())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """A recorded call that thought, with its thinking token by token, and how it ended."""

    run: str
    call: str
    problem: Problem
    model: str
    seed: int
    parallel: int
    """How many streams the model is asked for at once."""
    asked: tuple[Message, ...]
    own_channel: bool
    texts: tuple[str, ...] = field(repr=False)
    """Of its thinking: of each token, or of each chunk."""
    counts: tuple[int, ...] = field(repr=False)
    """How many tokens each text is."""
    answer: str | None
    """What it answered in the end."""
    correct: bool

    @property
    def length(self) -> int:
        """Tokens of its thinking."""
        return sum(self.counts)

    def cut(self, tokens: int) -> str:
        """Its thinking up to so many tokens; of a text that was streamed in chunks, the whole chunks up to there."""
        return "".join(text for text, end in zip(self.texts, accumulate(self.counts), strict=True) if end <= tokens)


Row = Mapping[str, Any]


def thinking_calls(store: Store, run_ids: Sequence[str]) -> list[Row]:
    """The finished calls of these runs that thought, with their thinking, for `hindrance` and `thoughts`."""
    return list(store.rows(_THINKING_CALLS, runs=list(run_ids)))


def hindrance(calls: Sequence[Row], *, own_model: bool) -> str | None:
    """Why these calls cannot be gone on from, in words; None where they can.

    `own_model` says that each run's own model is to do it, whose abilities are recorded.
    """
    if not calls:
        return "no call of these runs has thinking tokens"
    declared = Counter(row["run_id"] for row in calls if row["channel_source"] == "strategy")
    for row in calls:
        if own_model and not json.loads(row["can"] or "{}").get("prefix"):
            return f"{row['model']} cannot go on from a partial answer"
        if row["visibility"] != "full":
            return f"the thinking of {row['run_id']} is {row['visibility']}, as its host gives it"
        if None in row["counts"]:
            return f"the host of {row['run_id']} does not say how many tokens a chunk holds"
        if declared[row["run_id"]] > 1:
            return f"{row['run_id']} thought in {declared[row['run_id']]} calls one after another"
    return None


def thoughts(calls: Sequence[Row], problems: Mapping[str, Problem]) -> list[Thought]:
    """These calls as thoughts. `problems` are those known with their checks, by their ids.

    Of other problems the record is enough, if they have a reference. Raises `OptionError` where it is not.
    """
    return [_thought(row, problems) for row in calls]


def _thought(row: Row, problems: Mapping[str, Problem]) -> Thought:
    problem = problems.get(row["problem_id"]) or _recorded_problem(row)
    own = row["channel_source"] == "model"
    answer = row["answer"] if own else row["run_answer"]
    asked = tuple(_message(each) for each in json.loads(row["messages"]))
    if (correct := problem.correct(answer)) is None:
        raise OptionError(f"nothing says which answers to {problem.id!r:.80} are right: give a reference, or a check")
    return Thought(
        run=row["run_id"],
        call=row["span_id"],
        problem=problem,
        model=row["model"],
        seed=row["seed"],
        parallel=json.loads(row["can"] or "{}").get("parallel", 1),
        asked=asked,
        own_channel=own,
        texts=tuple(row["texts"]),
        counts=tuple(row["counts"]),
        answer=answer,
        correct=correct,
    )


def _recorded_problem(row: Row) -> Problem:
    if row["check"] is not None:
        raise OptionError(
            f"the answers to {row['problem_id']!r:.80} are judged by the check {row['check']},"
            " which is not in the store: pass the problems, or the runs themselves"
        )
    name, _, version = row["extractor"].rpartition("@")
    extractor = find_extractor(name)
    if str(extractor.version) != version:
        raise OptionError(f"the extractor {row['extractor']} is now {name}@{extractor.version}: pass the problems")
    return Problem(prompt=row["prompt"], reference=row["reference"], extractor=extractor, id=row["problem_id"])


def _message(told: Mapping[str, Any]) -> Message:
    return Message(told["role"], "".join(part.get("content", "") for part in told["parts"] if part["type"] == "text"))


class Forcing:
    """The forced answers of some thoughts, run at once as far as the model allows."""

    def __init__(self, *, model: str | Model | None, replay: str | None, **options: Any) -> None:
        """`options` are those of `AnswerAfter`. Where no model is given, it is each run's own."""
        self._model, self._replay, self._options = model, replay, options
        self._stop: Callable[[], object] = lambda: None

    def stop(self) -> None:
        """End it, from any thread: what runs is kept, and `run` is cancelled."""
        self._stop()

    async def run(self, wanted: Iterable[tuple[Thought, int]]) -> list[Run]:
        """A run for each thought and number of tokens, in their order."""
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        if own is not None:
            self._stop = lambda: loop.call_soon_threadsafe(own.cancel)
        gates: dict[str, asyncio.Semaphore] = {}
        tasks = [
            asyncio.create_task(self._one(thought, tokens, _gate(gates, thought))) for thought, tokens in list(wanted)
        ]
        try:
            return [await task for task in tasks]
        finally:
            await cancel_all(tasks)

    async def _one(self, thought: Thought, tokens: int, gate: asyncio.Semaphore) -> Run:
        strategy = AnswerAfter(
            call=thought.call,
            thinking_tokens=tokens,
            thinking=thought.cut(tokens),
            asked=thought.asked,
            own_channel=thought.own_channel,
            **self._options,
        )
        async with gate:
            return await athink(
                thought.problem,
                strategy=strategy,
                model=self._model or thought.model,
                seed=thought.seed,
                replay=self._replay,
                labels={"truncation": thought.call, "thinking_tokens": tokens},
            )


def _gate(gates: dict[str, asyncio.Semaphore], thought: Thought) -> asyncio.Semaphore:
    return gates.setdefault(thought.model, asyncio.Semaphore(thought.parallel))


_THINKING_CALLS = """
WITH thinking AS (
    SELECT
        run_id, span_key, list("text" ORDER BY position) AS texts,
        list(CASE granularity WHEN 'token' THEN 1 ELSE chunk_tokens END ORDER BY position) AS counts
    FROM tokens
    WHERE channel = 'thinking' AND run_id IN (SELECT unnest($runs::VARCHAR[]))
    GROUP BY ALL
)
SELECT
    run_id, calls.span_id, runs.problem_id, runs.prompt, runs.reference, runs."check", runs.extractor, runs.model,
    runs.seed, runs.answer AS run_answer, calls.answer, calls.channel_source, calls.visibility, calls.messages, texts,
    counts, root.attributes -> '$."tttlab.model.facts".can' AS can
FROM thinking
JOIN calls USING (run_id, span_key)
JOIN runs USING (run_id)
JOIN spans AS root ON root.run_id = runs.run_id AND root.span_key = runs.span_key
WHERE calls.status = 'ok' AND calls.role = 'generator'
ORDER BY list_position($runs::VARCHAR[], run_id), calls.started, calls.branch, calls.ordinal
"""
