"""How often intervals hold the truth: studies drawn from populations whose truth is known.

`python -m tests.experiments.coverage [studies]` prints the table (10,000 studies of each unless given).
"""

import sys

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binom, multinomial

from tttlab.experiments.estimators import majority_at_ks, pass_at_ks
from tttlab.experiments.intervals import bootstraps
from tttlab.experiments.proportions import jeffreys, tango

SAMPLES = 16
SHARES = (0.1, 0.3, 0.5, 0.8)
PAIRS = ((0.05, 0.05), (0.1, 0.1), (0.1, 0.02), (0.2, 0.05), (0.25, 0.15), (0.4, 0.1))
"""Shares of problems where the first method alone is right, and where the second is."""
AT_ONCE = 500


def of_shares(share, problems):
    """The coverage of the interval of a mean of zeros and ones, summed over every outcome: no simulation."""
    right = np.arange(problems + 1)
    low, high = jeffreys(right, problems, 0.95)
    return float(binom.pmf(right, problems, share)[(low <= share) & (share <= high)].sum())


def of_pairs(first, second, problems):
    """Likewise of a paired difference of zeros and ones."""
    gained, lost = np.meshgrid(np.arange(problems + 1), np.arange(problems + 1), indexing="ij")
    possible = gained + lost <= problems
    gained, lost = gained[possible], lost[possible]
    low, high = tango(gained, lost, problems, 0.95)
    outcomes = np.stack([gained, lost, problems - gained - lost], axis=1)
    chance = multinomial.pmf(outcomes, problems, [first, second, 1 - first - second])
    held = (low - 1e-9 <= first - second) & (first - second <= high + 1e-9)
    return float(chance[held].sum())


def populations(size, seed=0):
    """One value a problem for every statistic that is not of zeros and ones; difficulties are very unlike."""
    rng = np.random.default_rng(seed)
    made = {}
    for share in SHARES:
        chance = rng.beta(1.5 * share, 1.5 * (1 - share), (size, 1))
        correct = rng.random((size, SAMPLES)) < chance
        wrong = rng.integers(1, 5, correct.shape)
        answers = np.where(correct, 0, np.where(rng.random(correct.shape) < 0.1, -1, wrong)).astype(np.int32)
        better = rng.random((size, SAMPLES)) < expit(logit(np.clip(chance, 1e-9, 1 - 1e-9)) + 0.7)
        made[f"mean accuracy, p = {share}"] = correct.mean(axis=1)
        made[f"pass@4, p = {share}"] = pass_at_ks(correct, [4])[:, 0]
        made[f"maj@8, p = {share}"] = majority_at_ks(answers, correct, [8])[:, 0]
        made[f"paired gain in accuracy, p = {share}"] = better.mean(axis=1) - correct.mean(axis=1)
        made[f"maj@8 less one sample, p = {share}"] = made[f"maj@8, p = {share}"] - correct.mean(axis=1)
    return made


def of_population(values, problems, studies, seed=0):
    """The share of studies of so many problems whose interval of the mean holds that of the whole population."""
    rng = np.random.default_rng(seed)
    truth, held = values.mean(), 0
    for part in range(0, studies, AT_ONCE):
        drawn = rng.choice(values, (problems, min(AT_ONCE, studies - part)))
        # A difference is resampled whatever its values are, as `difference` does it.
        method = "bca" if values.min() < 0 else None
        held += sum(each.low <= truth <= each.high for each in bootstraps(drawn, seed=seed + part, method=method))
    return held / studies


def main(studies=10_000):
    print(f"{'nominal 95 %':44} {'n = 50':>8} {'n = 200':>8}")
    rows = {f"one sample, p = {share} (Jeffreys, exact)": (of_shares, (share,)) for share in SHARES}
    rows |= {f"paired, {a} against {b} (Tango, exact)": (of_pairs, (a, b)) for a, b in PAIRS}
    rows |= {f"{name} (resampled)": (of_population, (values,)) for name, values in populations(40_000).items()}
    for name, (cover, told) in rows.items():
        more = (studies,) if cover is of_population else ()
        print(f"{name:44} {cover(*told, 50, *more):8.4f} {cover(*told, 200, *more):8.4f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
