"""What the estimators cost, and a question in SQL over a million calls: `python -m benchmarks.experiments`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import duckdb
import numpy as np

from tttlab.experiments.estimators import best_of_ks, majority_at_ks, pass_at_ks
from tttlab.experiments.fits import fit_accuracy
from tttlab.experiments.intervals import bootstraps
from tttlab.experiments.recorded_curves import define_macros
from tttlab.experiments.vote_counting import winning_shares
from tttlab.experiments.weighted_vote import weighted_at_ks

Result = TypeVar("Result")
PROBLEMS, SAMPLES, ANSWERS = 500, 100, 20
CALLS, CALLS_A_RUN = 1_000_000, 40
BUDGETS = [float(250 * 2**step) for step in range(12)]

_RUNS = f"""
CREATE TABLE runs AS SELECT printf('run-%07d', number) AS run_id, CASE number % 3 WHEN 0 THEN 'self_consistency'
    WHEN 1 THEN 'best_of_n' ELSE 'tree_of_thought' END AS strategy, 'local:smollm2' AS model,
    printf('problem-%04d', number % {PROBLEMS}) AS problem_id, '56' AS reference, NULL::VARCHAR AS "check"
FROM range({CALLS // CALLS_A_RUN}) AS made(number)
"""
"""The columns of the view that are asked for; a proposal follows each call."""
_ANSWERS = f"""
CREATE TABLE answers AS SELECT printf('run-%07d', number // {CALLS_A_RUN}) AS run_id,
    number % {CALLS_A_RUN} + 1 AS step, number AS sequence,
    '56' AS answer, hash(number) % 100 < 30 + number % {CALLS_A_RUN} AS correct,
    0.1 * step AS seconds, 500 * step + hash(number) % 400 AS spent_tokens, spent_tokens // 5 AS spent_prompt_tokens,
    spent_tokens - spent_prompt_tokens AS spent_output_tokens, 0 AS spent_thinking_tokens, step AS spent_calls,
    1e-6 * spent_tokens AS spent_dollars, spent_tokens AS basis_tokens, spent_output_tokens AS basis_output_tokens,
    0 AS basis_thinking_tokens, step AS basis_calls, spent_dollars AS basis_dollars
FROM range({CALLS}) AS made(number)
"""


def main() -> None:
    """Print the seconds of each part, the best of three."""
    rng = np.random.default_rng(0)
    shape = (PROBLEMS, SAMPLES)
    answers = np.minimum(rng.geometric(rng.uniform(0.05, 0.5, (PROBLEMS, 1)), shape), ANSWERS).astype(np.int32) - 1
    answers[rng.random(shape) < 0.1] = -1
    correct, scores, ks = answers == 1, rng.random(shape), list(range(1, SAMPLES + 1))
    print(f"{PROBLEMS} problems x {SAMPLES} samples")
    estimates = _timed(f"pass@k, {SAMPLES} sizes", lambda: pass_at_ks(correct, ks))
    _timed(f"maj@k, {SAMPLES} sizes", lambda: majority_at_ks(answers, correct, ks))
    _timed(f"best-of-k, {SAMPLES} sizes", lambda: best_of_ks(scores, answers, correct, ks))
    _timed("weighted@k, 6 sizes, 200 subsets", lambda: weighted_at_ks(scores, answers, correct, [1, 4, 8, 16, 32, 64]))
    _timed(f"{SAMPLES} intervals over problems", lambda: bootstraps(estimates))
    budgets = [2.0**step for step in range(7)]
    _timed(
        "a law of accuracy, with intervals", lambda: fit_accuracy(budgets, estimates[:, [int(k) - 1 for k in budgets]])
    )
    connection = duckdb.connect()
    connection.execute(_RUNS)
    connection.execute(_ANSWERS)
    define_macros(connection)
    asked = "FROM accuracy_against_compute('spent_tokens', $budgets)"
    rows = _timed(
        f"accuracy against compute, {CALLS:,} calls, {len(BUDGETS)} budgets",
        lambda: connection.execute(asked, {"budgets": BUDGETS}).fetchall(),
    )
    print(f"  {rows[0]}\n  {rows[-1]}")


def _timed(what: str, work: Callable[[], Result]) -> Result:
    taken = []
    for _ in range(3):
        winning_shares.cache_clear()
        started = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - started)
    print(f"  {what:60} {min(taken):7.3f} s", flush=True)
    return result


if __name__ == "__main__":
    main()
