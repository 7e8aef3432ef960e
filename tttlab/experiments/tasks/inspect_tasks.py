"""Tasks from inspect_ai's: a Task, a Dataset or its Samples become problems, multiple choice included."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from tttlab.answers import Check, normalise
from tttlab.errors import OptionError
from tttlab.experiments.task import Task
from tttlab.experiments.tasks.reading import Checking, read_task
from tttlab.experiments.tasks.rows import Row, Rows


def inspect_task(source: Any, *, name: str | None = None, check: Checking | None = None, **reading: Any) -> Task:
    """The problems of an inspect_ai Task or Dataset, or of a list of its Samples.

    The input is the prompt (of a conversation: what the system and the user say), the target the reference; where a
    sample has several targets any of them is right. Choices are put behind the prompt with letters. Solvers and scorers
    stay behind: the first are strategies here, and what is right is the `extractor`'s and the `check`'s to say, which
    go to `read_task` with whatever else is given. A `check` that is a function is given `input`, `target`, `choices`,
    `id` and `metadata` of a sample. Raises `OptionError` where a sample has no text or no target, naming it.
    """
    held = getattr(source, "dataset", source)
    if isinstance(held, str | bytes) or not isinstance(held, Iterable):
        raise OptionError(f"{type(source).__name__} is no Task, Dataset or list of Samples of inspect_ai")
    samples = list(held)
    called = name or str(getattr(source, "name", None) or getattr(held, "name", None) or "task")
    title = f"the inspect_ai task {called!r}"
    rows = tuple(_row(sample, f"sample {number:,} of {title}") for number, sample in enumerate(samples, 1))
    with_choices = [bool(row["choices"]) for row in rows]
    if any(with_choices) and not all(with_choices):
        raise OptionError(
            f"sample {with_choices.index(False) + 1:,} of {title} has no choices, and others have: part them"
        )
    several = any(isinstance(row["target"], list) for row in rows)
    if any(with_choices) and several:
        raise OptionError(f"{title} has samples with several right choices, which no letter can be the reference of")
    return read_task(
        Rows(title, rows, tuple(range(1, len(rows) + 1)), "sample", called),
        prompt="input",
        reference=reading.pop("reference", "first_target"),
        id="id" if all(row["id"] is not None for row in rows) else None,
        choices="choices" if any(with_choices) else None,
        check=check or (_any_target if several else None),
        name=name,
        **reading,
    )


def _row(sample: Any, place: str) -> Row:
    for field in ("input", "target"):
        if not hasattr(sample, field):
            raise OptionError(f"{place} is {type(sample).__name__}, which has no {field!r}: give Samples of inspect_ai")
    target = sample.target if isinstance(sample.target, str) else list(sample.target)
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    return {
        "input": prompt_of(sample.input, place),
        "target": target,
        "first_target": (target[0] if target else None) if isinstance(target, list) else target,
        "choices": sample.choices,
        "id": None if sample.id is None else str(sample.id),
        "metadata": sample.metadata or {},
    }


def prompt_of(said: Any, place: str) -> str:
    """What is asked, as one text. Raises `OptionError` where it holds an image, or turns of a model's own."""
    if isinstance(said, str):
        return said
    for message in said:
        if message.role not in ("system", "user"):
            raise OptionError(f"{place} has a turn of the role {message.role!r}: only what is asked can be a prompt")
        if not isinstance(message.content, str) and any(part.type != "text" for part in message.content):
            raise OptionError(f"{place} holds more than text, and a prompt is a text")
    return "\n\n".join(message.text for message in said)


def _any_target(row: Row) -> Check:
    targets = row["target"] if isinstance(row["target"], list) else [row["target"]]
    return Check("any_target", 1, partial(_is_one_of, frozenset(map(normalise, targets))))


def _is_one_of(targets: frozenset[str | None], answer: str) -> bool:
    return answer in targets
