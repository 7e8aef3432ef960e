"""The answer's curve: what a run would have answered, had it stopped there, against the compute that it had spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from tttlab.charts.look import HUES
from tttlab.charts.shown_text import counted, quoted, shown
from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.asked import opened, runs_asked
from tttlab.experiments.measures import MEASURES, measure_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.charts.renderer import OfflineChart
    from tttlab.run import Run

Height = Literal["confidence", "answer"]
Row = dict[str, Any]

NO_ANSWER = "(no answer yet)"
OTHERS = "(other answers)"
NO_REFERENCE = "no reference"
_MOST_ANSWERS = 12
_LONGEST_ANSWER = 200


def curve(
    *runs: Run | str,
    compute: str = "spent_tokens",
    height: Height | None = None,
    proposals: int = 4000,
    connection: DuckDBPyConnection | None = None,
) -> OfflineChart:
    """Each answer that the runs proposed, against compute: one point a proposal, steps between them.

    `compute` is a column of the view `answers`: `spent_...` is the run's whole spend at that moment, calls in flight
    included (sixteen parallel samples are nearly all paid for when the first one finishes); `basis_...` is the cost of
    the calls that the answer rests on; `seconds` is time. The axis says which. `height` is `confidence`, as the
    strategy gave it, or the `answer` itself; unless given, confidence where every proposal has one. One run is
    coloured by its answers; several are coloured by run. Where there are more than `proposals` points, they are thinned
    evenly, and the chart says so.

    Raises `OptionError` for an unknown run or measure, and for a measure in dollars where no price is known.
    """
    measure = measure_of(compute)
    if height not in (None, "confidence", "answer"):
        raise OptionError(f"the height of a curve cannot be {height!r}; there are: answer, confidence")
    at_least(1, proposals=proposals)
    with opened(connection) as store:
        asked = runs_asked(store, runs)
        ids = [run["run_id"] for run in asked]
        rows = store.rows(_PROPOSALS.format(compute=measure), runs=ids, proposals=proposals)
    points = _points(asked, rows, measure, height)

    from tttlab.charts.curve_marks import drawn

    return drawn(points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """What a curve shows."""

    title: str
    lines: Sequence[str]
    across: str
    """What the axis of compute counts."""
    height: Height
    rows: Sequence[Row]
    answers: Sequence[str]
    """The answers with a name of their own in the chart, the last one that was proposed first."""
    series: Sequence[str]
    """What the colours mean: the answers of one run; or runs, or their strategies where runs are many."""
    single: bool
    """Whether it is one run."""


def _points(asked: Sequence[Mapping[str, Any]], rows: Sequence[Row], measure: str, height: Height | None) -> Points:
    known = [row for row in rows if row["compute"] is not None]
    if rows and not known:
        raise OptionError(f"{measure} is known for no answer of these runs; choose another, such as spent_tokens")
    height = height or ("confidence" if all(row["confidence"] is not None for row in known) else "answer")
    drawn = [row for row in known if height == "answer" or row["confidence"] is not None]
    answers, names = _named_answers(drawn), _series_of_runs(asked)
    single = len(asked) == 1
    points = [_point(row, None if single else names[row["run_id"]], answers) for row in drawn]
    used = {point["series"] for point in points}
    return Points(
        title="Answer against compute",
        lines=[
            *_asked_lines(asked, rows[0]["proposals"] if rows else 0),
            *_left_out(rows, len(rows) - len(drawn), "a confidence" if len(known) == len(rows) else measure),
        ],
        across=MEASURES[measure],
        height=height,
        rows=points,
        answers=answers,
        series=[name for name in dict.fromkeys(answers if single else names.values()) if name in used],
        single=single,
    )


def _named_answers(rows: Sequence[Row]) -> list[str]:
    texts = [_answer_text(row["answer"]) for row in reversed(rows)]
    counts = Counter(texts)
    if len(counts) <= _MOST_ANSWERS:
        return list(counts)
    commonest = [text for text, _ in counts.most_common(_MOST_ANSWERS) if text != texts[0]]
    return [texts[0], *commonest[: _MOST_ANSWERS - 2], OTHERS]


def _answer_text(answer: str | None) -> str:
    if answer is None:
        return NO_ANSWER
    if len(answer) <= _LONGEST_ANSWER:
        return shown(answer)
    # Long answers that begin alike stay apart.
    return f"{shown(answer, _LONGEST_ANSWER)} [{sha256(answer.encode()).hexdigest()[:6]}]"


def _series_of_runs(asked: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A name for the colour of each run: its own while there are colours enough, else that of its strategy."""
    models = len({run["model"] for run in asked}) > 1
    kinds = {
        run["run_id"]: shown(f"{run['strategy']} · {run['model']}" if models else run["strategy"], 60) for run in asked
    }
    if len(asked) <= len(HUES):
        return {run_id: f"{kind} …{run_id[-6:]}" for run_id, kind in kinds.items()}
    counts = Counter(kinds.values())
    return {run_id: f"{kind} ({counted(counts[kind], 'run')})" for run_id, kind in kinds.items()}


def _point(row: Row, run_name: str | None, answers: Sequence[str]) -> Row:
    full = _answer_text(row["answer"])
    named = full if full in answers else OTHERS
    return {
        "run": row["run_id"],
        "step": row["step"],
        "compute": row["compute"],
        "confidence": row["confidence"],
        "answer": named,
        "full": full,
        "series": run_name or named,
        "verdict": {True: "correct", False: "incorrect", None: NO_REFERENCE}[row["correct"]],
        "spent_tokens": row["spent_tokens"],
        "basis_tokens": row["basis_tokens"],
        "seconds": row["seconds"],
    }


def _asked_lines(asked: Sequence[Mapping[str, Any]], proposals: int) -> list[str]:
    head = f"n = {counted(proposals, 'proposed answer')} of {counted(len(asked), 'run')}"
    if len(asked) > 1:
        return [f"{head} on {counted(len({run['prompt'] for run in asked}), 'problem')}"]
    [run] = asked
    reference = "" if run["reference"] is None else f", reference {shown(run['reference'], 40)}"
    kind = f"{shown(run['strategy'], 60)}, {shown(run['model'], 60)}"
    return [f"{head} ({run['status']}): {kind}{reference}", quoted(run["prompt"])]


def _left_out(rows: Sequence[Row], count: int, lacking: str) -> list[str]:
    lines = []
    if rows and rows[0]["every"] > 1:
        lines.append(f"drawn: one proposal in {rows[0]['every']}, and the last one of each run")
    if count:
        lines.append(f"not drawn: {counted(count, 'proposal')} without {lacking}")
    return lines


# Runs with very many proposals are thinned evenly here, so that no chart is larger than a page can draw.
_PROPOSALS = """
SELECT
    run_id, step, answer, correct, spent_tokens, basis_tokens, seconds, {compute} AS compute,
    CASE WHEN isfinite(confidence) THEN confidence END AS confidence,
    count(*) OVER () AS proposals,
    ceil(count(*) OVER () / $proposals)::BIGINT AS every
FROM answers
WHERE run_id IN (SELECT unnest($runs::VARCHAR[]))
QUALIFY (step - 1) % every = 0 OR step = max(step) OVER (PARTITION BY run_id)
ORDER BY list_position($runs::VARCHAR[], run_id), step
"""
