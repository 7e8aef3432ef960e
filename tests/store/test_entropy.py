"""The entropy of a token's alternatives: one formula, worked out once for what is in archives."""

import math
from dataclasses import replace

import duckdb
import pytest

from tests.store.recorded import record, token
from tests.store.recording import root
from tttlab.events import NO_ALTERNATIVES, Alternatives
from tttlab.store.bundles import export_bundle
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.layout import steps
from tttlab.store.segments import SCHEMAS

LOGPROBS = {
    "two of two": (math.log(0.5), math.log(0.5)),
    "all but a tenth": (math.log(0.6), math.log(0.3)),
    "one for certain": (0.0,),
    "impossible": (-0.5, -math.inf, -1e30),
    "none": (),
    "no number": (math.nan, -1.0),
    "none given": (None, -1.0),
    "more than certain": (700.0, 800.0),
    "larger than a float": (700.0,),
}
ASKED = "SELECT position, entropy_topk FROM tokens ORDER BY ALL"


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


@pytest.fixture
def odd(journal):
    """A call with a token for each of `LOGPROBS`."""
    buffer = journal.token_buffer("run-1", "00000000000000ff")
    for position, logprobs in enumerate(LOGPROBS.values()):
        top = Alternatives(tuple(range(len(logprobs))), ("x",) * len(logprobs), logprobs) if logprobs else None
        buffer.record(position, replace(token("odd", position), top=top or NO_ALTERNATIVES))
    buffer.close()
    root(journal, 1, run="run-1", attributes={"gen_ai.operation.name": "invoke_workflow"})
    journal.flush()
    return journal.folder


def entropies(connection):
    """The same rows, whether NaN or not: it is not equal to itself."""
    return [(position, str(value)) for position, value in connection.execute(ASKED).fetchall()]


def test_it_is_that_of_the_alternatives_and_of_all_others_as_one(odd):
    found = {name: value for name, (_, value) in zip(LOGPROBS, connect(odd).execute(ASKED).fetchall(), strict=True)}
    assert found["two of two"] == pytest.approx(math.log(2))
    assert found["all but a tenth"] == pytest.approx(-sum(p * math.log(p) for p in (0.6, 0.3, 0.1)))
    assert found["one for certain"] == 0
    assert math.isfinite(found["impossible"])
    assert found["none"] is found["larger than a float"] is None
    assert math.isnan(found["no number"])


def test_it_is_the_same_in_segments_archives_of_any_version_bundles_and_what_is_published(odd, tmp_path):
    before = entropies(connect(odd))
    export_bundle(connect(odd), [], tmp_path / "bundle")
    for version in range(1, len(steps()) + 1):
        compact(odd, kept_seconds=0, schema=steps()[:version])
        assert entropies(connect(odd)) == before
    compact(odd, to=tmp_path / "all.duckdb")
    with duckdb.connect(tmp_path / "all.duckdb", read_only=True) as published:
        assert entropies(published) == before
    assert entropies(connect(tmp_path / "bundle" / "store")) == before


def test_a_bundle_has_the_columns_of_its_format_alone(odd, tmp_path):
    bundle = export_bundle(connect(odd), [], tmp_path / "bundle")
    found = duckdb.sql(f"DESCRIBE FROM read_parquet('{bundle.file('tokens').as_posix()}')").fetchall()
    assert [row[0] for row in found] == SCHEMAS["tokens"].names


def test_of_an_archive_it_is_not_worked_out_again(journal, own_store):
    first, second = steps()[:2]
    told = replace(second, sql=second.sql.replace("= entropy_topk(top)", "= 7"))
    record(journal)
    journal.flush()
    compact(own_store, kept_seconds=0, schema=(first, told, *steps()[2:]))
    record(journal, number=2)
    journal.flush()
    asked = "SELECT span_key, entropy_topk = 7 FROM tokens GROUP BY ALL ORDER BY ALL"
    assert connect(own_store).execute(asked).fetchall() == [(1, True), (2, False)]


def test_whoever_does_not_ask_for_it_does_not_wait_for_it(odd):
    connection = connect(odd)
    plans = [connection.execute(f"EXPLAIN SELECT {of} FROM tokens").fetchall() for of in ("entropy_topk", "logprob")]
    assert ["exp(" in str(plan) for plan in plans] == [True, False]
