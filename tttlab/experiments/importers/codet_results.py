"""What CodeT's programs do: executed in the sandbox once, kept in the cache, and recorded in the store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import anyio
import numpy as np
from numpy.typing import NDArray

from tttlab.abilities import require_leave
from tttlab.errors import OptionError
from tttlab.experiments.codet_selection import PassMatrix
from tttlab.experiments.importers.codet import PROGRAMS, GeneratedCode, file_of, read_codet
from tttlab.experiments.importers.dual_execution import OUT_OF_TIME, PASSED, TestLimits, what_happens
from tttlab.experiments.importers.logged import LoggedCall, LoggedRun, LoggedUsage, LoggedVerdict
from tttlab.experiments.importers.writing import Imported, source_of, write_runs
from tttlab.labels import Label
from tttlab.options import resolve_flag
from tttlab.portal import wait_for

FORMAT, VERSION = "codet", 1
_NAMED = re.compile(r"(?P<data>\w+?)_(?P<model>[^_]+)_temp(?P<temperature>[\d.]+)_topp")


def execute_codet(
    problems: Sequence[GeneratedCode],
    *,
    limits: TestLimits | None = None,
    cache: str | Path | None = None,
    allow_code: bool | str | None = None,
    progress: bool | None = None,
) -> list[PassMatrix]:
    """Who passes what: every sampled program against the generated tests and against the problem's own.

    All 164 problems of HumanEval with 100 programs each take minutes; a problem that was executed before, with the same
    limits and Python, is read from a file in `cache` (a folder; by default in the user's cache), so that a run that was
    ended goes on where it was. Different programs are run once, with the standard library alone, as many problems at
    once as there are processors. Raises `OptionError` without leave to run programs that a model wrote, and
    `SandboxError` where none can be run here.
    """
    require_leave("CodeT's selection", allow_code=resolve_flag("allow_code", allow_code).value == "true")
    work = _Work(problems, limits or TestLimits(), _cache_folder(cache), shown=progress)
    return wait_for(work.run, stop=work.stop, while_waiting=work.show)


def import_codet(
    folder: str | Path,
    matrices: Iterable[PassMatrix],
    *,
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> Imported:
    """Record CodeT's programs as runs: one for each problem, a call for each program, right where its tests pass.

    `matrices` is what `execute_codet` gave for the folder's problems. An answer is the program; the verdicts
    `generated_tests` (the share of the generated tests that it passes) and `dual_agreement` (programs times tests of
    its cluster) are scores to choose by. Importing again adds nothing. Raises `OptionError` where a problem has no
    matrix, or one of other programs, and `StoreError`.
    """
    source = source_of(file_of(folder, PROGRAMS), format=FORMAT, version=VERSION)
    known, named = {matrix.problem: matrix for matrix in matrices}, _NAMED.match(source.path.name)
    model = named["model"] if named else source.path.name.partition(".")[0]
    temperature = float(named["temperature"]) if named else None
    runs = []
    for problem in read_codet(folder):
        if (matrix := known.get(problem.id)) is None or len(matrix.correct) != len(problem.programs):
            raise OptionError(
                f"{problem.id} was not executed with these programs: give what execute_codet gives for all"
            )
        runs.append(_run(problem, matrix, model, temperature))
    return write_runs(source, runs, store=store, labels=labels)


def _run(problem: GeneratedCode, matrix: PassMatrix, model: str, temperature: float | None) -> LoggedRun:
    generated = int(matrix.generated.sum())
    clusters = matrix.clusters
    agreement = np.bincount(clusters)[clusters] * matrix.passed
    scores = {"generated_tests": matrix.passed / max(1, generated), "dual_agreement": agreement}
    return LoggedRun(
        place=problem.id,
        problem=problem.id,
        prompt=problem.prompt,
        strategy="direct",
        model=model,
        check="humaneval_tests@1",
        extractor="program@1",
        parameters={"samples": len(problem.programs)},
        usage=LoggedUsage(calls=len(problem.programs)),
        calls=[
            LoggedCall(text=program, answer=program, correct=bool(right), temperature=temperature)
            for program, right in zip(problem.programs, matrix.correct, strict=True)
        ],
        verdicts=[
            LoggedVerdict(verifier=name, candidate=program, score=float(score))
            for name, values in scores.items()
            for program, score in dict(zip(problem.programs, values, strict=True)).items()
            if generated
        ],
    )


class _Work:
    """The execution of all problems, in the loop's thread; what is done is kept at once."""

    def __init__(
        self, problems: Sequence[GeneratedCode], limits: TestLimits, folder: Path, *, shown: bool | None
    ) -> None:
        self._problems, self._limits, self._folder = problems, limits, folder
        self._found: dict[int, PassMatrix] = {}
        self._scope: anyio.CancelScope | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shown = sys.stderr.isatty() if shown is None else shown

    async def run(self) -> list[PassMatrix]:
        self._loop, turns = asyncio.get_running_loop(), anyio.CapacityLimiter(os.cpu_count() or 1)

        async def one(place: int) -> None:
            async with turns:
                try:
                    self._found[place] = await self._matrix(self._problems[place])
                except Exception as error:  # noqa: BLE001 - it is raised below, by itself and not in a group
                    failed.append(error)
                    scope.cancel()

        failed: list[Exception] = []
        with anyio.CancelScope() as scope:
            self._scope = scope
            async with anyio.create_task_group() as tasks:
                for place in range(len(self._problems)):
                    tasks.start_soon(one, place)
        if failed:
            raise failed[0]
        return [self._found[place] for place in sorted(self._found)]

    def stop(self) -> None:
        """What is executed already is in the cache."""
        if self._loop and self._scope:
            self._loop.call_soon_threadsafe(self._scope.cancel)

    def show(self) -> None:
        if self._shown:
            sys.stderr.write(f"\rexecuted {len(self._found):,} of {len(self._problems):,} problems ")
            sys.stderr.flush()

    async def _matrix(self, problem: GeneratedCode) -> PassMatrix:
        different, counts = list(dict.fromkeys(problem.programs)), problem.counted()
        job = [VERSION, sys.version_info[:2], asdict(self._limits), problem.prompt, different, [*counts], problem.final]
        path = self._folder / f"{hashlib.sha256(json.dumps(job).encode()).hexdigest()}.json"
        told = _kept(path, (len(different), len(counts) + 1))
        if told is None:
            whole = [f"{problem.prompt}{program}\n" for program in different]
            told = await what_happens(whole, [*counts], problem.final, self._limits)
            _keep(path, told)
        sampled = told[[different.index(program) for program in problem.programs]]
        return PassMatrix(
            problem=problem.id,
            passes=sampled[:, :-1] == PASSED,
            generated=np.fromiter(counts.values(), dtype=np.int64, count=len(counts)),
            correct=sampled[:, -1] == PASSED,
            out_of_time=np.count_nonzero(sampled[:, :-1] == OUT_OF_TIME, axis=1),
        )


def _cache_folder(given: str | Path | None) -> Path:
    from tttlab.models.weights import cache_folder

    return cache_folder() / "codet" if given is None else Path(given).expanduser()


def _kept(path: Path, shape: tuple[int, int]) -> NDArray[np.str_] | None:
    """What was kept of an execution; None where nothing was, or it is damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        told = np.array([list(row) for row in rows], dtype="U1")
    except (OSError, ValueError, TypeError):
        return None
    return told if told.shape == shape else None


def _keep(path: Path, told: NDArray[np.str_]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(["".join(row) for row in told.tolist()], file)
    Path(temporary).replace(path)
