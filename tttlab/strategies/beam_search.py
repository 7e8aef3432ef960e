"""Grow several solutions step by step and keep those whose steps a verifier scores best."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError, nearest
from tttlab.protocols import BranchHandle, Think, Verifier
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Message, Problem

STEP = """{problem}

Solve it step by step, with a blank line after each step. The last step says "The answer is" and the answer."""
SCORE = """{problem}

A partial solution:

{steps}

How likely is it that its last step is correct and leads to the right answer? \
The last line says "Score: N", where N is a whole number from 0 (wrong) to 10 (certainly right)."""
NEXT = "Write only the next step."

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "prod": math.prod,
    "last": lambda scores: scores[-1],
    "mean": lambda scores: sum(scores) / len(scores),
}
_FINAL = re.compile(r"answer\s*(?:is|:|=)|####|\\boxed", re.IGNORECASE)
_TOP = 10
_SCORE = re.compile(r"score[^\w-]*(\d{1,3}(?:\.\d+)?)", re.IGNORECASE)


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
        _one_of("aggregation", self.aggregation, AGGREGATIONS)
        _one_of("select", self.select, ("weighted", "majority", "best"))
        if not self.separator:
            raise OptionError("separator='' ends no step: give the text between two steps, such as a blank line")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        search = _Search(self, problem, think)
        await search.run()
        return search.answer or think.propose(None, confidence=0.0)


@dataclass(slots=True, eq=False)
class _Beam:
    branch: BranchHandle | None = None
    steps: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    score: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class _Search:
    how: BeamSearch
    problem: Problem
    think: Think
    answer: Answer | None = None
    finished: list[_Beam] = field(default_factory=list)

    async def run(self) -> None:
        how, kept = self.how, self.how.n // self.how.beam_width
        trees: list[list[_Beam]] = [[_Beam()]]
        if how.diverse:
            trees = [[self.tree(number)] for number in range(kept)]
        for iteration in range(how.num_iterations):
            width = how.beam_width if iteration or how.diverse else how.n
            grown = iter(await self.grow([beam for tree in trees for beam in tree], width))
            children = [[child for _ in tree for child in next(grown)] for tree in trees]
            await self.judge([child for tree in children for child in tree])
            trees = [frontier for tree in children if (frontier := self.keep(tree, 1 if how.diverse else kept))]
            self.offer(trees)
            if not trees or len(self.finished) >= how.n:
                break

    def tree(self, number: int) -> _Beam:
        with self.think.branch(tree=number) as branch:
            return _Beam(branch)

    def keep(self, children: Sequence[_Beam], width: int) -> list[_Beam]:
        """Set the finished beams aside and choose which of the others go on; in a diverse search the best one does."""
        competing = children if self.how.diverse else [child for child in children if not child.finished]
        best = _by_score(competing)[:width]
        done = [child for child in children if child.finished and (not self.how.diverse or child in best)]
        self.finished += done
        for child in children:
            if child.branch is not None:
                child.branch.mark(state="selected" if child in best or child in done else "pruned")
        return [child for child in best if not child.finished]

    async def grow(self, beams: Sequence[_Beam], width: int) -> list[list[_Beam]]:
        """For each beam its `width` next ones, each in a branch of its own."""

        async def expand(beam: _Beam) -> list[_Beam]:
            try:
                steps = await self.next_steps(beam.steps, n=width, temperature=self.how.temperature)
            except CallError as error:
                if beam.branch is None or not beam.steps:
                    raise
                beam.branch.mark(state="failed", reason=str(error))
                return []
            if beam.branch is not None:
                beam.branch.mark(state="expanded")
            return [self.child(beam, step) for step in steps]

        if beams[0].branch is None:
            return [await expand(beams[0])]
        return await self.think.map(expand, beams, branches=_branches(beams))

    def child(self, beam: _Beam, step: str) -> _Beam:
        with self.think.branch(beam.branch, step=step) as branch:
            finished = not step or _FINAL.search(step) is not None
            steps = (*beam.steps, step) if step else beam.steps
            return _Beam(branch, steps, beam.scores, finished=finished)

    async def next_steps(self, steps: Sequence[str], *, n: int, temperature: float) -> list[str]:
        how = self.how
        messages = [Message("user", _fill(how.step_prompt, problem=self.problem.prompt))]
        if steps:
            so_far = how.separator.join(steps)
            prefix = self.think.can.prefix
            messages.append(Message("assistant", so_far + how.separator if prefix else so_far))
            messages += [] if prefix else [Message("user", NEXT)]
        replies = await self.think.complete(
            messages, n=n, temperature=temperature, max_tokens=how.max_tokens, stop=(how.separator,)
        )
        return [reply.text.strip().split(how.separator)[0].strip() for reply in replies]

    async def judge(self, beams: Sequence[_Beam]) -> None:
        async def score(beam: _Beam) -> None:
            if len(beam.steps) > len(beam.scores):  # An empty step adds none.
                beam.scores = (*beam.scores, await self.score(await self.looked_ahead(beam)))
            beam.score = AGGREGATIONS[self.how.aggregation](beam.scores) if beam.scores else 0.0
            if beam.branch is not None:
                beam.branch.mark(score=beam.score)

        await self.think.map(score, beams, branches=_branches(beams))

    async def looked_ahead(self, beam: _Beam) -> Sequence[str]:
        steps, finished = beam.steps, beam.finished
        for _ in range(self.how.lookahead):
            if finished:
                break
            try:
                [step] = await self.next_steps(steps, n=1, temperature=0.0)
            except CallError:
                break
            steps = (*steps, step) if step else steps
            finished = not step or _FINAL.search(step) is not None
        return steps

    async def score(self, steps: Sequence[str]) -> float:
        text = self.how.separator.join(steps)
        if self.how.verifier is not None:
            verdict = await self.think.verify(self.how.verifier, self.problem, text)
            return verdict.score if verdict.score is not None and math.isfinite(verdict.score) else 0.0
        prompt = _fill(self.how.score_prompt, problem=self.problem.prompt, steps=text)
        try:
            [reply] = await self.think.complete(
                prompt, role="evaluator", temperature=0.0, max_tokens=self.how.max_tokens
            )
        except CallError:
            return 0.0
        found = _SCORE.findall(reply.text)
        return float(found[-1]) / _TOP if found and float(found[-1]) <= _TOP else 0.0

    def offer(self, trees: Sequence[Sequence[_Beam]]) -> None:
        """Propose what the finished beams elect, or while there are none, what the best of the others has."""
        beams = self.finished or [beam for tree in trees for beam in tree]
        if not beams:
            return
        votes: dict[str, float] = {}
        weighted = self.how.select != "majority" and any(beam.score > 0 for beam in beams)
        weigh: Callable[[_Beam], float] = (lambda beam: max(beam.score, 0.0)) if weighted else (lambda _: 1.0)
        answers = [(beam, self.extract(beam)) for beam in beams]
        for beam, value in answers:
            if value is not None:
                votes[value] = votes.get(value, 0.0) + weigh(beam)
        winner = leader(votes)
        if self.how.select == "best" or not self.finished:
            stated = [beam for beam, value in answers if value is not None]
            winner = self.extract(_by_score(stated)[0]) if stated else None
        total = sum(weigh(beam) for beam in beams)
        confidence = votes[winner] / total if winner is not None and total else 0.0
        last = self.answer
        if last is None or (last.value, last.confidence, last.votes) != (winner, confidence, votes or None):
            self.answer = self.think.propose(winner, confidence=confidence, votes=votes)

    def extract(self, beam: _Beam) -> str | None:
        return self.problem.extract(self.how.separator.join(beam.steps)) if beam.steps else None


def _by_score(beams: Iterable[_Beam]) -> list[_Beam]:
    return sorted(beams, key=lambda beam: -beam.score)


def _branches(beams: Iterable[_Beam]) -> list[BranchHandle]:
    return [beam.branch for beam in beams if beam.branch is not None]


def _fill(template: str, **given: str) -> str:
    return re.sub(rf"\{{({'|'.join(given)})\}}", lambda match: given[match[1]], template)


def _one_of(name: str, value: str, valid: Iterable[str]) -> None:
    if value not in valid:
        raise OptionError(f"{name}={value!r} is not a choice{nearest(value, valid)}")
