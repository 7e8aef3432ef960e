"""Several processes record while others read and compact: nothing is lost, nothing is seen twice, nothing fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from tttlab.store.database import connect

WRITER = """
import sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
from tests.store.recorded import record
from tttlab.store.journal import Journal
journal = Journal(Path({store!r}))
for number in range({calls}):
    record(journal, {tokens}, number=int(sys.argv[1]) * 100_000 + number)
    if number % 5 == 4:
        journal.flush()
journal.close()
"""

COMPACTOR = """
import sys
from pathlib import Path
from tttlab.store.compaction import compact
store = Path({store!r})
while not (store / "stop").exists():
    if store.is_dir():
        compact(store)
"""


@pytest.mark.parametrize(
    ("calls", "tokens"), [(40, 50), pytest.param(600, 200, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_four_writers_a_reader_and_a_compactor(own_store, calls, tokens):
    words = {"here": str(Path.cwd()), "store": str(own_store), "calls": calls, "tokens": tokens}
    own_store.mkdir(parents=True)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER.format(**words), str(number)]) for number in range(1, 5)]
    compactor = subprocess.Popen([sys.executable, "-c", COMPACTOR.format(**words)])
    seen = [0]
    reader = None
    while any(writer.poll() is None for writer in writers):
        if reader is None and (own_store / "segments" / "v1" / "tokens" / "0-seed.parquet").exists():
            reader = connect(own_store)
        for connection in filter(None, (reader, connect(own_store))):
            count, distinct = connection.execute(
                "SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens"
            ).fetchone()
            assert count == distinct
            seen.append(count)
    (own_store / "stop").touch()
    assert compactor.wait() == 0
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    expected = 4 * calls * tokens
    for connection in (reader, connect(own_store)):
        assert connection.execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone() == (
            expected,
            expected,
        )
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (4 * calls,)
    assert seen == sorted(seen)
