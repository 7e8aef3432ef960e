"""Run every benchmark, one after the other: `python -m benchmarks`, on a machine that does nothing else."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

from benchmarks import client, concurrent_readers, engine, flushing, loading, orchestration, recording


def main() -> None:
    """Print which machine this is, then each part."""
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    for part in (loading, recording, flushing, orchestration, client, engine, concurrent_readers):
        print(f"\n== {part.__name__.rpartition('.')[2].replace('_', ' ')}")
        part.main()


if __name__ == "__main__":
    main()
