"""`tttlab models`: what there is to ask, what it can do and costs, and whether it answers."""

from __future__ import annotations

import argparse
import sys
from typing import Any

ALL_ROWS = 100_000


def add_models_command(commands: Any) -> None:
    """Add it to the subparsers of a command line (what `ArgumentParser.add_subparsers` returns)."""
    models = commands.add_parser("models", help="the hosts of models: which have a key, answer, and can do what")
    models.add_argument(
        "host", nargs="?", metavar="HOST", help="list the models of this host: anthropic, vllm@http://gpu:8000"
    )
    models.add_argument("--check", action="store_true", help="ask every host whether it answers, not only local ones")
    models.add_argument("--probe", metavar="NAME", help="ask this model for one token, and say what came")
    models.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> int:
    from tttlab.notebook.model_tables import models_told
    from tttlab.notebook.table import table_bundle

    table, note = models_told(options.host, probe=options.probe, check=options.check)
    sys.stdout.write(table_bundle(table, ALL_ROWS, note)["text/plain"] + "\n")
    return 0
