"""P3: a kernel that is killed in the middle of a run leaves the run, incomplete, with every token that was flushed."""

import os
import signal
import sys
import time

import pytest

import tttlab
from tests.notebook.kernel import running_kernel

CELL = """%%think -s self_consistency -p samples=4 -m slow -o run
What is 7 times 8?"""
MODEL = """%load_ext tttlab
from tttlab.models.scripted import Reply, ScriptedModel
slow = ScriptedModel(Reply(text=" ".join(map(str, range(5000))), logprob=-0.5, seconds_per_token=0.01))"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_kernel_leaves_what_it_had(tmp_path):
    with running_kernel(tmp_path) as kernel:
        assert kernel.run(MODEL).status == "ok"
        pid = int(kernel.value("__import__('os').getpid()"))
        kernel.client.execute(CELL)
        seen = _tokens_once_there_are(200)
        os.kill(pid, signal.SIGKILL)

    connection = tttlab.connect()
    assert connection.execute("SELECT status, strategy, answer, prompt FROM runs").fetchall() == [
        ("incomplete", "self_consistency", None, "What is 7 times 8?")
    ]
    assert connection.execute("SELECT count(*), count(DISTINCT status), min(status) FROM calls").fetchone() == (
        4,
        1,
        "incomplete",
    )
    [(found, calls)] = connection.execute("SELECT count(*), count(DISTINCT span_id) FROM tokens").fetchall()
    assert found >= seen
    assert calls == 4
    gaps = "SELECT span_id FROM tokens GROUP BY span_id HAVING max(position) + 1 <> count(*)"
    assert connection.execute(gaps).fetchall() == []
    assert connection.execute("SELECT count(*) FROM spans WHERE NOT complete").fetchone() == (5,)

    # No repair by hand: the same store goes on recording.
    again = tttlab.think("What is 7 times 8?", model=tttlab.ScriptedModel())
    statuses = tttlab.connect().execute("SELECT status FROM runs ORDER BY started").fetchall()
    assert (again.status, statuses) == ("ok", [("incomplete",), ("ok",)])


def _tokens_once_there_are(wanted):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        [seen] = tttlab.connect().execute("SELECT count(*) FROM tokens").fetchone()
        if seen >= wanted:
            return seen
    raise AssertionError("the kernel recorded nothing")
