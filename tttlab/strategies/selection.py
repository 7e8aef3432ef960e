"""Pure rules for choosing among answers. No rule sees a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

Selection = Literal["argmax", "majority", "weighted", "tournament"]


class Scored(Protocol):
    """A candidate with its answer (None abstains) and its score (None where it has none)."""

    @property
    def value(self) -> str | None:
        """The answer."""
        ...

    @property
    def score(self) -> float | None:
        """The score, finite."""
        ...


AnyScored = TypeVar("AnyScored", bound=Scored)


def ranked(votes: Mapping[str, float]) -> list[tuple[str, float]]:
    """Answers by weight, heaviest first; among equals the one that was voted for first (insertion order)."""
    return sorted(votes.items(), key=lambda item: -item[1])


def leader(votes: Mapping[str, float]) -> str | None:
    """The heaviest answer, the earliest among equals; None where nobody voted."""
    return ranked(votes)[0][0] if votes else None


def tally(ballots: Iterable[tuple[str | None, float]]) -> tuple[dict[str, float], float]:
    """The weight behind each answer, and the weight of all ballots, those that abstain (None) included.

    A weight below 0 weighs nothing; where no ballot weighs anything, each counts as 1.
    """
    listed = list(ballots)
    flat = all(weight <= 0 for _, weight in listed)
    weights = [1.0 if flat else max(weight, 0.0) for _, weight in listed]
    votes: dict[str, float] = {}
    for (value, _), weight in zip(listed, weights, strict=True):
        if value is not None:
            votes[value] = votes.get(value, 0.0) + weight
    return votes, sum(weights)


def is_decided(votes: Mapping[str, float], remaining: int) -> bool:
    """Whether no `remaining` further votes of weight 1 can change the leader.

    A tie goes to the answer that was voted for first, so a runner-up that came first needs only to draw level.
    """
    order = ranked(votes)
    if not order:
        return False
    first, lead = order[0]
    if remaining > lead:  # An answer not seen yet must become strictly heavier, since it would come last.
        return False
    early = list(votes)
    for value, weight in order[1:]:
        needs = lead if early.index(value) < early.index(first) else lead + 1
        if weight + remaining >= needs:
            return False
    return True


def best(candidates: Iterable[AnyScored]) -> AnyScored | None:
    """The highest score, the first among equals; None where nothing was scored."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    return max(scored, key=lambda candidate: candidate.score or 0.0) if scored else None


def select(
    candidates: Sequence[AnyScored], selection: Selection
) -> tuple[list[AnyScored], float | None, dict[str, float] | None]:
    """The candidates behind the answer, its confidence, and the votes, where it was voted for.

    An `argmax` without scores is a majority; a `tournament` is led by the majority until it is played, and has neither
    confidence nor votes.
    """
    answered = [candidate for candidate in candidates if candidate.value is not None]
    if selection == "argmax" and (winner := best(answered)):
        score = winner.score or 0.0
        return [winner], score if 0 <= score <= 1 else None, None
    weighted = selection == "weighted"
    votes, _ = tally((candidate.value, (candidate.score or 0.0) if weighted else 1.0) for candidate in answered)
    chosen = leader(votes)
    if chosen is None:
        return [], 0.0, None
    behind = [candidate for candidate in answered if candidate.value == chosen]
    share = votes[chosen] / sum(votes.values()) * len(answered) / len(candidates)
    return (behind, None, None) if selection == "tournament" else (behind, share, votes)
