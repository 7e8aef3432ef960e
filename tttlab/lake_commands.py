"""The commands of a lake, where many machines' stores are asked together: `tttlab lake register`, `sql`, `merge`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from tttlab.errors import OptionError
from tttlab.options import store_folder

CATALOGUE, DATA = "TTTLAB_LAKE", "TTTLAB_LAKE_DATA"


def add_lake_commands(commands: Any) -> None:
    """Add them to the subparsers of a command line (what `ArgumentParser.add_subparsers` returns)."""
    lake = commands.add_parser("lake", help="many machines' stores as one DuckLake, with its catalogue in PostgreSQL")
    inner = lake.add_subparsers(required=True, metavar="COMMAND")

    register = inner.add_parser("register", help="put what this store has recorded into the lake; twice is once")
    _add_place(register)
    register.set_defaults(run=_register)

    sql = inner.add_parser("sql", help="ask the lake a question in SQL")
    sql.add_argument("statement")
    _add_place(sql)
    sql.set_defaults(run=_sql)

    merge = inner.add_parser("merge", help="merge the lake's many small files into larger ones")
    _add_place(merge)
    merge.set_defaults(run=_merge)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--catalog",
        metavar="URL",
        help=f"postgresql://user@host/database ({CATALOGUE}); a password is better in .pgpass",
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help=f"where the lake's files lie, which every machine sees ({DATA}, or as it was made)",
    )


def _register(options: argparse.Namespace) -> int:
    from tttlab.recording import flush
    from tttlab.store.findings import counted
    from tttlab.store.lake import register

    flush()
    done = register(store_folder(), _catalogue(options), _data(options))
    if not any(done.rows.values()):
        _say("the lake has all of it already")
        return 0
    files = [counted(done.segments, "segment")] if done.segments else []
    files += [counted(done.archives, "archive")] if done.archives else []
    rows = f"{counted(done.rows['spans'], 'row')} of spans and {counted(done.rows['tokens'], 'token')}"
    _say(f"registered {rows} from {' and '.join(files)}")
    return 0


def _sql(options: argparse.Namespace) -> int:
    from tttlab.notebook.display import table_bundle
    from tttlab.store.lake.reading import ask

    _say(table_bundle(ask(_catalogue(options), options.statement, _data(options)))["text/plain"])
    return 0


def _merge(options: argparse.Namespace) -> int:
    from tttlab.store.findings import counted
    from tttlab.store.lake import merge

    merged = merge(_catalogue(options), _data(options))
    _say(f"merged {counted(merged, 'file')}" if merged else "there was nothing to merge")
    return 0


def _catalogue(options: argparse.Namespace) -> str:
    catalogue: str | None = options.catalog or os.environ.get(CATALOGUE)
    if not catalogue:
        raise OptionError(f"which lake? give --catalog postgresql://user@host/database, or set {CATALOGUE}")
    return catalogue


def _data(options: argparse.Namespace) -> str | None:
    return options.data or os.environ.get(DATA)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
