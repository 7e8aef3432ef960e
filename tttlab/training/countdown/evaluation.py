"""How well the model does on puzzles that were kept from its training, by thinking budget and by samples."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import fmean

from tttlab.arithmetic import canonical
from tttlab.countdown.checking import trouble
from tttlab.countdown.puzzle import Puzzle
from tttlab.events import Fold
from tttlab.experiments.estimators import majority_at_k, pass_at_k
from tttlab.experiments.intervals import Interval, bootstrap
from tttlab.models.countdown import CountdownModel
from tttlab.types import Completion, Message, Request, Sampling

BUDGETS: tuple[int | None, ...] = (0, 25, 50, 100, 200, 400, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one budget, each a mean over puzzles with its 95 % interval; tokens are of a sample."""

    numbers: int
    budget: int | None
    tokens: float
    single: Interval
    best_of_4: Interval
    best_of_all: Interval
    majority: Interval

    def __str__(self) -> str:
        thinking = "any" if self.budget is None else str(self.budget)
        said = " | ".join(
            f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]"
            for each in (self.single, self.best_of_4, self.best_of_all, self.majority)
        )
        return f"| {self.numbers} | {thinking} | {self.tokens:.0f} | {said} |"


def evaluate(
    model: CountdownModel,
    puzzles_asked: Sequence[Puzzle],
    budget: int | None,
    *,
    samples: int,
    temperature: float = 0.8,
) -> Row:
    """Draw `samples` of each puzzle. Temperature is 1 where there is no thinking: else the samples hardly differ."""
    drawn = asyncio.run(_draw(model, puzzles_asked, budget, samples, 1.0 if budget == 0 else temperature))
    right = [
        [trouble(puzzle, _answer(each)) is None for each in of] for puzzle, of in zip(puzzles_asked, drawn, strict=True)
    ]
    answers = [[canonical(_answer(each)) for each in of] for of in drawn]
    return Row(
        numbers=len(puzzles_asked[0].numbers),
        budget=budget,
        tokens=fmean(each.usage.output_tokens for of in drawn for each in of),
        single=bootstrap([fmean(each) for each in right]),
        best_of_4=bootstrap([pass_at_k(each, min(4, samples)) for each in right]),
        best_of_all=bootstrap([pass_at_k(each, samples) for each in right]),
        majority=bootstrap([majority_at_k(*pair, samples) for pair in zip(answers, right, strict=True)]),
    )


def _answer(completion: Completion) -> str:
    return completion.text.rpartition(":")[2]


async def _draw(
    model: CountdownModel, asked: Sequence[Puzzle], budget: int | None, samples: int, temperature: float
) -> list[list[Completion]]:
    sampling = Sampling(temperature=temperature, max_tokens=24, thinking_budget=budget, logprobs=0)
    return [
        list(
            await asyncio.gather(
                *(
                    _one(
                        model,
                        Request(messages=(Message("user", str(puzzle)),), sampling=sampling, seed=1000 * number + seed),
                    )
                    for seed in range(samples)
                )
            )
        )
        for number, puzzle in enumerate(asked)
    ]


async def _one(model: CountdownModel, request: Request) -> Completion:
    fold = Fold()
    async with aclosing(model.stream(request)) as events:  # type: ignore[type-var]  # an async generator, in fact
        async for event in events:
            fold.add(event)
    return fold.completion()
