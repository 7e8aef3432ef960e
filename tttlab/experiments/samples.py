"""What independent samples of each problem said, taken from the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tttlab.answers import same_answer
from tttlab.errors import OptionError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SQL = """
SELECT runs.problem_id, runs.prompt, runs.reference, calls.answer, calls.mean_logprob
FROM calls JOIN runs USING (run_id)
WHERE run_id IN (SELECT unnest($run_ids)) AND calls.status = 'ok' AND calls.role = 'generator'
    AND calls.channel_source = 'model'
ORDER BY list_position($run_ids, run_id), calls.ordinal
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """One problem's samples, in order. An answer of None is an abstention: never right, and never left out."""

    problem: str
    answers: tuple[str | None, ...]
    correct: tuple[bool, ...]
    mean_logprobs: tuple[float | None, ...]
    """Natural logarithm, over each sample's tokens; None where the model gives none."""


Judge = Callable[[str, str], bool]
"""Whether an answer to a prompt is right."""


def samples_of(run_ids: Iterable[str], connection: DuckDBPyConnection, *, judge: Judge | None = None) -> list[Samples]:
    """The samples behind these runs, gathered by problem, in the order of the runs.

    An answer is right if it equals the problem's reference, or, for problems that have many right answers, where the
    `judge` says so. Raises `OptionError` where a run has no reference and there is no judge, or where there are no
    samples.
    """
    rows = connection.execute(_SQL, {"run_ids": list(run_ids)}).fetchall()
    if not rows:
        raise OptionError("these runs have no finished samples: give the ids of runs in this store")
    gathered = defaultdict(list)
    for problem, prompt, reference, answer, mean_logprob in rows:
        correct = answer is not None and judge(prompt, answer) if judge else same_answer(answer, reference)
        if correct is None:
            raise OptionError(f"the problem {problem} has no reference: accuracy needs one, or a judge")
        gathered[problem].append((answer, correct, mean_logprob))
    return [
        Samples(
            problem=problem,
            answers=tuple(answer for answer, _, _ in found),
            correct=tuple(correct for _, correct, _ in found),
            mean_logprobs=tuple(mean_logprob for _, _, mean_logprob in found),
        )
        for problem, found in gathered.items()
    ]
