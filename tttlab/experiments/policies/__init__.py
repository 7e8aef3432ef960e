"""Policies replayed on recorded samples: what each would have answered, at what cost. No model is called.

A policy is a frozen dataclass of its parameters with one method: `policy.replay(pool, order)` takes each problem's
samples in each of the orders, as if they came one by one, and gives an `Outcome`. With random orders the mean is an
estimate over subsets; ties are parted evenly, so it is the expected correctness and not that of one coin. With the
recorded order the answers and the numbers of samples are those that the strategy of the same name gives.

Charged is what was recorded for each sample that a policy uses, and for each verdict where its score came from a
verifier. A host that draws several samples in one request counts their prompt in one of them: then a policy that uses a
part of them is charged a part of the prompt, on average.
"""

from __future__ import annotations

from tttlab.experiments.policies.adaptive_consistency import AdaptiveConsistency
from tttlab.experiments.policies.best_of_n import BestOfN
from tttlab.experiments.policies.cascade import Cascade
from tttlab.experiments.policies.confidence_filtering import ConfidenceFiltering
from tttlab.experiments.policies.early_stopping_consistency import EarlyStoppingConsistency
from tttlab.experiments.policies.order import Order
from tttlab.experiments.policies.outcome import Outcome, Policy
from tttlab.experiments.policies.self_consistency import SelfConsistency
from tttlab.experiments.policies.single_sample import SingleSample
from tttlab.experiments.policies.weighted_vote import WeightedVote
from tttlab.experiments.policies.within_budget import WithinBudget

__all__ = [
    "AdaptiveConsistency",
    "BestOfN",
    "Cascade",
    "ConfidenceFiltering",
    "EarlyStoppingConsistency",
    "Order",
    "Outcome",
    "Policy",
    "SelfConsistency",
    "SingleSample",
    "WeightedVote",
    "WithinBudget",
]
