"""Sample n candidates, score each, and select one."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError
from tttlab.protocols import BranchHandle, Model, Strategy, Think, Verifier
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Problem

Selection = Literal["argmax", "majority", "weighted", "tournament"]
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


@dataclass(slots=True, kw_only=True, eq=False)
class Candidate:
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
        if self.selection not in SELECTIONS:
            raise OptionError(f"the selection {self.selection!r} is not known: there are {', '.join(SELECTIONS)}")
        if self.judged not in ("completion", "answer"):
            raise OptionError(f"{self.judged!r} cannot be judged: it is completion or answer")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        candidates: list[Candidate] = []
        failures: list[CallError] = []
        answer = Answer(value=None)
        if self.inner is None:
            async with think.sample(
                problem.prompt, n=self.samples, temperature=self.temperature, max_tokens=self.max_tokens
            ) as samples:
                async for completion in samples:
                    likelihood = None if completion.mean_logprob is None else math.exp(completion.mean_logprob)
                    value = problem.extract(completion.text)
                    answer = await self._add(candidates, completion.text, value, likelihood, problem, think)
        else:
            for start in range(0, self.samples, self.batch):
                for inner in await self._solve(min(self.batch, self.samples - start), problem, think):
                    if isinstance(inner, Answer):
                        text = inner.value or ""
                        answer = await self._add(candidates, text, inner.value, inner.confidence, problem, think)
                    else:
                        failures.append(inner)
            if failures and not candidates:
                raise failures[0]
        if self.selection == "tournament":
            return await self._tournament(candidates, problem, think) or answer
        return answer

    async def _solve(self, n: int, problem: Problem, think: Think) -> list[Answer | CallError]:
        async def attempt(strategy: Strategy) -> Answer | CallError:
            try:
                return await think.solve(strategy, problem)
            except CallError as error:
                return error

        return await think.map(attempt, [self.inner] * n if self.inner else [])

    async def _add(
        self,
        candidates: list[Candidate],
        text: str,
        value: str | None,
        score: float | None,
        problem: Problem,
        think: Think,
    ) -> Answer:
        with think.branch(candidate=len(candidates)) as branch:
            if value is not None and self.verifier is not None:
                judged = text if self.judged == "completion" else value
                verdict = await think.verify(self.verifier, problem, judged)
                passed = None if verdict.passed is None else float(verdict.passed)
                score = passed if verdict.score is None else verdict.score
            known = value is not None and score is not None and math.isfinite(score)
            kept = score if known else None
            candidates.append(Candidate(index=len(candidates), text=text, value=value, score=kept, branch=branch))
            if score is not None and known:
                branch.mark(score=score, answer=value or "")
        return self._propose(candidates, think)

    def _propose(self, candidates: Sequence[Candidate], think: Think) -> Answer:
        chosen, confidence, votes = select(candidates, self.selection)
        for candidate in candidates:
            candidate.mark("selected" if candidate in chosen else "pruned")
        return think.propose(chosen[0].value if chosen else None, confidence=confidence, votes=votes)

    async def _tournament(self, candidates: Sequence[Candidate], problem: Problem, think: Think) -> Answer | None:
        async def play(match: tuple[Candidate, Candidate]) -> Candidate:
            return await self._winner(*match, problem, think)

        left, answer = [candidate for candidate in candidates if candidate.value is not None], None
        while len(left) > 1:
            winners = await think.map(play, zip(left[::2], left[1::2], strict=False))
            left = left[len(winners) * 2 :] + winners  # Whoever had no opponent is the first to play now.
            chosen = select(left, "majority")[0] if len(left) > 1 else left
            for candidate in candidates:
                candidate.mark("selected" if candidate in chosen else "pruned")
            answer = think.propose(chosen[0].value)
        return answer

    async def _winner(self, first: Candidate, second: Candidate, problem: Problem, think: Think) -> Candidate:
        """The winner of one match, judged in both orders; one between like answers needs no judge."""
        if first.value == second.value:
            return first
        points = Counter[str]()
        for a, b in ((first, second), (second, first)):
            prompt = COMPARE.format(question=problem.prompt, first=a.text, second=b.text)
            try:
                [said] = await think.complete(
                    prompt, role="judge", model=self.judge, temperature=0.0, max_tokens=self.judge_tokens
                )
            except CallError:
                continue
            if picks := _BETTER.findall(said.text):
                points[(a if picks[-1].upper() == "A" else b).value or ""] += 1
        lead = points[first.value or ""] - points[second.value or ""]
        if lead == 0:
            pair = sorted((first, second), key=lambda candidate: candidate.index)
            return best(pair) or pair[0]
        return first if lead > 0 else second


def best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The highest score, the first among equals; None where nothing was scored."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    return max(scored, key=lambda candidate: candidate.score or 0.0) if scored else None


def select(
    candidates: Sequence[Candidate], selection: Selection
) -> tuple[list[Candidate], float | None, dict[str, float] | None]:
    """The candidates behind the answer, its confidence, and the votes, where it was voted for."""
    answered = [candidate for candidate in candidates if candidate.value is not None]
    if selection == "argmax" and (winner := best(answered)):
        score = winner.score or 0.0
        return [winner], score if 0 <= score <= 1 else None, None
    votes: dict[str, float] = {}
    for candidate in answered:
        weight = max(candidate.score or 0.0, 0.0) if selection == "weighted" else 1.0
        votes[candidate.value or ""] = votes.get(candidate.value or "", 0.0) + weight
    if answered and not any(votes.values()):
        return select(candidates, "majority")
    chosen = leader(votes)
    if chosen is None:
        return [], 0.0, None
    share = votes[chosen] / sum(votes.values()) * len(answered) / len(candidates)
    behind = [candidate for candidate in answered if candidate.value == chosen]
    return (behind, None, None) if selection == "tournament" else (behind, share, votes)
