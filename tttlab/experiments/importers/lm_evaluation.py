"""Sample files of the LM Evaluation Harness (`samples_TASK_DATE.jsonl`, as its 0.4 series writes them)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tttlab.answers import normalise
from tttlab.errors import OptionError, nearest
from tttlab.experiments.importers.fields import as_number
from tttlab.experiments.importers.logged import LoggedAnswer, LoggedCall, LoggedRun, LoggedUsage, LoggedVerdict
from tttlab.experiments.importers.writing import Imported, source_of, write_runs
from tttlab.experiments.tasks.rows import Rows, rows_of
from tttlab.labels import Label
from tttlab.types import Message

FORMAT, VERSION = "lm_evaluation", 1
LIKELIHOOD = "log_likelihood"
"""The verdict of each choice: the natural logarithm of its probability, of all its tokens together."""
_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d\d-\d\dT[\d.:-]+$")
_NEEDED = ("doc_id", "target", "arguments", "resps", "filtered_resps")
_PREFERRED = ("exact_match", "acc")
_PAIR = 2


@dataclass(frozen=True, slots=True)
class _Judged:
    """How the records of a file are read."""

    rows: Rows
    task: str
    model: str
    metric: str
    filtered: str | None


def import_lm_evaluation(
    path: str | Path,
    *,
    model: str | None = None,
    metric: str | None = None,
    filter: str | None = None,  # noqa: A002 - the harness's word
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> Imported:
    """Import a file of samples of the LM Evaluation Harness: a run for each document of its task.

    What was generated is a call, its answer what the file's filter found, right where the `metric` is 1. Of a multiple
    choice the likeliest choice is the answer (of `acc_norm` the likeliest by its length), and every choice has a
    verdict `log_likelihood`. Where a document was repeated, all its samples are calls, and what the filter made of them
    is the run's answer. The metric is `exact_match` or `acc` and the filter the first unless they are given; the model
    is named by the file's folder, as the harness has it. Tokens and times are not in these files and stay NULL.

    Importing a file again adds nothing. Raises `OptionError` for a file that is no such one, with the line, and for a
    metric or a filter that it does not have; and `StoreError`.
    """
    source = source_of(path, format=FORMAT, version=VERSION)
    rows = rows_of(source.path)
    for index, row in enumerate(rows.rows):
        if missing := [name for name in _NEEDED if name not in row]:
            raise OptionError(
                f"{rows.place(index)} has no {missing[0]!r}: it is no sample of the LM Evaluation Harness"
            )
    if not rows.rows:
        raise OptionError(f"{rows.name} has no samples")
    filters = list(dict.fromkeys(row["filter"] for row in rows.rows if "filter" in row))
    if filter is not None and filter not in filters:
        raise OptionError(f"{rows.name} has no filter {filter!r}{nearest(filter, filters)}")
    named = _NAME.match(source.path.name.partition(".jsonl")[0])
    judged = _Judged(
        rows=rows,
        task=named["task"] if named else source.path.name.partition(".")[0],
        model=model or source.path.absolute().parent.name.replace("__", "/"),
        metric=_metric(rows, metric),
        filtered=filter or (filters[0] if filters else None),
    )
    chosen = [index for index, row in enumerate(rows.rows) if row.get("filter") == judged.filtered]
    runs = [_run(judged, index) for index in chosen]
    others = [each for each in filters if each != judged.filtered]
    note = f"read by the filter {judged.filtered}; filter=... takes {' or '.join(others)}"
    return write_runs(source, runs, store=store, labels=labels, notes=[note] if others else ())


def _metric(rows: Rows, given: str | None) -> str:
    known = rows.rows[0].get("metrics") or [name for name in (*_PREFERRED, "acc_norm") if name in rows.rows[0]]
    if given is not None and given not in known:
        raise OptionError(f"{rows.name} has no metric {given!r}{nearest(given, known)}")
    found = given or next((name for name in _PREFERRED if name in known), None)
    if found is None:
        raise OptionError(f"which metric of {rows.name} says what is right? give metric=...{nearest('', known)}")
    return found


def _run(judged: _Judged, index: int) -> LoggedRun:
    row, place = judged.rows.rows[index], judged.rows.place(index)
    requests, answers = _requests(row["arguments"]), row["resps"]
    worth = as_number(row.get(judged.metric), f"{place}: {judged.metric!r}")
    correct = None if worth is None else worth == 1.0
    try:
        choices = _likelihoods(answers)
        parts = (
            _generated(row, requests, correct) if choices is None else _chosen(judged, row, requests, choices, correct)
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise OptionError(f"{place} is of no kind that is known here: {type(error).__name__}: {error}") from error
    return LoggedRun(
        place=place,
        problem=f"{judged.task}:{row['doc_id']}",
        strategy="direct",
        model=judged.model,
        prompt=str(requests[0][0]),
        check=f"lm_evaluation:{judged.metric}@1",
        extractor=f"lm_evaluation:{judged.filtered}@1" if judged.filtered else None,
        usage=LoggedUsage(calls=len(parts["calls"])),
        **parts,
    )


def _requests(arguments: Any) -> list[list[Any]]:
    """What was asked, of each request: the context, and what is to be generated, or the continuation."""
    if isinstance(arguments, Mapping):
        return [list(each.values()) for each in arguments.values()]
    return [list(each) for each in arguments]


def _generated(row: Mapping[str, Any], requests: Sequence[Sequence[Any]], correct: bool | None) -> dict[str, Any]:
    texts, found = [str(text) for text in row["resps"][0]], row["filtered_resps"][0]
    options = requests[0][1] if len(requests[0]) > 1 and isinstance(requests[0][1], Mapping) else {}
    single = len(texts) == 1
    judged = normalise(str(found[0] if isinstance(found, list) else found))
    whole = isinstance(found, list) and len(found) == len(texts)
    answers = [normalise(str(each)) for each in found] if whole else [judged] if single else [None] * len(texts)
    calls = [
        LoggedCall(
            text=text,
            answer=answer,
            raw_answer=answer,
            correct=correct if single else None,
            messages=(Message("user", str(requests[0][0])),),
            temperature=options.get("temperature"),
            max_tokens=options.get("max_gen_toks"),
        )
        for text, answer in zip(texts, answers, strict=True)
    ]
    return {
        "calls": calls,
        "answers": [LoggedAnswer(value=judged, correct=correct)],
        "reference": str(row["target"]),
        "parameters": {"samples": len(texts)},
    }


def _likelihoods(answers: Sequence[Any]) -> list[float] | None:
    """The log-likelihood of each request; None where texts were generated."""
    first = answers[0][0]
    if not isinstance(first, list) or len(first) != _PAIR:
        return None
    return [float(each[0][0]) for each in answers]


def _chosen(
    judged: _Judged,
    row: Mapping[str, Any],
    requests: Sequence[Sequence[Any]],
    likelihoods: Sequence[float],
    correct: bool | None,
) -> dict[str, Any]:
    # Some metrics ask each choice once more without its context: those requests come behind.
    asked = [number for number, request in enumerate(requests) if request[0] == requests[0][0]]
    choices = [str(requests[number][1]).strip() for number in asked]
    scores = [likelihoods[number] for number in asked]
    by_length = judged.metric == "acc_norm"
    worth = [score / max(1, len(choice)) if by_length else score for score, choice in zip(scores, choices, strict=True)]
    best = choices[worth.index(max(worth))]
    if len(choices) == 1 and not correct:
        best = ""  # Its one continuation is the right one, and the model would have gone on otherwise.
    target = str(row["target"])
    if target.isdecimal() and int(target) < len(choices) and target not in choices:
        target = choices[int(target)]
    answer = normalise(best)
    return {
        "calls": [
            LoggedCall(
                text=best,
                answer=answer,
                raw_answer=best if answer else None,
                correct=correct,
                messages=(Message("user", str(requests[0][0])),),
            )
        ],
        "verdicts": [
            LoggedVerdict(verifier=LIKELIHOOD, candidate=choice, score=score)
            for choice, score in zip(choices, scores, strict=True)
        ],
        "answers": [LoggedAnswer(value=answer, correct=correct)],
        "reference": target,
        "parameters": {"choices": len(choices)},
    }
