"""Processes that register a store in a lake: at the same time as others, or until they are killed at some moment."""

from __future__ import annotations

import subprocess
import sys

REGISTRAR = """
import sys
from pathlib import Path
from tttlab.store.lake import register, registering
registering.AT_ONCE = 2
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    print(sum(register(Path(sys.argv[1]), sys.argv[2], sys.argv[3]).rows.values()), flush=True)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from tttlab.store.lake import catalogue, register, registering, tables
registering.AT_ONCE = 2
where, name, number, when = sys.argv[4].split(":")
module = {"registering": registering, "tables": tables}[where]
real, calls = getattr(module, name), 0
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def dying(*arguments):
    global calls
    calls += 1
    if calls == int(number) and when == "before":
        die()
    done = real(*arguments)
    if calls == int(number) and when == "after":
        die()
    return done
class Dying:
    def __init__(self, connection):
        self.connection = connection
        self.inner = real(connection)
    def __enter__(self):
        self.inner.__enter__()
    def __exit__(self, *what):
        global calls
        calls += 1
        if calls == int(number) and when == "before":
            die()
        self.inner.__exit__(*what)
        if calls == int(number):
            die()
setattr(module, name, Dying if name == "transaction" else dying)
register(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
"""


def a_process(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
