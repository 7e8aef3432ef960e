"""Pure rules for choosing among answers. No rule sees a reference."""

from __future__ import annotations

from collections.abc import Mapping


def ranked(votes: Mapping[str, float]) -> list[tuple[str, float]]:
    """Answers by weight, heaviest first; among equals the one that was voted for first (insertion order)."""
    return sorted(votes.items(), key=lambda item: -item[1])


def leader(votes: Mapping[str, float]) -> str | None:
    """The heaviest answer, the earliest among equals; None where nobody voted."""
    return ranked(votes)[0][0] if votes else None


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
