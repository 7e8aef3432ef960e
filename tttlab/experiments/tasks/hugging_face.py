"""Tasks from data sets of the library `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tttlab.errors import OptionError, nearest
from tttlab.experiments.task import Task
from tttlab.experiments.tasks.installed import need
from tttlab.experiments.tasks.reading import read_task
from tttlab.experiments.tasks.rows import Rows


def hugging_face_task(
    source: Any,
    *,
    split: str | None = None,
    loading: Mapping[str, Any] | None = None,
    name: str | None = None,
    **reading: Any,
) -> Task:
    """A task from a data set of `datasets`, or from the name of one that this library loads, with its split.

        hugging_face_task("openai/gsm8k", split="test", loading={"name": "main"}, reference_extractor="final_answer")

    `loading` goes to `datasets.load_dataset`, and all else to `read_task`: `prompt`, `reference`, `choices`, `id` ... A
    slice of a split (`split="test[:100]"`) is its first problems. Raises `OptionError` as `read_task` does, where the
    library is not installed, and where it finds no such data set or split.
    """
    called = (
        source if isinstance(source, str) else str(getattr(getattr(source, "info", None), "dataset_name", "") or "")
    )
    if isinstance(source, str):
        need("datasets", "pip install datasets", f"the data set {source!r}")
        source = _loaded(source, split, loading or {})
    elif isinstance(source, Mapping) and split is not None and split in source:
        source = source[split]
    if isinstance(source, Mapping):
        what = "give one: split=..." if split is None else f"and not {split!r}"
        raise OptionError(f"the data set {called!r} has splits, {what}{nearest(split or '', source)}")
    rows = tuple(dict(row) for row in source)
    title = f"the data set {called!r}" if called else "the data set"
    return read_task(
        Rows(title, rows, tuple(range(1, len(rows) + 1)), called=called.rpartition("/")[2] or "task"),
        name=name,
        **reading,
    )


def _loaded(name: str, split: str | None, options: Mapping[str, Any]) -> Any:
    datasets: Any = import_module("datasets")
    try:
        return datasets.load_dataset(name, split=split, **options)
    except (OSError, ValueError, TypeError) as error:
        # Of this library these are the errors of a name, a split or a network that there is not.
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OptionError(f"the data set {name!r} cannot be loaded: {said:.300}") from error
