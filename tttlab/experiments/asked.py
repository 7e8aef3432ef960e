"""Which recorded runs are meant, checked against the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.run import Run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Store:
    """The store that is asked."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a statement whose `$name` are bound to these values. Raises `QueryError`."""
        from tttlab.store.queries import query

        found: list[dict[str, Any]] = query(self._connection, sql, parameters).to_pylist()
        return found


@contextmanager
def opened(connection: DuckDBPyConnection | None) -> Iterator[Store]:
    """The store through `connection`, whose own pending result stays as it is; the default store unless given."""
    from tttlab.recording import connect

    own = connect() if connection is None else connection.cursor()
    try:
        yield Store(own)
    finally:
        own.close()


def runs_asked(store: Store, runs: Sequence[Run | str]) -> list[Mapping[str, Any]]:
    """The rows in `runs` that these runs or ids name, each once, in the order in which they were asked for.

    Raises `OptionError` for what is no run, or is not in the store.
    """
    if not runs:
        raise OptionError("there is no run: pass a run, or its id from the view `runs`")
    ids = list(dict.fromkeys(_id_of(run) for run in runs))
    found = {row["run_id"]: row for row in store.rows(_RUNS, ids=ids)}
    for run_id in ids:
        if run_id not in found:
            raise OptionError(f"the store has no run {run_id!r}{near(store, 'runs', 'run_id', run_id)}")
    return [found[run_id] for run_id in ids]


def near(store: Store, view: str, column: str, word: str) -> str:
    """The tail of a message about an id that a view does not have: the ids nearest to it."""
    ids = [repr(row["id"]) for row in store.rows(_NEAREST.format(view=view, column=column), word=word)]
    return f"; the nearest are {', '.join(ids)}" if ids else ": nothing is recorded in it"


def _id_of(run: Run | str) -> str:
    if isinstance(run, Run):
        return run.id
    if isinstance(run, str):
        return run
    raise OptionError(f"{type(run).__name__} {run!r:.60} is not a run: pass runs or run ids, one by one")


_RUNS = """
SELECT
    run_id, strategy, model, prompt, reference, status, answer, confidence, correct, problem_id, seed, thinking_tokens
FROM runs WHERE run_id IN (SELECT unnest($ids::VARCHAR[]))
"""

_NEAREST = """
SELECT {column} AS id FROM {view}
ORDER BY jaro_winkler_similarity({column}, $word) DESC, {column} DESC LIMIT 3
"""
