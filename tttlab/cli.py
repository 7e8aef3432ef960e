"""The command line: `tttlab quickstart`, `think`, `sql`, `export`, `import`, `send`, `collect` and others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tttlab.errors import RunFailed, TttlabError
from tttlab.lake_commands import add_lake_commands
from tttlab.models_command import add_models_command
from tttlab.notebook.legible import legible
from tttlab.options import MODES
from tttlab.otlp_commands import add_otlp_commands
from tttlab.store_commands import add_store_commands

if TYPE_CHECKING:
    from tttlab.notebook.watching import Follower
    from tttlab.run import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0, 1 for an error that was said in one line, 130 for an interrupt."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except TttlabError as error:
        # It may name what a stranger's bundle holds.
        print(f"tttlab: {legible(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tttlab: interrupted; what was recorded until now is kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tttlab", description="A Jupyter-native lab for test-time compute.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('tttlab')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    quickstart = commands.add_parser("quickstart", help="run the quickstart notebook on the embedded model")
    quickstart.add_argument(
        "--output", type=Path, default=None, help="where the notebook and charts go (notebooks/output)"
    )
    quickstart.set_defaults(run=_quickstart)

    think = commands.add_parser("think", help="run a strategy on a prompt and print what came of it")
    think.add_argument("prompt", help="the question, in quotation marks")
    think.add_argument("-s", "--strategy", help="the strategy (direct)")
    think.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the strategy"
    )
    think.add_argument("-m", "--model", help="the model (local:smollm2)")
    think.add_argument("--budget", help="'2000 tokens', '30 s', '8 calls', '$0.05'")
    think.add_argument("--seed", type=int, default=0)
    think.add_argument("--reference", help="the right answer, if it is known")
    think.add_argument("--extract", help="how the answer is found in a text: final_answer, last_number, boxed ...")
    think.add_argument("--replay", choices=MODES, help="recorded calls: reuse them, only them, or off (off)")
    think.add_argument("--pace", type=float, help="replay this many times as fast as recorded (at once)")
    think.add_argument("--effort", help="how hard the model is to think, in its own levels, such as low")
    think.add_argument("--thinking-budget", type=int, help="how many tokens it may think beside its answer")
    think.set_defaults(run=_think)

    sql = commands.add_parser("sql", help="ask the store a question in SQL")
    sql.add_argument("statement")
    sql.add_argument("--csv", action="store_true", help="print CSV")
    sql.set_defaults(run=_sql)

    compact = commands.add_parser("compact", help="gather the store's segments into DuckDB archives")
    compact.add_argument(
        "--to", type=Path, help="also publish the whole store as one DuckDB file, for any DuckDB client"
    )
    compact.set_defaults(run=_compact)

    export = commands.add_parser("export", help="write runs as a bundle: a small folder to keep, send and replay from")
    export.add_argument("runs", nargs="*", metavar="RUN", help="a run's id, or the beginning of some (all runs)")
    export.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="such as traces/quickstart")
    export.set_defaults(run=_export)

    take_in = commands.add_parser("import", help="record the runs of a bundle here; twice is once")
    take_in.add_argument("bundle", type=Path, metavar="FOLDER")
    take_in.set_defaults(run=_import)

    add_otlp_commands(commands)
    add_store_commands(commands)
    add_lake_commands(commands)
    add_models_command(commands)

    fetch = commands.add_parser("fetch", help="get the embedded model's weights, if they are missing")
    fetch.set_defaults(run=_fetch)
    return parser


def _quickstart(options: argparse.Namespace) -> int:
    from tttlab.quickstart import quickstart

    return quickstart(options.output)


def _think(options: argparse.Namespace) -> int:
    from tttlab.notebook.arguments import strategy_parameters
    from tttlab.notebook.terminal import StatusLine
    from tttlab.notebook.watching import Follower
    from tttlab.portal import Interrupted
    from tttlab.thinking import think

    parameters: dict[str, Any] = dict(strategy_parameters(options.parameter))
    follower = Follower(StatusLine(sys.stderr) if sys.stderr.isatty() else None)
    try:
        run = think(
            options.prompt,
            strategy=options.strategy,
            model=options.model,
            budget=options.budget,
            seed=options.seed,
            reference=options.reference,
            extract=options.extract,
            replay=options.replay,
            pace=options.pace,
            effort=options.effort,
            thinking_budget=options.thinking_budget,
            observer=follower.observe,
            while_waiting=follower.pump,
            **parameters,
        )
    except (Interrupted, RunFailed) as ended:
        _print_run(ended.result if isinstance(ended, Interrupted) else ended.run, follower)
        raise
    _print_run(run, follower)
    return 0


def _print_run(run: Run, follower: Follower) -> None:
    from tttlab.notebook.display import run_bundle
    from tttlab.notebook.texts import remember

    follower.take_in()
    follower.close(None)
    remember(run, follower.transcript.calls)
    *said, magic = run_bundle(run)["text/plain"].splitlines()
    print("\n".join([*said, f'tttlab sql "{magic.removeprefix("%traces ")}"']))


def _sql(options: argparse.Namespace) -> int:
    from tttlab.notebook.questions import why_empty
    from tttlab.recording import connect
    from tttlab.store.queries import query

    connection = connect()
    table = query(connection, options.statement)
    if said := why_empty(connection, table):
        print(f"tttlab: {said}", file=sys.stderr)
    if options.csv:
        import pyarrow.csv

        pyarrow.csv.write_csv(table, sys.stdout.buffer)
        return 0
    from tttlab.notebook.display import table_bundle

    print(table_bundle(table)["text/plain"])
    return 0


def _compact(options: argparse.Namespace) -> int:
    from tttlab.options import store_folder
    from tttlab.store.compaction import compact

    folder = store_folder()
    if compact(folder, to=options.to):
        print(f"compacted {folder}")
    elif folder.is_dir():
        print(f"{folder} was left as it is: another process compacts it, or it cannot be written to")
    else:
        print(f"there is no store in {folder} yet, so there is nothing to compact")
    if options.to:
        print(f"published {options.to}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from tttlab.notebook.legible import counted
    from tttlab.recording import connect
    from tttlab.store.bundles import export_bundle

    bundle = export_bundle(connect(), options.runs, options.to)
    size = sum(path.stat().st_size for path in bundle.folder.glob("*.parquet"))
    print(f"exported {counted(len(bundle.runs), 'run')} to {bundle.folder} ({size / 1000:,.0f} kB)")
    print(f"replay them with TTTLAB_TRACES={bundle.folder} TTTLAB_REPLAY=only, or %think_config in a notebook")
    return 0


def _import(options: argparse.Namespace) -> int:
    from tttlab.notebook.legible import counted
    from tttlab.options import store_folder
    from tttlab.store.bundles import import_bundle, read_bundle

    bundle = read_bundle(options.bundle)
    new = import_bundle(store_folder(), bundle)
    known = len(bundle.runs) - new
    print(f"imported {counted(new, 'run')} into {store_folder()}" + (f"; {known} already there" if known else ""))
    return 0


def _fetch(_: argparse.Namespace) -> int:
    from tttlab.models.weights import fetch

    print(fetch())
    return 0
