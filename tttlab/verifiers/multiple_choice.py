"""Compare the letter that a candidate chooses with the reference's."""

from __future__ import annotations

from dataclasses import dataclass

from tttlab.answers import find_extractor, normalise
from tttlab.protocols import Think
from tttlab.types import Problem, Verdict

_LETTERS = "abcdefghij"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoice:
    """Passes a candidate that chooses the reference's letter, A to J. An oracle: it needs the reference.

    The letter is that of the last statement of an answer ("the answer is (B)"), else the last that stands alone. Given
    the texts of the `choices`, in order, an answer or a reference that is one of them stands for its letter. A
    candidate that chooses none fails.
    """

    choices: tuple[str, ...] = ()

    async def __call__(self, problem: Problem, candidate: str, think: Think) -> Verdict:
        if problem.reference is None:
            return Verdict(score=None, error="the problem has no reference to compare with")
        wanted, chosen = self._letter(problem.reference), self._letter(candidate)
        if wanted is None:
            return Verdict(score=None, error="the reference is none of the choices")
        if chosen is None:
            return Verdict(score=0.0, passed=False, explanation="the candidate chooses none")
        passed = chosen == wanted
        return Verdict(
            score=float(passed), passed=passed, explanation=f"{chosen.upper()} is {'' if passed else 'not '}it"
        )

    def _letter(self, text: str) -> str | None:
        bare = text.strip().strip("().").lower()
        if len(bare) == 1 and bare in _LETTERS:
            return bare
        texts = [normalise(choice) for choice in self.choices]
        if (said := normalise(text)) in texts and said is not None:
            return _LETTERS[texts.index(said)]
        return find_extractor("choice")(text)
