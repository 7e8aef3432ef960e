"""Ask the model itself whether a candidate is true."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from tttlab.checks import at_least
from tttlab.protocols import Think
from tttlab.types import Completion, Message, Problem, Verdict

PROMPT = """Question: {question}

Proposed answer: {candidate}

Is the proposed answer:
(A) True
(B) False

Reply with the letter alone."""
OPENING = "The proposed answer is: ("
_LETTER = re.compile(r"[\W_]*([AB])(?![A-Za-z])|\b(true|false)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfEvaluation:
    """P(True) (Kadavath et al., 2022): the run's model is asked whether the candidate is true; the score is P(A).

    The probabilities of the letters A and B, among the alternatives recorded at the first letter, are scaled to sum to
    1; a letter that is not among them counts as 0. Passes at `threshold`. One call of a few tokens, in the role
    `evaluator`; needs a model that gives log-probabilities, and no reference. Not calibrated in small models, which
    may prefer a letter whatever is asked. A reply without a letter gives a verdict with an error.
    """

    threshold: float = 0.5
    alternatives: int = 10
    max_tokens: int = 8
    needs: ClassVar[tuple[str, ...]] = ("logprobs",)

    def __post_init__(self) -> None:
        at_least(0, threshold=self.threshold)
        at_least(1, alternatives=self.alternatives, max_tokens=self.max_tokens)

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        asked = [Message("user", PROMPT.format(question=problem.prompt, candidate=candidate))]
        if think.can.prefix:
            asked.append(Message("assistant", OPENING))
        # At temperature 1 the log-probabilities are the model's own, on either side of the sampling transforms.
        [reply] = await think.complete(
            asked, temperature=1.0, max_tokens=self.max_tokens, logprobs=self.alternatives, role="evaluator"
        )
        score = _probability(reply)
        if score is None:
            return Verdict(score=None, error=f"the model's reply names neither A nor B: {reply.text[:80]!r}")
        return Verdict(score=score, passed=score >= self.threshold, explanation=f"P(True) = {score:.3f}")


def _probability(reply: Completion) -> float | None:
    for token in reply.tokens:
        if not _bare(token.text):
            continue
        weights = {"A": 0.0, "B": 0.0}
        for text, logprob in zip(token.top.texts, token.top.logprobs, strict=True):
            if _bare(text) in weights:
                weights[_bare(text)] += math.exp(logprob)
        if total := sum(weights.values()):
            return weights["A"] / total
        break
    found = _LETTER.match(reply.text)
    return None if found is None else float((found[1] or found[2]).lower() in ("a", "true"))


def _bare(text: str) -> str:
    return text.strip(" \n\t().:*\"'")
