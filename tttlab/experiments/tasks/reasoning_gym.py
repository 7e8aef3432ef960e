"""Any of reasoning-gym's procedural tasks, with its own scorer as the check of each problem."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from tttlab.answers import FINAL_ANSWER, Check, Extractor, find_extractor
from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest
from tttlab.experiments.task import Task
from tttlab.experiments.tasks.harmless import is_harmless
from tttlab.experiments.tasks.installed import need
from tttlab.types import Problem

IN_TAGS = "End with your final answer between <answer> and </answer>."
_TAGGED = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_DRAWN_PER_PROBLEM = 8
"""Small tasks repeat themselves: so many are drawn for each different one that is asked for."""
_ROUNDING = 1e-9
_SEEDS_APART, _SEEDS = 1_000_003, 2**31
"""The library draws problem i with seed + i, so that two neighbouring seeds of its own share almost all problems."""


@dataclass(frozen=True, slots=True)
class AsWritten(Extractor):
    """An extractor that leaves capitals and line breaks: answers may be grids, and scorers compare letter by letter."""

    def __call__(self, text: str) -> str | None:
        """The answer without the white space around it, or None."""
        found = (self.find(text) or "").strip()
        return found or None


def _find(text: str) -> str | None:
    if tagged := _TAGGED.findall(text):
        return str(tagged[-1])
    found, paragraph = FINAL_ANSWER.find(text), _PARAGRAPHS.split(text.strip())[-1]
    # Where nothing is stated, the last line is taken, which may be the last one of a grid.
    return paragraph if found is not None and paragraph.rpartition("\n")[2].strip() == found.strip() else found


TAGGED = AsWritten("answer_tag", 1, _find)
"""What stands in the last `<answer>` of a text; without one, what it states as its answer, or its last paragraph."""


def reasoning_gym_task(
    name: str,
    count: int,
    *,
    seed: int,
    threshold: float = 1.0,
    instruction: str = IN_TAGS,
    extractor: str | Extractor = TAGGED,
    **config: Any,
) -> Task:
    """`count` different problems of one of reasoning-gym's tasks, such as `countdown`; `config` is the task's own.

    The same name, seed and configuration give the same problems, and another seed others. An answer is right where the
    task's scorer gives at least `threshold`; one that the scorer would have to run, and not only to compute, is wrong.
    `instruction` is put behind each question. Raises `OptionError` for names and settings that there are not, where
    there are not so many different problems, or where the library is not installed.
    """
    at_least(1, count=count)
    need("reasoning_gym", "pip install 'tttlab[lab]'", f"the task {name!r}")
    drawn = Drawn(name, _DRAWN_PER_PROBLEM * count, seed, config)
    rule = f"reasoning_gym:{name}" + ("" if threshold == 1.0 else f">={threshold:g}")
    found_by = find_extractor(extractor) if isinstance(extractor, str) else extractor
    problems: dict[str, Problem] = {}
    for number in range(_DRAWN_PER_PROBLEM * count):
        entry = drawn.dataset[number]
        question, answer = str(entry["question"]).strip(), entry["answer"]
        if question not in problems:
            problems[question] = Problem(
                prompt=f"{question}\n\n{instruction}" if instruction else question,
                reference=None if answer is None else str(answer),
                extractor=found_by,
                id=f"{name}:{hashlib.sha256(question.encode()).hexdigest()[:16]}",
                check=Check(rule, 1, partial(_is_right, drawn, entry, threshold)),
            )
        if len(problems) == count:
            return Task(name, tuple(problems.values()))
    raise OptionError(
        f"{name} has {len(problems):,} different problems with this configuration, and not {count:,}: ask for fewer"
    )


class Drawn:
    """A task of reasoning-gym, configured. Another process, which cannot be sent all of them, makes it anew."""

    def __init__(self, name: str, size: int, seed: int, config: Mapping[str, Any]) -> None:
        self._made_of = (name, size, seed, dict(config))
        self.dataset = _dataset(name, size, seed, config)

    def __reduce__(self) -> tuple[type[Drawn], tuple[str, int, int, dict[str, Any]]]:
        return (Drawn, self._made_of)


def _is_right(drawn: Drawn, entry: Mapping[str, Any], threshold: float, answer: str) -> bool:
    if answer != entry["answer"] and not is_harmless(answer):
        return False
    score: float = drawn.dataset.score_answer(answer, entry)
    return score >= threshold - _ROUNDING


def _dataset(name: str, size: int, seed: int, config: Mapping[str, Any]) -> Any:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if name not in DATASETS:
        raise OptionError(f"reasoning-gym has no task {name!r}{nearest(name, DATASETS)}")
    settings = [item.name for item in fields(DATASETS[name][1]) if item.name not in ("seed", "size")]
    for setting in config:
        if setting not in settings:
            raise OptionError(f"{name} has no setting {setting!r}{nearest(setting, settings)}")
    try:
        return reasoning_gym.create_dataset(name, seed=seed * _SEEDS_APART % _SEEDS, size=size, **config)
    except (AssertionError, ValueError, TypeError) as error:
        raise OptionError(f"{name} cannot be drawn with {dict(config)}: {error}") from error
