"""The same 20,000 spans given to Phoenix, to MLflow and to tttlab: how fast, how large, how soon asked.

`python -m benchmarks.side_by_side [folder]` installs Phoenix and MLflow from PyPI into environments of their own (in
the folder, where they are used again; else in a temporary one) and takes some minutes. The spans are those of 1,000
runs, with the attributes that tttlab gives them (`gen_ai.*` and its own, none of OpenInference) and messages of about
300 characters, made of random words (that gzip shortens as English), from a fixed seed. One client sends the same
OTLP/HTTP requests (protobuf, gzip, 512 spans each, prepared beforehand) one after the other to each server, which is
started for it with an empty store, as it is by default: Phoenix and MLflow with SQLite, `tttlab collect` with its
folder; the last line gives the same spans to tttlab's journal without HTTP. Accepted: spans a second until the last
request is answered (Phoenix has them in memory alone then, the others have written them). Stored: until the tool's own
interface (Phoenix's GraphQL, MLflow's trace metrics, tttlab's view `spans`) counts them all. Bytes a span: by how much
the data folder grew over that of a server that had started and stopped, after the server stopped and its write-ahead
log was checkpointed. Group-by: how many spans and their mean duration by name, the best of three on an open
connection, once the servers stopped; Phoenix has no such question in its interface, so its SQLite file is asked, and
MLflow is asked both ways (over HTTP while it still runs). All answers must agree. Load is that of the machine, over a
minute, when a tool is done. The limits: one client, one machine, no tokens (the others have no place for them),
servers that have just started, a size at which everything fits into memory, and Phoenix and MLflow do work while they
take spans (costs, sums over traces) that tttlab leaves to its views.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.spans_of_runs import SPANS_A_RUN, spans_of_runs
from tests.interop import servers
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.otlp.encode import trace_requests
from tttlab.tracing.rows import SpanRow

RUNS = 1_000
SPANS = RUNS * SPANS_A_RUN
SETTLING = 900
"""Seconds that a server may take to store what it accepted."""
PACKED = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

PHOENIX_SQL = """
    SELECT name, count(*), avg(julianday(end_time) - julianday(start_time)) * 86400e3 FROM spans GROUP BY name
"""
MLFLOW_SQL = "SELECT name, count(*), avg(duration_ns) / 1e6 FROM spans GROUP BY name"
TTTLAB_SQL = "SELECT name, count(*), avg(seconds) * 1e3 FROM spans GROUP BY name"

Answer = dict[str, tuple[int, float]]
"""How many spans, and their mean duration in milliseconds, by name."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    accepted: float | None
    """Seconds from the first request until the last one was answered."""
    stored: float | None
    """Seconds from the first request until all spans were counted."""
    size: int | None
    """Bytes by which the store grew."""
    asked: float
    """Seconds of the group-by, the best of three."""
    through: str


def main(folder: str = "") -> None:
    """Print the table."""
    rows = spans_of_runs(RUNS)
    expected = _answer_of(rows)
    bodies = [gzip.compress(request.SerializeToString(), 6) for request in trace_requests(rows)]
    plain, packed = sum(len(gzip.decompress(body)) for body in bodies), sum(map(len, bodies))
    told = f"{plain / SPANS:,.0f} bytes a span, {packed / SPANS:,.0f} with gzip"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores; {SPANS:,} spans in {len(bodies)} requests, {told}")
    print("                                accepted      stored   bytes/   group-by")
    print("                                 spans/s     spans/s     span         ms   asked through           load")
    with tempfile.TemporaryDirectory() as temporary:
        place, kept = Path(temporary), Path(folder or temporary).absolute()
        for measured in (partial(_phoenix, kept / "phoenix"), partial(_mlflow, kept / "mlflow"), _collect):
            _show(_agreeing(measured(place, bodies), expected))
        _show(_agreeing(_journal(place, rows), expected))


def _agreeing(found: Sequence[tuple[Line, Answer]], expected: Answer) -> list[Line]:
    """The lines. Raises `RuntimeError` for one whose answer is not that of the spans."""
    for line, answer in found:
        for name in answer.keys() | expected.keys():
            (count, mean), (expected_count, expected_mean) = (said.get(name, (0, 0.0)) for said in (answer, expected))
            # SQLite's own times are as fine as a millisecond.
            if count != expected_count or abs(mean - expected_mean) > 1:
                raise RuntimeError(f"{line.what}: {name!r} is {count, mean}, not {expected_count, expected_mean}")
    return [line for line, _ in found]


