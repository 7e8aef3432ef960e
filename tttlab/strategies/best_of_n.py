"""Sample n candidates, score each, and select one."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import BranchHandle, Model, Strategy, Think, Verifier
from tttlab.strategies.selection import Selection, best, select
from tttlab.strategies.steps import one_of
from tttlab.types import Answer, Problem

SELECTIONS = ("argmax", "majority", "weighted", "tournament")
COMPARE = """Two solutions to the same problem follow. Which of them is more likely to be right?

Problem:
{question}

Solution A:
{first}

Solution B:
{second}

Compare them, then end with the line "Better: A" or "Better: B"."""
_BETTER = re.compile(r"better\W+(?:is\W+)?(?:solution\W+)?([AB])\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Best-of-n with a verifier (Cobbe et al., 2021), and the votes over the same scored samples.

    `selection`: `argmax` takes the highest score; `majority` counts; `weighted` adds up the scores of those that agree
    (Lightman et al., 2023; scores below 0 weigh nothing); `tournament` is a knockout in which `judge`, the run's model
    unless another is given, compares two solutions in both orders, and a drawn match goes to the higher score. Ties
    go to the first seen; candidates without an answer are not scored, never win, and count in the confidence of a
    vote. The confidence of `argmax` is the winner's score where that lies in [0, 1]; a tournament has none.

    The score is `verifier`'s, of the whole completion or of its `answer` alone (`judged`). Without a verifier it is
    exp(mean log-probability) of the completion; where a model gives none, the majority decides. With an `inner`
    strategy the candidates are its answers (`batch` at once, each in a branch), and their score its confidence.

    Costs `samples` calls (or runs of `inner`) and as many verdicts; a tournament at most 2 (samples - 1) more
    calls. Not an oracle: the best score is not the right answer, and the more samples, the better a wrong one can
    please a flawed verifier.
    """

    samples: int = 16
    selection: Selection = "argmax"
    verifier: Verifier | None = None
    judged: Literal["completion", "answer"] = "completion"
    inner: Strategy | None = None
    batch: int = 4
    judge: Model | str | None = None
    judge_tokens: int = 256
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, batch=self.batch, max_tokens=self.max_tokens, judge_tokens=self.judge_tokens)
        at_least(0, temperature=self.temperature)
        one_of(SELECTIONS, selection=self.selection)
        one_of(("completion", "answer"), judged=self.judged)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        pool = _Pool(self, problem, think)
        if self.inner is None:
            await self._sample(pool)
        else:
            await self._solve(self.inner, pool)
        if self.selection == "tournament":
            await pool.tournament()
        return pool.answer

    async def _sample(self, pool: _Pool) -> None:
        async with pool.think.sample(
            pool.problem.prompt, n=self.samples, temperature=self.temperature, max_tokens=self.max_tokens
        ) as samples:
            async for completion in samples:
                likelihood = None if completion.mean_logprob is None else math.exp(completion.mean_logprob)
                await pool.add(completion.text, pool.problem.extract(completion.text), likelihood)

    async def _solve(self, inner: Strategy, pool: _Pool) -> None:
        async def attempt(strategy: Strategy) -> Answer | CallError:
            try:
                return await pool.think.solve(strategy, pool.problem)
            except CallError as error:
                return error

        failures: list[CallError] = []
        for start in range(0, self.samples, self.batch):
            for ended in await pool.think.map(attempt, [inner] * min(self.batch, self.samples - start)):
                if isinstance(ended, Answer):
                    await pool.add(ended.value or "", ended.value, ended.confidence)
                else:
                    failures.append(ended)
        if failures and not pool.candidates:
            raise failures[0]


@dataclass(slots=True, kw_only=True, eq=False)
class _Candidate:
    """One candidate, with its score, where it has one, and the branch that records both."""

    index: int
    text: str
    value: str | None
    score: float | None
    branch: BranchHandle
    state: str = "open"

    def mark(self, state: str) -> None:
        """Record whether it is `selected` or `pruned`, where that is news."""
        if state != self.state:
            self.state = state
            self.branch.mark(state=state)


@dataclass(slots=True)
class _Pool:
    """The candidates so far, and the answer that they give."""

    how: BestOfN
    problem: Problem
    think: Think
    candidates: list[_Candidate] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: Answer(value=None))

    async def add(self, text: str, value: str | None, score: float | None) -> None:
        """Take in one candidate more, scored in a branch of its own, and select again."""
        with self.think.branch(candidate=len(self.candidates)) as branch:
            if value is not None and self.how.verifier is not None:
                judged = text if self.how.judged == "completion" else value
                verdict = await self.think.verify(self.how.verifier, self.problem, judged)
                passed = None if verdict.passed is None else float(verdict.passed)
                score = passed if verdict.score is None else verdict.score
            if value is None or score is None or not math.isfinite(score):
                score = None
            else:
                branch.mark(score=score, answer=value)
        self.candidates.append(
            _Candidate(index=len(self.candidates), text=text, value=value, score=score, branch=branch)
        )
        chosen, confidence, votes = select(self.candidates, self.how.selection)
        self.propose(chosen, confidence, votes)

    def propose(
        self, chosen: list[_Candidate], confidence: float | None = None, votes: dict[str, float] | None = None
    ) -> None:
        for candidate in self.candidates:
            candidate.mark("selected" if candidate in chosen else "pruned")
        self.answer = self.think.propose(chosen[0].value if chosen else None, confidence=confidence, votes=votes)

    async def tournament(self) -> None:
        """Knock out one of each pair until one is left; while several are, their majority is proposed."""
        left = [candidate for candidate in self.candidates if candidate.value is not None]
        while len(left) > 1:
            winners = await self.think.map(self.match, zip(left[::2], left[1::2], strict=False))
            left = left[len(winners) * 2 :] + winners  # Whoever had no opponent is the first to play now.
            self.propose(select(left, "majority")[0] if len(left) > 1 else left)

    async def match(self, pair: tuple[_Candidate, _Candidate]) -> _Candidate:
        """The winner, judged in both orders; a draw goes by score; like answers need no judge."""
        first, second = pair
        if first.value == second.value:
            return first
        points = Counter[str | None]()
        for a, b in ((first, second), (second, first)):
            prompt = COMPARE.format(question=self.problem.prompt, first=a.text, second=b.text)
            try:
                [said] = await self.think.complete(
                    prompt, role="judge", model=self.how.judge, temperature=0.0, max_tokens=self.how.judge_tokens
                )
            except CallError:
                continue
            if picks := _BETTER.findall(said.text):
                points[a.value if picks[-1].upper() == "A" else b.value] += 1
        lead = points[first.value] - points[second.value]
        if lead == 0:
            in_order = sorted(pair, key=lambda candidate: candidate.index)
            return best(in_order) or in_order[0]
        return first if lead > 0 else second
