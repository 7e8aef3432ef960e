"""Ask what is cheap first, and go on to what is dearer where the answers disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError
from tttlab.protocols import Model, Strategy, Think
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Problem

Pair = tuple[Strategy, Model | str]
Step = int | str | Model | Strategy | Pair
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Steps from cheap to dear, left as soon as an answer can be trusted (FrugalGPT, Chen et al., 2023).

    Whether it can is read from the agreement of a step's samples (Yue et al., 2023). A step is a whole number (bring
    the vote of the run's model up to that many samples), a model or its name (a vote of `samples` of its
    completions), a strategy, or a pair of a strategy and the model that it asks. An answer is trusted where its
    confidence, of a vote the leader's share of all its samples, is at least `threshold`; one of a strategy that states
    no confidence, where an earlier step gave the same.
    If none is trusted, the last answer stands: of the last step that gave one. A step that fails is passed over.
    Costs the steps taken, so easy problems cost little and hard ones the sum of all. Not a router: it does not guess
    beforehand which step a problem needs, it pays for the cheap ones first.
    """

    steps: tuple[Step, ...] = (3, 8, 16)
    threshold: float = 0.8
    samples: int = 3
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples, max_tokens=self.max_tokens)
        at_least(0, threshold=self.threshold, temperature=self.temperature)
        if not isinstance(self.steps, tuple) or not self.steps:
            raise OptionError(f"the steps {self.steps!r} cannot be taken: give a tuple, such as steps=(3, 8, 16)")
        for step in self.steps:
            if isinstance(step, int):
                at_least(1, step=step)
            elif not _is_pair(step) and not isinstance(step, str | Model) and not callable(step):
                raise OptionError(
                    f"{step!r} is not a step: give a number of samples, a model, a strategy, or (strategy, model)"
                )

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        own: Counter[str | None] = Counter()
        answers: list[Answer] = []
        failures: list[CallError] = []
        best, standing = Answer(value=None), None
        source: Step | None = None
        for index, step in enumerate(self.steps):
            # A few samples of another step are not better yet than the whole step before it.
            anytime = source is None or (isinstance(source, int) and isinstance(step, int))
            with think.branch(step=index, asked=_named(step)) as branch:
                try:
                    answer, proposed = await self._take(step, own, problem, think, anytime=anytime)
                except CallError as failure:
                    failures.append(failure)
                    branch.mark(state="failed")
                    continue
            branch.mark(state="pruned" if answer.value is None else "selected")
            if answer.confidence is not None:
                branch.mark(score=answer.confidence)
            if answer.value is not None:
                if standing:
                    standing.mark(state="pruned")
                standing, source = branch, step
            if answer.value is not None or best.value is None:
                best = answer
            if not proposed:
                best = think.propose(best.value, confidence=best.confidence, votes=best.votes)
            if self._trusts(answer, answers):
                break
            answers.append(answer)
        if failures and len(failures) == len(self.steps):
            raise failures[0]
        return best

    async def _take(
        self, step: Step, own: Counter[str | None], problem: Problem, think: Think, *, anytime: bool
    ) -> tuple[Answer, bool]:
        """The answer of a step, and whether it has been proposed already, sample by sample."""
        if isinstance(step, int):
            return await self._vote(None, step, own, problem, think, anytime=anytime), anytime
        if isinstance(step, str | Model):
            return await self._vote(step, self.samples, Counter(), problem, think, anytime=anytime), anytime
        strategy, model = step if isinstance(step, tuple) else (step, None)
        return await think.solve(strategy, problem, model=model), False

    async def _vote(
        self,
        model: Model | str | None,
        n: int,
        tally: Counter[str | None],
        problem: Problem,
        think: Think,
        *,
        anytime: bool,
    ) -> Answer:
        """Bring the tally (None counts abstentions) up to `n`; if `anytime`, its leader is the best so far."""
        answer = _counted(tally)
        if (missing := n - tally.total()) < 1:
            return answer
        async with think.sample(
            problem.prompt, n=missing, model=model, temperature=self.temperature, max_tokens=self.max_tokens
        ) as samples:
            async for completion in samples:
                tally[problem.extract(completion.text)] += 1
                answer = _counted(tally)
                if anytime:
                    answer = think.propose(answer.value, confidence=answer.confidence, votes=answer.votes)
        return answer

    def _trusts(self, answer: Answer, earlier: Sequence[Answer]) -> bool:
        if answer.value is None:
            return False
        if answer.confidence is None:
            return any(other.value == answer.value for other in earlier)
        return answer.confidence >= self.threshold


def _counted(tally: Counter[str | None]) -> Answer:
    votes = {value: float(count) for value, count in tally.items() if value is not None}
    winner = leader(votes)
    return Answer(value=winner, confidence=votes[winner] / tally.total() if winner else 0.0, votes=votes)


def _is_pair(step: object) -> bool:
    if not isinstance(step, tuple) or len(step) != _PAIR:
        return False
    strategy, model = step
    return callable(strategy) and isinstance(model, str | Model)


def _named(step: Step) -> str:
    if isinstance(step, int):
        return f"{step} samples"
    if isinstance(step, tuple):
        return " on ".join(map(_named, step))
    return step if isinstance(step, str) else str(getattr(step, "name", type(step).__name__))
