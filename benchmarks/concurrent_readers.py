"""How soon a reader sees a token that another process recorded, while four processes record and one compacts.

The reader keeps one connection open all the time. Prints the lag from arrival to being seen, errors, and what was lost
or seen twice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.segments import SEED, segment_folder

SECONDS = 20
WRITERS = 4
WRITER = """
import sys, time
from pathlib import Path
from tttlab.events import TokenDelta
from tttlab.store.journal import Journal
journal = Journal(Path(sys.argv[1]))
number, end = 0, time.time() + float(sys.argv[3])
while time.time() < end:
    number += 1
    buffer = journal.token_buffer("run", f"{int(sys.argv[2]) * 10**9 + number:016x}")
    for position in range(20):
        buffer.record(position, TokenDelta(" word", time.time_ns(), 1, -0.5))
    buffer.close()
    time.sleep(0.02)
journal.close()
print(number * 20)
"""


def main() -> None:
    """Run it and print what was seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), str(number), str(SECONDS)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(1, WRITERS + 1)
        ]
        while not (segment_folder(folder, "tokens") / SEED).exists():
            time.sleep(0.05)
        reader = connect(folder)
        lags, errors, compacted = [], 0, time.monotonic()
        while any(writer.poll() is None for writer in writers):
            asked = time.time_ns()
            try:
                row = reader.execute(
                    "SELECT max(time_ns), count(*), count(DISTINCT (span_key, position)) FROM tokens"
                ).fetchone()
            except Exception as error:  # noqa: BLE001 - counting errors is what it is for
                errors += 1
                print(f"  {error}")
                continue
            if row and row[0]:
                lags.append((asked - row[0]) / 1e9)
                errors += row[1] != row[2]
            if time.monotonic() - compacted > 3:
                compact(folder)
                compacted = time.monotonic()
            time.sleep(0.1)
        recorded = sum(int(writer.communicate()[0]) for writer in writers)
        [seen] = reader.execute("SELECT count(*) FROM tokens").fetchone() or [0]
        steady = sorted(lags[3:-3])
        print(f"{WRITERS} writers, {recorded:,} tokens recorded, {seen:,} seen, {len(lags)} queries, {errors} errors")
        print(f"lag  median {steady[len(steady) // 2]:.2f} s, greatest {steady[-1]:.2f} s")


if __name__ == "__main__":
    main()