def _show(lines: Sequence[Line]) -> None:
    for line in lines:
        rates = "".join(f"{SPANS / taken:12,.0f}" if taken else f"{'':12}" for taken in (line.accepted, line.stored))
        size = f"{line.size / SPANS:9,.0f}" if line.size is not None else f"{'':9}"
        asked = f"{line.asked * 1e3:11,.1f}   {line.through:23}"
        print(f"{line.what:28}{rates}{size}{asked}{os.getloadavg()[0]:5.1f}", flush=True)


def _phoenix(kept: Path, place: Path, bodies: Sequence[bytes]) -> list[tuple[Line, Answer]]:
    environment = _installed(kept, servers.PHOENIX)
    what = f"Phoenix {servers.version(environment, servers.PHOENIX)}"
    server = partial(servers.phoenix, environment)
    with _started(server, place / "of-phoenix") as (address, grown):
        accepted, stored = _sent(bodies, f"{address}/v1/traces", {}, partial(_counted_by_phoenix, address))
    answer, asked = _of_sqlite(grown.file, PHOENIX_SQL)
    return [(Line(what, accepted, stored, grown.size, asked, "SQL in its SQLite file"), answer)]


def _mlflow(kept: Path, place: Path, bodies: Sequence[bytes]) -> list[tuple[Line, Answer]]:
    environment = _installed(kept, servers.MLFLOW)
    what = f"MLflow {servers.version(environment, servers.MLFLOW)}"
    server = partial(servers.mlflow, environment)
    with _started(server, place / "of-mlflow") as (address, grown):
        url = f"{address}/v1/traces"
        accepted, stored = _sent(bodies, url, servers.MLFLOW_HEADERS, partial(_counted_by_mlflow, address))
        by_interface, interface = _best(partial(_of_mlflow, address))
    answer, asked = _of_sqlite(grown.file, MLFLOW_SQL)
    line = Line(what, accepted, stored, grown.size, asked, "SQL in its SQLite file")
    return [(line, answer), (Line("  its interface", None, None, None, interface, "traces/metrics"), by_interface)]


def _collect(place: Path, bodies: Sequence[bytes]) -> list[tuple[Line, Answer]]:
    with _started(_collector, place / "of-collect") as (address, grown):
        store = grown.folder / "store"
        accepted, stored = _sent(bodies, f"{address}/v1/traces", {}, partial(_counted_by_tttlab, store))
    answer, asked = _of_store(store)
    found = [(Line("tttlab collect", accepted, stored, grown.size, asked, "its views, segments"), answer)]
    compact(store, kept_seconds=0)
    answer, asked = _of_store(store)
    line = Line("  compacted", None, None, _size(grown.folder), asked, "its views, archive")
    return [*found, (line, answer)]


def _journal(place: Path, rows: Sequence[SpanRow]) -> list[tuple[Line, Answer]]:
    store = place / "of-journal"
    started = time.perf_counter()
    journal = Journal(store)
    for row in rows:
        journal.span(row)
    journal.flush()
    _settled(partial(_counted_by_tttlab, store))
    stored = time.perf_counter() - started
    journal.close()
    answer, asked = _of_store(store)
    return [(Line("tttlab's journal, no HTTP", None, stored, _size(store), asked, "its views, segments"), answer)]


@dataclass(slots=True)
class _Grown:
    """What a server stored: its folder, its SQLite file if it has one, and by how many bytes it grew."""

    folder: Path
    size: int = 0

    @property
    def file(self) -> Path:
        return next(self.folder.glob("*.db"))


@contextmanager
def _started(server: Callable[[Path], AbstractContextManager[str]], folder: Path) -> Iterator[tuple[str, _Grown]]:
    """A server that starts for the second time; when it has stopped, the second value says what it stored."""
    folder.mkdir()
    with server(folder):
        pass
    grown = _Grown(folder / "data")
    empty = _checkpointed(grown.folder)
    with server(folder) as address:
        yield address, grown
    grown.size = _checkpointed(grown.folder) - empty


