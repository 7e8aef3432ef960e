"""CodeT's logs of HumanEval (Chen et al., 2022; microsoft/CodeT): sampled programs, and tests that the model wrote."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tttlab.errors import OptionError
from tttlab.experiments.tasks.rows import rows_of

TESTS_OF_A_LIST = 5
"""As many of each generated list as CodeT takes, the first ones."""
PROGRAMS = "*_code_solution.jsonl"
_FILES = {
    "problems": "*_for_code_generation.jsonl",
    "tested": "*_for_test_case_generation.jsonl",
    "programs": PROGRAMS,
    "tests": "*_test_case.jsonl",
}
_ENDS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""Where the model went on to something else."""
_TRIED = "try:\n    {}\nexcept:\n    pass\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCode:
    """A problem of HumanEval with what the model wrote for it."""

    id: str
    prompt: str
    entry_point: str
    test: str
    """The problem's own: a function `check`, which raises where a program is wrong."""
    programs: tuple[str, ...]
    """What follows the prompt, each sample, cut where the function ends."""
    tests: tuple[tuple[str, ...], ...]
    """Assertions, a list for each sample of tests; those that are no Python are left out."""

    @property
    def final(self) -> str:
        """Code that raises where the program before it is wrong."""
        return f"{self.test}\ncheck({self.entry_point})"

    def counted(self, most: int = TESTS_OF_A_LIST) -> dict[str, int]:
        """The different tests among the first `most` of each list, and how often each was generated."""
        counts: dict[str, int] = {}
        for listed in self.tests:
            for test in listed[:most]:
                counts[test] = counts.get(test, 0) + 1
        return counts


def read_codet(folder: str | Path) -> tuple[GeneratedCode, ...]:
    """The problems of a folder with the four files of CodeT's HumanEval logs, in their order.

    Raises `OptionError` where a file is missing, or programs or tests are of a problem that there is not.
    """
    found = {kind: file_of(folder, pattern) for kind, pattern in _FILES.items()}
    problems = {row["prompt"]: row for row in _records(found["problems"], "task_id", "prompt", "entry_point", "test")}
    tested = {row["prompt"]: row["task_id"] for row in _records(found["tested"], "task_id", "prompt")}
    tests = {}
    for row in _records(found["tests"], "prompt", "samples"):
        if row["prompt"] not in tested:
            raise OptionError(f"{found['tests'].name} has tests of no problem of {found['tested'].name}")
        tests[tested[row["prompt"]]] = row["samples"]
    code = []
    for row in _records(found["programs"], "prompt", "samples"):
        if (problem := problems.get(row["prompt"])) is None:
            raise OptionError(f"{found['programs'].name} has programs of no problem of {found['problems'].name}")
        name = problem["entry_point"].strip()
        code.append(
            GeneratedCode(
                id=problem["task_id"],
                prompt=problem["prompt"],
                entry_point=name,
                test=problem["test"],
                programs=tuple(_cut(sample) for sample in row["samples"]),
                tests=tuple(tuple(assertions(sample, name)) for sample in tests.get(problem["task_id"], ())),
            )
        )
    return tuple(code)


def assertions(text: str, entry_point: str) -> Iterator[str]:
    """The assertions about a function in what the model wrote behind `assert`, as CodeT finds them."""
    for part in f"assert {text}".split("assert "):
        if entry_point in part and part.strip():
            test = _cut(f"assert {part}".strip()).strip()
            if _is_python(test):
                yield test


def _is_python(test: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What a model's code is warned of is no matter.
        try:
            compile(_TRIED.format(test.replace("\n", "\n    ")), "test.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
    return True


def _cut(text: str) -> str:
    return text[: min((place for end in _ENDS if (place := text.find(end)) >= 0), default=len(text))]


def file_of(folder: str | Path, pattern: str) -> Path:
    """The one file of that kind. Raises `OptionError` where there is none, or several."""
    there = sorted(Path(folder).expanduser().glob(pattern))
    if len(there) != 1:
        raise OptionError(f"{folder} has {len(there) or 'no'} files {pattern}: give the folder of CodeT's logs")
    return there[0]


def _records(path: Path, *needed: str) -> Sequence[Mapping[str, Any]]:
    rows = rows_of(path)
    for index, row in enumerate(rows.rows):
        for name in needed:
            value = row.get(name)
            if (name == "samples") != isinstance(value, list) or not value:
                raise OptionError(f"{rows.place(index)} has no {name!r}: it is no log of CodeT")
    return rows.rows
