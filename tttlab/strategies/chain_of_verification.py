"""Draft an answer, check it with questions that are answered apart from it, and revise."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import BranchHandle, Think
from tttlab.strategies.steps import questions_in
from tttlab.types import Answer, Problem

PLAN = """\
List up to {most} short questions whose answers would show whether the facts and steps of the draft below are right.
Only write questions, one a line, each ending with a question mark. Each must make sense by itself.

Problem: {question}

Draft: {draft}

Questions:"""
REVISE = """\
{question}

A draft of an answer:

{draft}

Questions that were asked to check it, each answered without sight of the draft:

{checks}

Where the draft and these answers disagree, correct it. Give the whole answer again with its final answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOfVerification:
    """Draft, plan checking questions, answer each apart from the draft, revise (Dhuliawala et al., 2023, factored).

    At most `questions` are asked, at once, each in a branch and a call of its own that shows neither the draft nor the
    problem nor the other questions, so that an error of the draft is not simply said again. Where no question can be
    found in the plan, or none is answered, the draft stands; so it does where no answer is found in the revision or
    its call fails. Costs 3 calls and one for each question. Not a verifier: the checks are the model's own knowledge,
    and there is no cross-checking stage of its own (the paper's factor-and-revise).
    """

    questions: int = 4
    temperature: float = 0.0
    max_tokens: int = 512
    plan_tokens: int = 192
    check_tokens: int = 96

    def __post_init__(self) -> None:
        at_least(0, temperature=self.temperature)
        at_least(
            1,
            questions=self.questions,
            max_tokens=self.max_tokens,
            plan_tokens=self.plan_tokens,
            check_tokens=self.check_tokens,
        )

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        [draft] = await think.complete(problem.prompt, temperature=self.temperature, max_tokens=self.max_tokens)
        answer = think.propose(problem.extract(draft.text))
        try:
            checks = await self._checks(problem, draft.text, think)
            if not checks:
                return answer
            asked = REVISE.format(question=problem.prompt, draft=draft.text, checks="\n\n".join(checks))
            [revised] = await think.complete(
                asked, role="refiner", temperature=self.temperature, max_tokens=self.max_tokens
            )
        except CallError:
            return answer
        value = problem.extract(revised.text)
        return answer if value is None else think.propose(value)

    async def _checks(self, problem: Problem, draft: str, think: Think) -> list[str]:
        """Each question with its answer, in the order of the plan; those that were not answered are left out."""
        asked = PLAN.format(question=problem.prompt, draft=draft, most=self.questions)
        [plan] = await think.complete(asked, role="proposer", temperature=self.temperature, max_tokens=self.plan_tokens)
        planned: list[tuple[str, BranchHandle]] = []
        for question in questions_in(plan.text)[: self.questions]:
            with think.branch(question=question) as branch:
                planned.append((question, branch))

        async def check(item: tuple[str, BranchHandle]) -> str | None:
            question, branch = item
            try:
                [said] = await think.complete(
                    question, role="verifier", temperature=self.temperature, max_tokens=self.check_tokens
                )
            except CallError as error:
                branch.mark(state="failed", reason=str(error))
                return None
            answered = said.text.strip()
            branch.mark(state="selected" if answered else "pruned")
            return f"Q: {question}\nA: {answered}" if answered else None

        checks = await think.map(check, planned, branches=[branch for _, branch in planned])
        return [each for each in checks if each]