@contextmanager
def _collector(folder: Path) -> Iterator[str]:
    port, data = servers.free_port(), folder / "data"
    address = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [Path(sys.executable).with_name("tttlab"), "collect", "--port", str(port)]
    # It answers a GET with "not allowed".
    with servers.running(command, folder, address, httpx.codes.METHOD_NOT_ALLOWED, TTTLAB_TRACES=str(data)):
        yield address


def _installed(kept: Path, package: str) -> Path:
    kept.mkdir(parents=True, exist_ok=True)
    return servers.install(kept, package)


def _checkpointed(data: Path) -> int:
    for file in data.glob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return _size(data)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sent(
    bodies: Sequence[bytes], url: str, headers: Mapping[str, str], counted: Callable[[], int]
) -> tuple[float, float]:
    """Seconds until the last request was answered, and until all spans are counted."""
    with httpx.Client(timeout=SETTLING, headers={**PACKED, **headers}) as client:
        started = time.perf_counter()
        for body in bodies:
            while (answer := client.post(url, content=body)).status_code in (429, 503):
                time.sleep(0.05)  # It is full for now.
            answer.raise_for_status()
        accepted = time.perf_counter() - started
    _settled(counted)
    return accepted, time.perf_counter() - started


def _settled(counted: Callable[[], int]) -> None:
    began = time.monotonic()
    while (count := counted()) != SPANS:
        if (waited := time.monotonic() - began) > SETTLING:
            raise RuntimeError(f"only {count:,} of {SPANS:,} spans are there after {SETTLING} s")
        # Seldom enough that counting does not hold up the storing.
        time.sleep(max(0.05, waited / 50))


def _counted_by_phoenix(address: str) -> int:
    query = "{projects{edges{node{name recordCount}}}}"
    said = httpx.post(f"{address}/graphql", json={"query": query}, timeout=SETTLING).raise_for_status().json()
    nodes = [edge["node"] for edge in said["data"]["projects"]["edges"]]
    return next((int(node["recordCount"]) for node in nodes if node["name"] == "default"), 0)


def _counted_by_mlflow(address: str) -> int:
    return sum(int(each["values"]["COUNT"]) for each in _metrics(address, "span_count", "COUNT"))


def _counted_by_tttlab(store: Path) -> int:
    with closing(connect(store)) as connection:
        return int(connection.execute("SELECT count(*) FROM spans").fetchall()[0][0])


def _best(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    """The answer, and the seconds of the quickest of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        answer = ask()
        taken.append(time.perf_counter() - started)
    return answer, min(taken)


def _of_sqlite(file: Path, sql: str) -> tuple[Answer, float]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return _best(lambda: _answer(connection.execute(sql).fetchall()))


def _of_mlflow(address: str) -> Answer:
    """One question a metric, since an answer has only one."""
    counts = _metrics(address, "span_count", "COUNT", "span_name")
    means = {each["dimensions"]["span_name"]: each for each in _metrics(address, "latency", "AVG", "span_name")}
    names_of = [(each["dimensions"]["span_name"], int(each["values"]["COUNT"])) for each in counts]
    return {name: (count, float(means[name]["values"]["AVG"])) for name, count in names_of}


def _metrics(address: str, metric: str, aggregation: str, *dimensions: str) -> list[dict[str, Any]]:
    asked = {
        "experiment_ids": ["0"],
        "view_type": "SPANS",
        "metric_name": metric,
        "aggregations": [{"aggregation_type": aggregation}],
        "dimensions": dimensions,
        "max_results": 1000,
    }
    answer = httpx.post(f"{address}/api/3.0/mlflow/traces/metrics", json=asked, timeout=SETTLING).raise_for_status()
    return list(answer.json().get("data_points", []))


def _of_store(store: Path) -> tuple[Answer, float]:
    with closing(connect(store)) as connection:
        return _best(lambda: _answer(connection.execute(TTTLAB_SQL).fetchall()))


def _answer(rows: Sequence[tuple[Any, ...]]) -> Answer:
    return {name: (count, mean) for name, count, mean in rows}


def _answer_of(rows: Sequence[SpanRow]) -> Answer:
    """What the spans themselves answer."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(((row.end_ns or 0) - row.start_ns) / 1e6)
    return {name: (len(taken), sum(taken) / len(taken)) for name, taken in found.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
