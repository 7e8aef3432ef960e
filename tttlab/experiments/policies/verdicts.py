"""What scoring samples costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tttlab.experiments.policies.draws import LATENCY, LOGPROB, Draws
from tttlab.experiments.pool import Numbers


def verdict_costs(draws: Draws, score: str, samples: int, told: Mapping[str, float] | None) -> dict[str, Numbers]:
    """In each unit, what the verdicts on the first samples with an answer cost, P x S.

    `told` is the cost of one verdict, by unit. Without it the pool is asked (its unit `tokens:NAME` is what the
    verifier NAME spent on each sample); a `mean_logprob` comes with its sample, and costs nothing; what any other score
    costs is then not known (NaN), and unknown is not zero.
    """
    units = [*(unit for unit in draws.pool.costs if ":" not in unit), LATENCY]
    answered = (draws.codes[:, :, :samples] >= 0).sum(axis=2)
    if told is not None or score == LOGPROB:
        return {unit: answered * (told or {}).get(unit, 0.0) for unit in units}
    found: dict[str, Numbers] = {}
    for unit in units:
        recorded = draws.pool.costs.get(f"{'seconds' if unit == LATENCY else unit}:{score}")
        if recorded is None:
            found[unit] = np.full(answered.shape, np.nan)
            continue
        each = np.where(draws.codes[:, :, :samples] >= 0, draws.ordered(recorded, samples), 0.0)
        found[unit] = each.max(axis=2, initial=0.0) if unit == LATENCY else each.sum(axis=2)
    return found
