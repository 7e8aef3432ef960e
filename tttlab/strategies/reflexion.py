"""Try, be told whether it was right, reflect in words, and try again with what was learnt."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import BranchHandle, Think, Verifier
from tttlab.types import Answer, Problem, Verdict

REMEMBER = """\
{question}

You have tried before and were not right. What you noted then:

{memory}"""
REFLECT = """\
{question}

Your attempt:

{attempt}

What was said of it: {feedback}

In a few sentences, say what went wrong and what you will do differently the next time."""
EVALUATE = """\
{question}

Proposed answer: {candidate}

Is the proposed answer right? Answer yes or no."""
_SAID = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


async def self_evaluation(problem: Problem, candidate: str, think: Think) -> Verdict:
    """The model's own yes or no to a candidate. What begins with neither is no verdict."""
    asked = EVALUATE.format(question=problem.prompt, candidate=candidate)
    [said] = await think.complete(asked, role="judge", temperature=0.0, max_tokens=8)
    if not (found := _SAID.match(said.text)):
        return Verdict(score=None, error="the model said neither yes nor no")
    passed = found[1].lower() == "yes"
    return Verdict(score=float(passed), passed=passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflexion:
    """Trials with verbal feedback carried from one to the next (Reflexion, Shinn et al., 2023).

    After each trial `verifier` judges the answer found in it (a trial without one has failed); the first that passes
    ends the run. After any other the model reflects on its attempt and what was said of it, and the next trial is given
    the last `memory` reflections. If none passes, the latest answer stands. Without a verifier the model judges
    itself, and where it says neither yes nor no it goes on. Costs 2 `trials` - 1 calls at most, and the verifier's.

    With an oracle for a verifier (`exact_match`, `numeric`) the reference decides when to stop: the strategy sees it
    only through the verdict, but its accuracy is then that of up to `trials` guesses with a referee, not to be compared
    with methods that have none. A verifier of your own may spell the reference out in its explanation, so the model is
    told only passed, failed or unknown, unless `explain` is set: for unit tests, say, whose messages are the feedback.
    Not training: nothing is learnt beyond the run. A trial after the first whose call fails ends the trials.
    """

    verifier: Verifier | None = None
    trials: int = 3
    memory: int = 3
    temperature: float = 0.7
    max_tokens: int = 512
    reflection_tokens: int = 128
    explain: bool = False

    def __post_init__(self) -> None:
        at_least(1, trials=self.trials, max_tokens=self.max_tokens, reflection_tokens=self.reflection_tokens)
        at_least(0, memory=self.memory, temperature=self.temperature)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        notes: list[str] = []
        answer: Answer | None = None
        standing: BranchHandle | None = None
        for number in range(1, self.trials + 1):
            with think.branch(trial=number) as branch:
                try:
                    attempt = await self._attempt(problem, notes, think)
                except CallError as error:
                    branch.mark(state="failed", reason=str(error))
                    if answer is None:
                        raise
                    break
                value, verdict = problem.extract(attempt), None
                if value is None:
                    branch.mark(state="pruned", reason="no answer was found in the trial")
                    answer = answer or think.propose(None)
                else:
                    answer = think.propose(value)
                    branch.mark(state="selected")
                    if standing:
                        standing.mark(state="expanded")
                    standing = branch
                    verdict = await think.verify(self.verifier or self_evaluation, problem, value)
                    if verdict.score is not None:
                        branch.mark(score=verdict.score)
                        answer = think.propose(value, confidence=min(1.0, max(0.0, verdict.score)))
                    if verdict.passed:
                        break
                if number < self.trials and (note := await self._reflect(problem, attempt, verdict, think)):
                    notes.append(note)
        return answer or Answer(value=None)

    async def _attempt(self, problem: Problem, notes: list[str], think: Think) -> str:
        memory = "\n".join(f"- {note}" for note in notes[-self.memory :]) if self.memory else ""
        asked = REMEMBER.format(question=problem.prompt, memory=memory) if memory else problem.prompt
        [attempt] = await think.complete(asked, temperature=self.temperature, max_tokens=self.max_tokens)
        return attempt.text

    async def _reflect(self, problem: Problem, attempt: str, verdict: Verdict | None, think: Think) -> str:
        """A note for the next trial; an empty one where the call fails."""
        asked = REFLECT.format(question=problem.prompt, attempt=attempt, feedback=self._feedback(verdict))
        try:
            [reflection] = await think.complete(
                asked, role="refiner", temperature=self.temperature, max_tokens=self.reflection_tokens
            )
        except CallError:
            return ""
        return " ".join(reflection.text.split())

    def _feedback(self, verdict: Verdict | None) -> str:
        if verdict is None:
            return "no answer can be found in it."
        said = "it is not known to be right." if verdict.passed is None else "it is wrong."
        return f"{said} {verdict.explanation}" if self.explain and verdict.explanation else said
