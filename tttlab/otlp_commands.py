"""The commands of OTLP: `tttlab send`, `export-otlp`, `import-otlp` and `collect`."""

from __future__ import annotations

import argparse
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.options import store_folder

if TYPE_CHECKING:
    from tttlab.store.otlp.selection import Form

_RUNS = "ids of runs, or beginnings of ids; none: everything in the store"


def add_otlp_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    send = commands.add_parser(
        "send", help="send runs to an OpenTelemetry collector, Phoenix, MLflow ... over OTLP/HTTP"
    )
    send.add_argument("runs", nargs="*", metavar="RUN", help=_RUNS)
    send.add_argument(
        "--to", metavar="URL", help="the collector (OTEL_EXPORTER_OTLP_ENDPOINT, or http://127.0.0.1:4318)"
    )
    _add_form(send)
    send.set_defaults(run=_send)

    export = commands.add_parser("export-otlp", help="write runs to an OTLP/JSON file, one request a line")
    export.add_argument("runs", nargs="*", metavar="RUN", help=_RUNS)
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help="the file; with gzip if it ends in .gz")
    _add_form(export)
    export.set_defaults(run=_export)

    brought = commands.add_parser("import-otlp", help="record the spans of an OTLP/JSON file, each once")
    brought.add_argument("file", type=Path)
    brought.set_defaults(run=_import)

    collect = commands.add_parser("collect", help="record what other programs send over OTLP/HTTP, until Ctrl-C")
    collect.add_argument("--port", type=int, default=4318, help="4318 unless given; 0 takes a free one")
    collect.add_argument(
        "--host", default="127.0.0.1", help="this machine alone unless given; others can send then too"
    )
    collect.set_defaults(run=_collect)


def _add_form(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokens",
        choices=("none", "attribute", "logs"),
        default="none",
        help="none, as the attribute tttlab.tokens of their call, or each as a log record (none)",
    )
    parser.add_argument(
        "--openinference", action="store_true", help="add the attributes of OpenInference, which Phoenix shows"
    )


def _send(options: argparse.Namespace) -> int:
    _need_messages()
    from tttlab.recording import connect
    from tttlab.store.otlp.send import send

    sent = send(connect(), options.runs, options.to, _form(options))
    logs = f" and {_many(sent.tokens, 'token')}" if sent.tokens else ""
    print(f"sent {_many(sent.spans, 'span')}{logs}")
    if sent.open_spans:
        _tell(f"left out {_many(sent.open_spans, 'span')} that did not end; send again what ends later")
    if sent.rejected:
        _tell(f"the host rejected {sent.rejected:,} of them")
    for said in sent.said:
        _tell(f"the host says: {said}")
    return 1 if sent.rejected else 0


def _export(options: argparse.Namespace) -> int:
    _need_messages()
    from tttlab.recording import connect
    from tttlab.store.otlp.files import export_file

    count = export_file(connect(), options.runs, options.to, _form(options))
    print(f"wrote {_many(count, 'span')} to {options.to}")
    return 0


def _import(options: argparse.Namespace) -> int:
    _need_messages()
    from tttlab.store.otlp.files import import_file

    imported = import_file(store_folder(), options.file)
    others = "; the others were there already" if imported.new < imported.spans else ""
    print(f"imported {imported.new:,} of {_many(imported.spans, 'span')}{others}")
    if imported.other_lines:
        _tell(f"left out {_many(imported.other_lines, 'line')} of logs or metrics, which the store does not keep")
    return 0


def _collect(options: argparse.Namespace) -> int:
    _need_messages()
    from tttlab.models.credentials import keep_file_secret
    from tttlab.store.otlp.receive import Collector, is_loopback

    folder = store_folder()
    keep_file_secret()
    collector = Collector(folder, options.host, options.port)
    # A terminated collector says what it has, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"collecting on {collector.address}/v1/traces into {folder}; Ctrl-C ends it", flush=True)
    if not is_loopback(options.host):
        _tell(f"{options.host} can be reached from other machines, and whoever reaches it can record")
    try:
        collector.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        collector.close()
    print(f"recorded {_many(collector.recorded, 'span')}")
    return 0


def _form(options: argparse.Namespace) -> Form:
    from tttlab.store.otlp.selection import Form

    return Form(options.tokens, options.openinference)


def _need_messages() -> None:
    for module in ("opentelemetry.proto", "google.rpc"):
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # Of the folder above it.
            found = None
        if found is None:
            raise OptionError("OTLP needs its messages: pip install 'tttlab[otlp]'")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _tell(message: str) -> None:
    print(f"tttlab: {message}", file=sys.stderr)
