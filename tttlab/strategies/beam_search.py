"""Grow several solutions step by step and keep those whose steps a verifier scores best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError
from tttlab.protocols import Think, Verifier
from tttlab.strategies.selection import leader, tally
from tttlab.strategies.steps import (
    SCORE,
    STEP,
    Node,
    Stepper,
    best_first,
    ends_a_step,
    expanded,
    fill,
    in_branches,
    one_of,
    states_answer,
)
from tttlab.types import Answer, Problem

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "prod": math.prod,
    "last": lambda scores: scores[-1],
    "mean": lambda scores: sum(scores) / len(scores),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch:
    """Beam search over steps that are scored one by one (Snell et al., 2024; `diverse`: DVTS, Beeching et al., 2024).

    Draws `n` first steps, keeps the `n / beam_width` best, draws `beam_width` next steps from each, and so on, at most
    `num_iterations` times. A step ends at `separator`. A beam is finished when a step states an answer or is empty; it
    is set aside, and the search ends once `n` are. With `diverse=True` there are `n / beam_width` trees that do not
    compete: each keeps the best of its `beam_width` next steps and gives one finished beam.

    A step's score is the `verifier`'s for the text up to it, or else the model's own from 0 to 10, divided by 10; a
    score that cannot be read counts as 0. `lookahead` further greedy steps are drawn before each scoring and thrown
    away after it. A beam's score is the `aggregation` of its steps' scores, whatever the verifier makes of its own.
    `select` takes the answer of the finished beams by their summed scores ("weighted"), by number ("majority") or from
    the best one ("best"); each beam counts once, and is never repeated to fill up to `n`. Where every score is 0,
    "weighted" counts numbers. The confidence is the answer's share of the vote, beams without an answer included.

    Costs at most `num_iterations * n * (2 + lookahead)` calls, with one call a verdict. Not best-of-n: what is pruned
    is never finished.
    """

    n: int = 16
    beam_width: int = 4
    num_iterations: int = 40
    lookahead: int = 0
    diverse: bool = False
    aggregation: Literal["min", "prod", "last", "mean"] = "last"
    select: Literal["weighted", "majority", "best"] = "weighted"
    verifier: Verifier | None = None
    temperature: float = 0.8
    max_tokens: int = 256
    separator: str = "\n\n"
    step_prompt: str = STEP
    score_prompt: str = SCORE

    def __post_init__(self) -> None:
        at_least(1, n=self.n, beam_width=self.beam_width, num_iterations=self.num_iterations)
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, lookahead=self.lookahead, temperature=self.temperature)
        if self.n % self.beam_width:
            raise OptionError(f"n={self.n} is not a multiple of beam_width={self.beam_width}: change one of them")
        one_of(AGGREGATIONS, aggregation=self.aggregation)
        one_of(("weighted", "majority", "best"), select=self.select)
        ends_a_step(self.separator)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        question = fill(self.step_prompt, problem=problem.prompt)
        search = _Search(self, problem, think, Stepper(self, problem, think, lambda _: question))
        trees, width = search.planted(), self.beam_width if self.diverse else self.n
        for _ in range(self.num_iterations):
            children = await search.grow(trees, width)
            await search.judge(children)
            trees, width = search.keep(children), self.beam_width
            search.offer(trees)
            if not trees or len(search.finished) >= self.n:
                break
        return search.answer or think.propose(None, confidence=0.0)


@dataclass(slots=True, eq=False)
class _Beam(Node):
    scores: tuple[float, ...] = ()
    finished: bool = False


_Tree = list[_Beam]
"""The beams that compete with each other: all of them, or in a diverse search those that come from one root."""


@dataclass(slots=True)
class _Search:
    how: BeamSearch
    problem: Problem
    think: Think
    stepper: Stepper
    answer: Answer | None = None
    finished: list[_Beam] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """How many beams of a tree go on."""
        return 1 if self.how.diverse else self.how.n // self.how.beam_width

    def planted(self) -> list[_Tree]:
        """The roots: one without a branch, or in a diverse search several that have one each."""
        if not self.how.diverse:
            return [[_Beam()]]
        return [[self.root(number)] for number in range(self.how.n // self.how.beam_width)]

    def root(self, number: int) -> _Beam:
        with self.think.branch(tree=number) as branch:
            return _Beam(branch)

    async def grow(self, trees: Sequence[_Tree], width: int) -> list[_Tree]:
        """For each tree the next steps, `width` from each of its beams, each in a branch of its own."""

        async def expand(beam: _Beam) -> list[_Beam]:
            return [
                self.child(beam, step) for step in await expanded(beam, self.stepper.next_steps(beam.steps, n=width))
            ]

        grown = iter(await in_branches(self.think, expand, [beam for tree in trees for beam in tree]))
        return [[child for _ in tree for child in next(grown)] for tree in trees]

    def child(self, beam: _Beam, step: str) -> _Beam:
        with self.think.branch(beam.branch, step=step) as branch:
            steps = (*beam.steps, step) if step else beam.steps
            return _Beam(branch, steps, scores=beam.scores, finished=not step or states_answer(step))

    async def judge(self, trees: Sequence[_Tree]) -> None:
        await in_branches(self.think, self.rate, [beam for tree in trees for beam in tree])

    async def rate(self, beam: _Beam) -> None:
        if len(beam.steps) > len(beam.scores):  # An empty step adds none.
            beam.scores = (*beam.scores, await self.score(await self.looked_ahead(beam)))
        beam.score = AGGREGATIONS[self.how.aggregation](beam.scores) if beam.scores else 0.0
        beam.mark(score=beam.score)

    async def score(self, steps: Sequence[str]) -> float:
        return await self.stepper.score(steps, self.how.verifier, self.how.score_prompt)

    async def looked_ahead(self, beam: _Beam) -> Sequence[str]:
        steps, finished = beam.steps, beam.finished
        for _ in range(self.how.lookahead):
            if finished:
                break
            try:
                [step] = await self.stepper.next_steps(steps, n=1, temperature=0.0)
            except CallError:
                break
            steps = (*steps, step) if step else steps
            finished = not step or states_answer(step)
        return steps

    def keep(self, trees: Sequence[_Tree]) -> list[_Tree]:
        """The trees that go on, with the best of their beams; finished ones are set aside."""
        kept = [self.best_of(tree) for tree in trees]
        return [tree for tree in kept if tree]

    def best_of(self, tree: _Tree) -> _Tree:
        """In a diverse search finished beams compete with the others; else they don't, and all of them are kept."""
        competing = tree if self.how.diverse else [beam for beam in tree if not beam.finished]
        best = best_first(competing)[: self.kept]
        done = [beam for beam in tree if beam.finished and (not self.how.diverse or beam in best)]
        self.finished += done
        for beam in tree:
            beam.mark(state="selected" if beam in best or beam in done else "pruned")
        return [beam for beam in best if not beam.finished]

    def offer(self, trees: Sequence[_Tree]) -> None:
        """Propose what the finished beams elect, or while there are none, what the best of the others has."""
        beams = self.finished or [beam for tree in trees for beam in tree]
        if not beams:
            return
        answers = [self.extract(beam) for beam in beams]
        weights = [1.0 if self.how.select == "majority" else beam.score for beam in beams]
        votes, total = tally(zip(answers, weights, strict=True))
        winner = leader(votes)
        if self.how.select == "best" or not self.finished:
            stated = [beam for beam, value in zip(beams, answers, strict=True) if value is not None]
            winner = self.extract(best_first(stated)[0]) if stated else None
        confidence = votes[winner] / total if winner is not None and total else 0.0
        last = self.answer
        if last is None or (last.value, last.confidence, last.votes) != (winner, confidence, votes or None):
            self.answer = self.think.propose(winner, confidence=confidence, votes=votes)

    def extract(self, beam: _Beam) -> str | None:
        return self.problem.extract(self.how.separator.join(beam.steps)) if beam.steps else None
