"""How well a search's evaluator tells partial solutions that can still be right from those that cannot, by depth."""

from __future__ import annotations

from collections.abc import Sequence

from tttlab.errors import OptionError
from tttlab.experiments.calibration import GroupAuc, auc_by_group
from tttlab.experiments.judged_trees import JudgedTree


def verifier_quality(trees: Sequence[JudgedTree]) -> tuple[GroupAuc, ...]:
    """The AUC of the evaluator's scores against the truth at each depth, over all states of all trees.

    Only states that were judged and of which the truth is known count. Those that state an answer are left out: of them
    it is the answer that is judged. Raises `OptionError` where none is left.
    """
    judged = [
        (state.score, state.good, state.depth)
        for tree in trees
        for state in tree.states
        if state.good is not None and state.score is not None and not state.final
    ]
    if not judged:
        raise OptionError(f"no partial solution of these {len(trees):,} trees has a score and a known truth")
    scores, good, depths = zip(*sorted(judged, key=lambda each: each[2]), strict=True)
    return auc_by_group(scores, good, depths)
