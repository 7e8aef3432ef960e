"""Break the question into easier ones and answer them in turn, each with the answers before it."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think
from tttlab.strategies.steps import questions_in
from tttlab.types import Answer, Message, Problem

DECOMPOSE = """\
List up to {most} easier questions that must be answered first, the easiest first, to answer the question below. Only
write questions, one a line, each ending with a question mark.

Question: {question}

Easier questions:"""
PART = """\
{question}

To answer this, first answer only this: {part}"""
NEXT = "Now answer only this: {part}"
WHOLE = """\
Now answer the question itself:

{question}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastToMost:
    """Decompose, then solve from the least to the whole (least-to-most prompting, Zhou et al., 2022), zero-shot.

    At most `parts` easier questions are taken from the decomposition; each is answered in a turn that sees the problem
    and all parts before it with their answers, and last the question itself. A decomposition without a question leaves
    the question alone to be asked, and a part whose call fails or says nothing is left out. Until the question itself
    is answered, the answer of the latest part stands in for it: it is an answer to something else, and seldom right.
    Costs 2 calls and one for each part, over a prompt that grows. Not a search: one decomposition, never revised, and
    an error in a part is carried on.
    """

    parts: int = 4
    temperature: float = 0.0
    max_tokens: int = 512
    decompose_tokens: int = 192
    part_tokens: int = 192

    def __post_init__(self) -> None:
        at_least(0, temperature=self.temperature)
        at_least(
            1,
            parts=self.parts,
            max_tokens=self.max_tokens,
            decompose_tokens=self.decompose_tokens,
            part_tokens=self.part_tokens,
        )

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        asked = DECOMPOSE.format(question=problem.prompt, most=self.parts)
        [decomposition] = await think.complete(
            asked, role="proposer", temperature=self.temperature, max_tokens=self.decompose_tokens
        )
        turns: list[Message] = []
        for part in parts_in(decomposition.text, problem.prompt)[: self.parts]:
            with think.branch(part=part) as branch:
                asked = (NEXT if turns else PART).format(question=problem.prompt, part=part)
                turn = Message("user", asked)
                try:
                    [solved] = await think.complete(
                        [*turns, turn], temperature=self.temperature, max_tokens=self.part_tokens
                    )
                except CallError as error:
                    branch.mark(state="failed", reason=str(error))
                    continue
                if not solved.text.strip():
                    branch.mark(state="pruned", reason="nothing was said")
                    continue
                turns += [turn, Message("assistant", solved.text)]
                branch.mark(state="selected")
                think.propose(problem.extract(solved.text))
        last = WHOLE.format(question=problem.prompt) if turns else problem.prompt
        [whole] = await think.complete(
            [*turns, Message("user", last)], temperature=self.temperature, max_tokens=self.max_tokens
        )
        return think.propose(problem.extract(whole.text))


def parts_in(decomposition: str, question: str) -> list[str]:
    """The questions of a decomposition, but for the question itself."""
    return [part for part in questions_in(decomposition) if part.lower() != question.strip().lower()]
