"""Pure rules for spreading a budget over problems: whose sample comes next, from the votes and the costs so far.

No rule sees a reference, and a problem's right answer never decides its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tttlab.strategies.adaptive_consistency import dirichlet_stability
from tttlab.strategies.selection import ranked

RULES = ("posterior", "difficulty", "uniform")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A problem's vote so far. `seen` counts the samples that came, abstentions included; `failed` the others."""

    votes: Mapping[str, int]
    seen: int = 0
    failed: int = 0
    counts: tuple[int, ...] = field(init=False, repr=False)
    """The votes without their names, largest first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _counts(self.votes))

    @property
    def drawn(self) -> int:
        """All samples that were asked for and have ended."""
        return self.seen + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a rule knows of one problem. Costs are in the budget's own unit."""

    ballot: Ballot
    pending: int = 0
    """Samples granted in this round already."""
    spent: float = 0.0
    cost: float = 1.0
    """Predicted, of one more sample."""
    is_predicted: bool = True
    """False before anything was drawn: then `cost` is 1, as for all others."""
    share: float = 0.0
    """Of the budget, where the rule goes by shares."""

    @property
    def samples(self) -> int:
        """Drawn and granted ones."""
        return self.ballot.drawn + self.pending


def stability(votes: Mapping[str, int], more: int = 0) -> float:
    """The posterior probability that the leader is the model's most frequent answer, after `more` votes for it.

    By the Dirichlet rule of Adaptive-Consistency (Aggarwal et al., 2023); with two answers or fewer it is its Beta
    rule. 0 without votes.
    """
    return _stability(_counts(votes), more)


def posterior_gain(ballot: Ballot, pending: int = 0) -> float:
    """What one more sample may add to `stability`: (S(v1 + 1, v2, ...) - S(v1, v2, ...)) (votes + 1) / (seen + 2).

    The difference is the optimistic knowledge gradient (Chen, Lin and Zhou, 2013, for budgets of crowd labels): the
    gain in the better outcome. The mean over outcomes would be of no use: it is 0 wherever one vote cannot change the
    leader. The factor, ours, is the chance that a sample votes at all, by the rule of succession: abstentions stay in
    the denominator. Of `pending` samples the better outcome is assumed as well.
    """
    rise = _stability(ballot.counts, pending + 1) - _stability(ballot.counts, pending)
    return max(0.0, rise) * (sum(ballot.counts) + 1) / (ballot.seen + 2)


def disagreement(ballot: Ballot) -> float:
    """A difficulty in (0, 1) from first samples: 1 - (v1 + 1) / (seen + 2).

    By the rule of succession, the chance that another sample is not the leader's. An abstention agrees with nobody.
    """
    lead = max(ballot.votes.values(), default=0)
    return 1 - (lead + 1) / (ballot.seen + 2)


def shares(difficulties: Iterable[float]) -> list[float]:
    """Shares of the budget in proportion to difficulties; equal ones where all are 0."""
    given = list(difficulties)
    total = sum(given)
    return [each / total if total > 0 else 1 / len(given) for each in given]


def is_satisfied(rule: str, standing: Standing, threshold: float) -> bool:
    """Whether a problem needs no more: its vote is stable (`posterior`), or its share is 0 (the other rules)."""
    if rule == "posterior":
        return _stability(standing.ballot.counts, standing.pending) >= threshold
    return standing.share <= 0


def priority(rule: str, standing: Standing) -> float:
    """The larger, the sooner: gain for its cost (`posterior`), or how far the problem is behind its share.

    The latter is share / (spent + cost of the samples granted and one more): the divisor method of d'Hondt, with
    the budget for seats. Where a problem can take no more, the others divide the rest likewise.
    """
    if rule == "posterior":
        return posterior_gain(standing.ballot, standing.pending) / standing.cost
    return standing.share / (standing.spent + (standing.pending + 1) * standing.cost)


def most_urgent(rule: str, standings: Sequence[Standing] | Mapping[int, Standing], among: Iterable[int]) -> int | None:
    """The index of the standing with the largest priority, the first of equals; None where there is none."""
    return max(among, key=lambda index: (priority(rule, standings[index]), -index), default=None)


def _counts(votes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(int(weight) for _, weight in ranked(votes))


@lru_cache(maxsize=4096)
def _stability(counts: tuple[int, ...], more: int) -> float:
    """The rule itself, once for each set of counts: it is an integral, and asked for again with each decision."""
    first, *others = counts or (0,)
    return dirichlet_stability({str(place): count for place, count in enumerate([first + more, *others]) if count})
