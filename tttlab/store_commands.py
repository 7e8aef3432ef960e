"""Commands that look after the store: `tttlab show`, `doctor`, `delete`."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tttlab.errors import OptionError
from tttlab.notebook.legible import legible
from tttlab.options import store_folder
from tttlab.recording import flush

if TYPE_CHECKING:
    from tttlab.store.deletion import Deleted
    from tttlab.store.findings import Finding

MARKS = {"fine": "ok", "note": "note", "mended": "mended", "trouble": "TROUBLE"}
_YES = ("y", "yes")
_WIDEST = 120


def add_store_commands(commands: Any) -> None:
    """Add them to the subparsers of a command line (what `ArgumentParser.add_subparsers` returns)."""
    show = commands.add_parser("show", help="tell how a run came to be: problem, strategy, model, versions, spend")
    show.add_argument("which", metavar="RUN", help="its id, or a beginning that only one has")
    show.set_defaults(run=_show)

    doctor = commands.add_parser("doctor", help="check the store, explain what is there, and mend what can be")
    doctor.add_argument("--check", action="store_true", help="change nothing")
    doctor.set_defaults(run=_doctor)

    delete = commands.add_parser("delete", help="take runs out of the store for good")
    delete.add_argument("runs", nargs="+", metavar="RUN", help="an id, or a beginning that only one has")
    delete.add_argument("--yes", action="store_true", help="don't ask")
    delete.set_defaults(run=_delete)


def _doctor(options: argparse.Namespace) -> int:
    from tttlab.store.doctor import examine
    from tttlab.store.findings import needs_the_user

    flush()
    folder = store_folder()
    _say(f"store    {folder}")
    findings = examine(folder, mend=not options.check)
    for finding in findings:
        _say("\n".join(_lines(finding, folder)))
    bad = needs_the_user(findings)
    _say("\nsomething needs you: see what is marked TROUBLE" if bad else "\nthe store is healthy")
    return int(bad)


def _lines(finding: Finding, folder: Path) -> Iterator[str]:
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    where = "" if finding.where == folder else f"\nin {finding.where}"
    told = "; ".join(filter(None, (finding.means, finding.remedy)))
    for number, paragraph in enumerate(legible(f"{finding.what}{where}\n{told}").strip().splitlines()):
        mark = MARKS[finding.grade] if number == 0 else ""
        yield textwrap.fill(
            paragraph,
            width,
            initial_indent=f"{mark:9}",
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _delete(options: argparse.Namespace) -> int:
    from tttlab.store.deletion import delete, matching

    flush()
    folder = store_folder()
    if not options.yes and folder.is_dir():
        runs = matching(folder, options.runs)
        if not sys.stdin.isatty():
            raise OptionError(f"{' '.join(runs)} would be deleted for good: add --yes to do it")
        sys.stdout.write(legible(f"delete {', '.join(runs)} for good? [y/N] "))
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in _YES:
            _say("nothing was deleted")
            return 1
    for line in _said(delete(folder, options.runs)):
        _say(line)
    return 0


def _said(done: Deleted) -> Iterator[str]:
    from tttlab.store.findings import counted

    notes = f", {counted(done.notes, 'note')} of replays among them" if done.notes else ""
    yield (
        f"deleted {counted(len(done.runs), 'run')}: {counted(done.spans, 'span')}{notes}, "
        f"{counted(done.tokens, 'token')}"
    )
    if done.waiting:
        by = f" (process {', '.join(map(str, done.readers))})" if done.readers else ""
        yield (
            f"their rows are still in {counted(len(done.waiting), 'file')} that a reader has open{by}: "
            "the first compaction after it has closed the store removes them (`tttlab compact`)"
        )
    if done.unread:
        yield f"damaged files cannot be searched, and may hold some of it: {_listed(done.unread)}; remove them by hand"


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)


def _show(options: argparse.Namespace) -> int:
    from tttlab.recording import connect
    from tttlab.run_page import run_page

    _say(run_page(connect(), options.which))
    return 0


def _say(text: str) -> None:
    # Names of files and runs may come from strangers.
    sys.stdout.write(f"{legible(text)}\n")
