"""The recorders of a process: forked children, and spans that OpenTelemetry was told not to make."""

import os
import subprocess
import sys
import threading

import pytest

import tttlab
from tttlab import recording
from tttlab.store.manifest import Lease, oldest_generation_read

CHILD = """
import os, sys
import tttlab

tttlab.think("parent", model=tttlab.ScriptedModel())
from tttlab.recording import recorder_for
journal = recorder_for().journal
tttlab.think("waiting", model=tttlab.ScriptedModel())
with tttlab.recording._lock:  # Another thread of the parent may be at it when a child is made.
    child = os.fork()
if child == 0:
    tttlab.flush()
    journal.close()
    recorder_for().start("of the child", {}).end()
    tttlab.flush()
    os._exit(0)  # As multiprocessing does.
assert os.waitpid(child, 0)[1] == 0
tttlab.flush()
rows = tttlab.connect().execute("SELECT count(*), count(DISTINCT span_key) FROM spans").fetchone()
assert rows[0] == rows[1], rows
names = tttlab.connect().execute("SELECT count(*) FROM spans WHERE name = 'of the child'").fetchone()
assert names == (1,), names
assert tttlab.connect().execute("SELECT count(*) FROM runs").fetchone() == (2,)
tokens = tttlab.connect().execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone()
assert tokens[0] == tokens[1] > 0, tokens
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_child_records_for_itself_and_writes_nothing_of_its_parent(own_store):
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_without_spans_no_tokens_are_recorded(monkeypatch, tmp_path):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.warns(UserWarning, match="OTEL_SDK_DISABLED is set"):
        run = tttlab.think("x", model=tttlab.ScriptedModel())
    assert run.status == "ok"
    assert tttlab.connect().execute("SELECT count(*) FROM tokens").fetchone() == (0,)


def test_a_forked_child_leaves_the_lease_of_its_parent(own_store, monkeypatch):
    own_store.mkdir(parents=True)
    lease = Lease(own_store)
    lease.hold(3)
    with monkeypatch.context() as in_child:
        in_child.setattr(os, "getpid", lambda: 1)
        lease.release()
    assert oldest_generation_read(own_store) == 3
    lease.release()
    assert oldest_generation_read(own_store) is None


def test_closed_everything_is_written_its_threads_end_and_the_next_run_is_recorded_as_ever():
    def writing():
        return [thread for thread in threading.enumerate() if thread.name == "tttlab-journal"]

    before = len(writing())
    tttlab.think("2 + 2?", model=tttlab.ScriptedModel("4"))
    assert len(writing()) == before + 1
    recording.close()
    assert len(writing()) == before
    tttlab.think("2 + 3?", model=tttlab.ScriptedModel("5"))
    assert tttlab.connect().execute("SELECT answer FROM runs ORDER BY answer").fetchall() == [("4",), ("5",)]
