"""Estimators by brute force: every subset of k samples, looked at one by one."""

from collections import Counter
from itertools import combinations
from statistics import fmean


def over_subsets(samples, k, choose):
    """The mean of `choose(subset)` over all subsets of k."""
    return fmean(choose(subset) for subset in combinations(samples, k))


def shared(leaders, right):
    """The share of the leaders that are right; none without leaders."""
    return sum(right[leader] for leader in leaders) / len(leaders) if leaders else 0.0


def majority(right):
    def choose(subset):
        counts = Counter(answer for answer, _ in subset if answer >= 0)
        return shared([each for each in counts if counts[each] == max(counts.values())], right)

    return choose


def weighted(right):
    def choose(subset):
        sums = {}
        for answer, score in subset:
            if answer >= 0:
                sums[answer] = sums.get(answer, 0) + score
        return shared([each for each in sums if sums[each] == max(sums.values())], right)

    return choose


def best(right):
    """Scores first; an answer without one next; an abstention only where there is nothing else."""

    def rank(sample):
        answer, score = sample
        return (answer >= 0, score is not None, score or 0) if answer >= 0 else (False, False, 0)

    def choose(subset):
        top = max(map(rank, subset))
        leaders = [answer for answer, score in subset if rank((answer, score)) == top]
        return fmean(right.get(leader, False) for leader in leaders)

    return choose
