"""Tasks from a user's own data: JSONL, CSV, Parquet, a query, a data frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tttlab.answers import FINAL_ANSWER, Check, Extractor, find_extractor, normalise
from tttlab.errors import OptionError
from tttlab.experiments.task import Task
from tttlab.experiments.tasks.choices import asked, listed, right_letter
from tttlab.experiments.tasks.column import Column
from tttlab.experiments.tasks.rows import Row, Rows, rows_of
from tttlab.types import Problem

_ANSWER = "answer"

Checking = Check | Callable[[Row], Check]
"""The check of all problems, or what makes the check of each from its row."""


def read_task(  # noqa: PLR0913 - every column by its name
    source: Any,
    *,
    prompt: str = "question",
    reference: str | None = _ANSWER,
    id: str | None = None,  # noqa: A002 - it is called so everywhere else
    choices: str | None = None,
    extractor: str | Extractor | None = None,
    reference_extractor: str | Extractor | None = None,
    check: Checking | None = None,
    name: str | None = None,
) -> Task:
    """A task from a file, a DuckDB query or relation, a data frame, an Arrow table, or a list of dicts.

        read_task("problems.csv", prompt="Q: {question} Answer with a number.", id="number")

    Files are JSONL, JSON, CSV, TSV or Parquet, by their names; what stands in a CSV file stays as written. `prompt` and
    `reference` are each a column, or a text with columns in braces (write `{{` for a brace). `id` is a column; without
    it a problem is known by a digest of its prompt. `choices` is a column with a list: they are put behind the prompt
    with letters, and the reference may be the right one's number from 0, its letter or its words.

    `extractor` finds answers in completions (`final_answer`, or `choice`). `reference_extractor` finds the reference in
    what its column holds: `"final_answer"` for worked solutions that end in `#### 72`. `reference=None` takes none;
    with a `check` it may be missing.

    Raises `OptionError` for a column that is not there, a missing prompt or reference, or an id that comes twice: each
    with its row, before anything is spent.
    """
    rows = rows_of(source)
    if not rows.rows:
        raise OptionError(f"{rows.name} has no rows, so there are no problems")
    question = Column(rows, prompt, "prompt")
    unasked = check is not None and reference == _ANSWER and not rows.have(_ANSWER)
    told = None if unasked or reference is None else Column(rows, reference, "reference")
    chosen = None if choices is None else Column(rows, choices, "choices")
    known = None if id is None else Column(rows, id, "id")
    found_by = _extractor(extractor) or (FINAL_ANSWER if chosen is None else find_extractor("choice"))
    reference_by = _extractor(reference_extractor)
    problems = []
    for index, row in enumerate(rows.rows):
        text, rule = question.text(index), check if check is None or isinstance(check, Check) else check(row)
        answer = None if told is None else _reference(told, index, reference_by, chosen, optional=rule is not None)
        if chosen is not None:
            text = asked(text, listed(chosen.value(index), rows.place(index)))
        named = "" if known is None else known.text(index)
        problems.append(Problem(prompt=text, reference=answer, extractor=found_by, check=rule, id=named))
    _refuse_twice(rows, problems, id)
    return Task(name or rows.called, tuple(problems))


def _extractor(said: str | Extractor | None) -> Extractor | None:
    return find_extractor(said) if isinstance(said, str) else said


def _reference(
    column: Column, index: int, extractor: Extractor | None, choices: Column | None, *, optional: bool
) -> str | None:
    value = column.value(index)
    if optional and (value is None or not str(value).strip()):
        return None
    try:
        text = column.text(index)
    except OptionError as error:
        raise OptionError(f"{error}: give a check, or reference=None if nothing is to be right or wrong") from None
    if choices is not None:
        given, place = choices.value(index), column.place(index)
        return right_letter(value, given, listed(given, place), place)
    found = text if extractor is None else extractor(text)
    if found is None or normalise(found) is None:
        raise OptionError(
            f"{column.place(index)}, {text!r:.60}, holds no answer that could be equalled: give a check"
            f"{'' if extractor is None else ', or another reference_extractor'}"
        )
    return found


def _refuse_twice(rows: Rows, problems: Sequence[Problem], column: str | None) -> None:
    seen: dict[str, int] = {}
    for index, problem in enumerate(problems):
        first = seen.setdefault(problem.id, index)
        if first == index:
            continue
        both = f"{rows.unit}s {rows.places[first]:,} and {rows.places[index]:,} of {rows.name}"
        if column is None:
            raise OptionError(f"{both} have one prompt, {problem.prompt!r:.60}: drop one, or name a column of ids")
        raise OptionError(f"{both} have one id in {column!r}, {problem.id!r:.60}: a problem is known by its id")
