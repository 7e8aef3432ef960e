"""Does the store lose anything? `python -m benchmarks.torture --seconds 60 --kills 200`, on a machine with time for it.

Processes record, and acknowledge a row only when it was flushed; another reads; a third compacts. All are killed with
SIGKILL at random moments and started again. Afterwards every acknowledged row must be there exactly once, without any
repair, and no count that a reader saw may have gone down or have been less than what was acknowledged before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pyarrow as pa

from benchmarks import tortured
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.doctor import examine
from tttlab.store.manifest import read_manifest

MISSING = """
SELECT count(*) FROM (SELECT span_key::UBIGINT AS span_key, tokens FROM promised)
LEFT JOIN (SELECT span_key, count(*) AS n, count(DISTINCT position) AS d FROM tokens GROUP BY span_key) USING (span_key)
LEFT JOIN (SELECT span_key, count(*) AS calls FROM calls WHERE status = 'ok' GROUP BY span_key)
    USING (span_key)
WHERE n IS DISTINCT FROM tokens OR d IS DISTINCT FROM tokens OR calls IS DISTINCT FROM 1
"""


@dataclass(slots=True)
class Outcome:
    """What came of it. `failures` says everything that broke a promise; it should be empty."""

    kills: int = 0
    calls: int = 0
    tokens: int = 0
    """Acknowledged."""
    found: int = 0
    """Tokens in the store: those that were flushed and not acknowledged any more are there too."""
    queries: int = 0
    generations: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def torture(folder: Path, *, recorders: int, seconds: float, kills: int, seed: int) -> Outcome:
    """Do it in `folder`, which is to be empty, and say what came of it."""
    start, rng, outcome = time.monotonic(), Random(seed), Outcome()
    store = folder / "store"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.tortured"])
    lives = count(1)

    def recorder(number: int) -> BaseProcess:
        life = next(lives)
        path = folder / f"{number}.acknowledged"
        if path.exists():  # What a kill has cut short is no line.
            path.write_bytes(path.read_bytes().rpartition(b"\n")[0] + b"\n" * (path.stat().st_size > 0))
        return context.Process(target=tortured.record, args=(store, path, life, rng.randrange(2**32)))

    def reader() -> BaseProcess:
        return context.Process(target=tortured.read, args=(store, folder, folder / f"{next(lives):06d}.seen"))

    make: list[Callable[[], BaseProcess]] = [partial(recorder, number) for number in range(recorders)]
    make += [reader, lambda: context.Process(target=tortured.gather, args=(store,))]
    living = [_started(each) for each in make]
    moments = sorted(rng.uniform(0, seconds) for _ in range(kills))
    began = time.monotonic()
    for moment in moments:
        time.sleep(max(0.0, began + moment - time.monotonic()))
        victim = rng.randrange(len(living))
        _kill(living[victim], outcome)
        living[victim] = _started(make[victim])
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    (folder / "stop").touch()
    for process in living:
        process.join(timeout=60)
        if process.exitcode != 0:
            outcome.failures.append(f"{process.name} ended with {process.exitcode}")
            process.kill()
    _judge(store, outcome)
    outcome.seconds = time.monotonic() - start
    return outcome


def _started(make: Callable[[], BaseProcess]) -> BaseProcess:
    process = make()
    process.start()
    return process


def _kill(process: BaseProcess, outcome: Outcome) -> None:
    if not process.is_alive():
        outcome.failures.append(f"{process.name} had ended by itself with {process.exitcode}")
    process.kill()
    process.join()
    outcome.kills += 1


def _judge(store: Path, outcome: Outcome) -> None:
    promised = list(tortured.promises(store.parent))
    outcome.calls, outcome.tokens = len(promised), sum(tokens for _, tokens in promised)
    outcome.generations = read_manifest(store).generation
    _judge_what_was_seen(sorted(store.parent.glob("*.seen")), outcome)
    for when in ("at the end", "after a last compaction"):
        _judge_what_is_there(store, promised, when, outcome)
        compact(store, kept_seconds=0)
    if (store / "damaged").exists():
        outcome.failures.append("files were set aside as damaged")
    outcome.failures += [f"the doctor: {each.what}" for each in examine(store) if each.grade == "trouble"]


def _judge_what_is_there(store: Path, acknowledged: Sequence[tuple[int, int]], when: str, outcome: Outcome) -> None:
    connection = connect(store)
    promised = pa.table({"span_key": [span for span, _ in acknowledged], "tokens": [each for _, each in acknowledged]})
    connection.register("promised", promised)
    [wrong] = connection.execute(MISSING).fetchone() or [0]
    outcome.found, distinct = connection.execute(tortured.SEEN).fetchone() or (0, 0)
    if wrong:
        outcome.failures.append(f"{when} {wrong} acknowledged calls are not there exactly once")
    if outcome.found != distinct:
        outcome.failures.append(f"{when} {outcome.found} rows are there for {distinct} tokens")


def _judge_what_was_seen(files: Sequence[Path], outcome: Outcome) -> None:
    """One reader lived after another, so no count may be below any that came before it."""
    last = 0
    for path in files:
        for line in path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines():
            if line.startswith("failed"):
                outcome.failures.append(f"a reader: {line}")
                continue
            least, *counts = map(int, line.split())
            outcome.queries += len(counts)
            if min(counts) < least:
                outcome.failures.append(f"a reader saw {min(counts)} tokens when {least} had been acknowledged")
            if any(after < before for before, after in pairwise([last, *counts])):
                outcome.failures.append(f"a reader saw {last} tokens and then {counts}")
            last = counts[-1]


def main() -> None:
    """Do it in a temporary folder and print what came of it; the exit status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8, help="that record")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tttlab-torture-"))
    outcome = torture(
        folder, recorders=options.processes, seconds=options.seconds, kills=options.kills, seed=options.seed
    )
    print(
        f"{options.processes} processes recorded for {options.seconds:.0f} s, one read, one compacted; "
        f"{outcome.kills} kills (seed {options.seed})\n"
        f"acknowledged  {outcome.calls:,} calls, {outcome.tokens:,} tokens\n"
        f"found         {outcome.found:,} tokens, none twice unless it is said below\n"
        f"readers       {outcome.queries:,} counts\n"
        f"compactions   {outcome.generations:,} generations of the manifest\n"
        f"took          {outcome.seconds:.0f} s"
    )
    for failure in outcome.failures:
        print(f"FAILED        {failure}")
    if outcome.failures:
        print(f"the store is kept in {folder}")
        sys.exit(1)
    print("every acknowledged row is there exactly once, and no count went down")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
