"""Logs of the tree-of-thought release (Yao et al., 2023; princeton-nlp/tree-of-thought-llm): samples, and whole trees.

A log of samples becomes one run a problem with a call for each sample. A log of a search becomes one run a problem with
its tree: each proposal a branch, selected or pruned, each value a verdict, each output an answer, the first-ranked one
last, since a run's answer is its last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from tttlab.answers import FINAL_ANSWER
from tttlab.errors import OptionError, nearest
from tttlab.experiments.importers.logged import LoggedCall, LoggedRun, LoggedUsage
from tttlab.experiments.importers.thought_trees import tree_of
from tttlab.experiments.importers.writing import Imported, source_of, write_runs
from tttlab.labels import Label
from tttlab.tracing.attributes import rule_label

FORMAT, VERSION = "tree_of_thought", 1
_SAMPLES = re.compile(
    r"(?P<model>.+)_(?P<temperature>\d[\d.]*)_naive_(?P<prompt>standard|cot)_sample_(?P<samples>\d+)_start"
)
_SEARCH = re.compile(
    r"(?P<model>.+)_(?P<temperature>\d[\d.]*)_(?P<generate>propose|sample)(?P<n_generate>\d+)"
    r"_(?P<evaluate>value|vote)(?P<n_evaluate>\d+)_(?:greedy|sample)(?P<n_select>\d+)_start"
)
_STRATEGIES = {"standard": "direct", "cot": "chain_of_thought"}


def import_tree_of_thought(
    path: str | Path,
    *,
    task: str = "game24",
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> Imported:
    """Import a log of the tree-of-thought release. What it does not say (times, the calls' tokens) stays NULL.

    What each problem spent is the difference of the log's running counter, which begins anew where it falls. Problems
    have the ids `game24:900` and on; the model and the method are those of the file's name, as the release gives it.
    Importing a file again adds nothing. Raises `OptionError` for a file that is no such log, before anything is
    written, and `StoreError`.
    """
    source = source_of(path, format=FORMAT, version=VERSION)
    problems = _read(source.path)
    spent = usages([_field(problem, "usage_so_far", place) for place, problem in enumerate(problems)])
    kind = _tree if "steps" in problems[0] else _samples
    runs = [
        kind(problem, usage, place, source.path, task)
        for place, (problem, usage) in enumerate(zip(problems, spent, strict=True))
    ]
    return write_runs(source, runs, store=store, labels=labels)


def usages(counters: Sequence[Mapping[str, float]]) -> list[LoggedUsage]:
    """What each problem spent, from a counter that runs over all of them, and began anew where it falls."""
    begun: list[Mapping[str, float]] = [{}]
    for before, after in pairwise(counters):
        begun.append({} if any(after[name] < before.get(name, 0) for name in after) else before)
    return [
        LoggedUsage(
            prompt_tokens=int(now["prompt_tokens"] - then.get("prompt_tokens", 0)),
            output_tokens=int(now["completion_tokens"] - then.get("completion_tokens", 0)),
            dollars=now["cost"] - then.get("cost", 0) if "cost" in now else None,
        )
        for then, now in zip(begun, counters, strict=True)
    ]


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        said = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise OptionError(f"{path} is no JSON: {error}") from error
    if not isinstance(said, list) or not said or not all(isinstance(each, dict) for each in said):
        raise OptionError(f"{path} is no log of the tree-of-thought release: it is no list of problems")
    for place, problem in enumerate(said):
        for name in ("idx", "ys", "usage_so_far"):
            _field(problem, name, place)
    return said


def _samples(problem: Mapping[str, Any], usage: LoggedUsage, place: int, path: Path, task: str) -> LoggedRun:
    named = _named(_SAMPLES, path)
    texts, right = problem["ys"], rights(problem, place)
    return LoggedRun(
        place=f"problem {problem['idx']}",
        problem=f"{task}:{problem['idx']}",
        strategy=_STRATEGIES[named["prompt"]],
        parameters={"samples": int(named["samples"]), "temperature": float(named["temperature"])},
        model=named["model"],
        extractor=rule_label(FINAL_ANSWER),
        usage=LoggedUsage(
            prompt_tokens=usage.prompt_tokens,
            output_tokens=usage.output_tokens,
            dollars=usage.dollars,
            calls=len(texts),
        ),
        calls=[
            LoggedCall(
                text=text,
                answer=FINAL_ANSWER(text),
                raw_answer=FINAL_ANSWER.find(text),
                correct=correct,
                temperature=float(named["temperature"]),
            )
            for text, correct in zip(texts, right, strict=True)
        ],
    )


def _tree(problem: Mapping[str, Any], usage: LoggedUsage, place: int, path: Path, task: str) -> LoggedRun:
    named = _named(_SEARCH, path)
    steps = _field(problem, "steps", place)
    tree = tree_of(problem, rights(problem, place), usage, evaluate=named["evaluate"])
    generated = {"n_generate": int(named["n_generate"])} if named["generate"] == "sample" else {}
    return LoggedRun(
        place=f"problem {problem['idx']}",
        problem=f"{task}:{problem['idx']}",
        prompt=steps[0]["x"],
        strategy="tree_of_thought",
        parameters={
            "search": "breadth_first",
            "generate": named["generate"],
            **generated,
            "evaluate": named["evaluate"],
            "n_evaluate": int(named["n_evaluate"]),
            "n_select": int(named["n_select"]),
            "depth": len(steps),
            "temperature": float(named["temperature"]),
        },
        model=named["model"],
        extractor=rule_label(FINAL_ANSWER),
        usage=usage,
        branches=tree.branches,
        verdicts=tree.verdicts,
        answers=tree.answers,
    )


def rights(problem: Mapping[str, Any], place: int) -> list[bool]:
    """Which of a problem's outputs the log's own check found right."""
    said = problem["accs"] if "accs" in problem else [each.get("r") for each in _field(problem, "infos", place)]
    if len(said) != len(problem["ys"]):
        raise OptionError(
            f"problem {problem['idx']} has {len(problem['ys'])} outputs and {len(said)} verdicts on them: "
            "the log is damaged"
        )
    return [bool(each) for each in said]


def _field(problem: Mapping[str, Any], name: str, place: int) -> Any:
    if name not in problem:
        raise OptionError(
            f"problem number {place} of the log has no {name!r}{nearest(name, problem)}: "
            "a log of the tree-of-thought release has it"
        )
    return problem[name]


def _named(form: re.Pattern[str], path: Path) -> re.Match[str]:
    found = form.match(path.name)
    if found is None:
        raise OptionError(
            f"the name {path.name!r} does not say which model and method made the log, and the log does not either: "
            "name it as the release does, such as gpt-4_0.7_naive_cot_sample_100_start900_end1000.json or "
            "gpt-4_0.7_propose1_value3_greedy5_start900_end1000.json"
        )
    return found
