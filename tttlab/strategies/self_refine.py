"""Have the model criticise its own answer and revise it."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import BranchHandle, Think
from tttlab.types import Answer, Message, Problem

CRITIQUE = """\
{question}

A proposed answer:

{draft}

Check it step by step and say precisely what is wrong with it and how to mend it. If nothing is wrong, write only this
line: {stop_phrase}"""
REVISE = """\
Feedback on your answer:

{critique}

Improve your answer by this feedback, and give the whole of it again with its final answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRefine:
    """Generate, criticise, revise, with one model in all three parts (Self-Refine, Madaan et al., 2023).

    A critique sees the question and the latest answer; a revision sees all earlier answers and critiques. It stops
    after `max_rounds`, when a line of the critique is `stop_phrase` (upper and lower case alike), or when a critique
    says nothing: the rule reads the critique's text alone and never sees the reference. A revision in which no answer
    is found leaves the earlier answer standing, and a call that fails ends the rounds with it. Costs 1 + 2 `max_rounds`
    calls at most, over a prompt that grows.

    The latest revision wins, better or not: such self-correction without feedback from outside often LOWERS accuracy
    (Huang et al., 2023). Compare with `self_consistency` at equal tokens, and see each round on the curve. Not a
    verifier: the model's own content is no evidence that the answer is right.
    """

    max_rounds: int = 3
    temperature: float = 0.7
    max_tokens: int = 512
    critique_tokens: int = 256
    stop_phrase: str = "No changes needed"

    def __post_init__(self) -> None:
        at_least(0, max_rounds=self.max_rounds, temperature=self.temperature)
        at_least(1, max_tokens=self.max_tokens, critique_tokens=self.critique_tokens)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        turns = [Message("user", problem.prompt)]
        [draft] = await think.complete(turns, temperature=self.temperature, max_tokens=self.max_tokens)
        turns.append(Message("assistant", draft.text))
        answer = think.propose(problem.extract(draft.text))
        standing: BranchHandle | None = None
        for number in range(1, self.max_rounds + 1):
            with think.branch(round=number) as branch:
                try:
                    revision = await self._revise(problem, turns, branch, think)
                except CallError as error:
                    branch.mark(state="failed", reason=str(error))
                    break
                if revision is None:
                    break
                if (value := problem.extract(revision)) is None:
                    branch.mark(state="pruned", reason="no answer was found in the revision")
                    continue
                answer = think.propose(value)
                branch.mark(state="selected")
                if standing:
                    standing.mark(state="expanded")
                standing = branch
        return answer

    async def _revise(self, problem: Problem, turns: list[Message], branch: BranchHandle, think: Think) -> str | None:
        """The next revision, added to `turns` with its critique; None where the critique says to stop."""
        asked = CRITIQUE.format(question=problem.prompt, draft=turns[-1].text, stop_phrase=self.stop_phrase)
        [critique] = await think.complete(
            asked, role="judge", temperature=self.temperature, max_tokens=self.critique_tokens
        )
        if stop := why_stop(critique.text, self.stop_phrase):
            branch.mark(state="expanded", reason=stop)
            return None
        turns.append(Message("user", REVISE.format(critique=critique.text.strip())))
        [revision] = await think.complete(
            turns, role="refiner", temperature=self.temperature, max_tokens=self.max_tokens
        )
        turns.append(Message("assistant", revision.text))
        return revision.text


def why_stop(critique: str, stop_phrase: str) -> str | None:
    """Why a critique ends the rounds: `satisfied` where a line of it is the phrase, `silent` if empty, else None."""
    lines = [_bare(line) for line in critique.splitlines() if line.strip()]
    if not lines:
        return "silent"
    return "satisfied" if _bare(stop_phrase) in lines else None


def _bare(line: str) -> str:
    return line.strip(" \t*_`\"'.!>-").lower()
