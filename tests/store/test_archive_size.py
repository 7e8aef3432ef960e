"""An archive of spans is smaller than the segments that it was made of, and keeps spans of one sort together."""

import duckdb
import pytest

from benchmarks.spans_of_runs import spans_of_runs
from tttlab.store import building
from tttlab.store.archives import archive_folder, archives_in, quoted
from tttlab.store.columns import spans_table
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.segments import SegmentWriter, segments

STRETCHES = """
    SELECT count(*) FILTER (changed), count(DISTINCT (operation, name)) FROM (
        SELECT operation, name, (operation, name) IS DISTINCT FROM lag((operation, name)) OVER in_order AS changed
        FROM archive.stored_spans WINDOW in_order AS (ORDER BY rowid)
    )
"""


@pytest.fixture
def write(own_store):
    """Write the spans of so many runs as segments; returns their bytes."""

    def written(runs):
        rows, writer = spans_of_runs(runs), SegmentWriter(own_store)
        for first in range(0, len(rows), 512):
            writer.write("spans", spans_table(rows[first : first + 512]))
        return sum(path.stat().st_size for path in segments(own_store, "spans"))

    return written


def test_an_archive_and_what_is_published_are_smaller_than_their_segments(own_store, write, tmp_path):
    size = write(500)
    told = connect(own_store).execute("SELECT count(*), sum(hash(attributes::VARCHAR)) FROM spans").fetchone()
    compact(own_store, to=tmp_path / "all.duckdb")
    [name] = archives_in(own_store)
    assert (archive_folder(own_store) / name).stat().st_size < size
    assert (tmp_path / "all.duckdb").stat().st_size < size
    assert connect(own_store).execute("SELECT count(*), sum(hash(attributes::VARCHAR)) FROM spans").fetchone() == told


@pytest.mark.parametrize("portions", [1, 3])
def test_spans_of_one_sort_lie_together_as_far_as_memory_allows(own_store, write, portions, monkeypatch):
    size = write(80)
    monkeypatch.setattr(building, "ORDERED_BYTES", -(-size // portions) if portions > 1 else size + 1)
    compact(own_store)
    [name] = archives_in(own_store)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quoted(archive_folder(own_store) / name)} AS archive (READ_ONLY)")
        found, kinds = connection.execute(STRETCHES).fetchone()
    assert kinds <= found <= portions * kinds
    assert (found > kinds) == (portions > 1)
