"""A process that records a run, and is in the middle of it until it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.store.recorded import record, span

CODE = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from tests.store.recorded import record
from tests.store.recording import root
from tttlab.store.journal import Journal
journal = Journal(Path({store!r}))
root(journal, 1, run="run-1", ended=False)
record(journal, 5, number=2)
journal.flush()
print("recorded", flush=True)
sys.stdin.read()
"""


def root(journal, number, *, run, **fields):
    """Record a run's root span."""
    journal.span(span(number, run=run, name="invoke_workflow direct", trace_id=f"{number:032x}", **fields))


def whole(journal, number):
    """Record a run of two spans and five tokens."""
    root(journal, number * 10, run=f"run-{number}")
    record(journal, 5, number=number, run=f"run-{number}")
    journal.flush()


@contextmanager
def in_the_middle_of_run_1(store):
    """Gives the id of the process; it is killed at the end."""
    code = CODE.format(here=str(Path.cwd()), store=str(store))
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "recorded\n"
        yield process.pid
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
