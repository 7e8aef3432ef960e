"""A journal compacts its store by itself when it is quiet, and nobody waits for that."""

import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock

from tests.store.recorded import record, token
from tttlab.store import idle
from tttlab.store.archives import archive_folder, archives_in
from tttlab.store.compaction import compact
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.layout import Step, steps

ENOUGH = idle.SEGMENTS_WHEN_QUIET // 2
"""Flushes of a call: each writes a segment of tokens and one of spans."""
SLOW = Step(steps()[-1].number + 1, "9999_slow", "CREATE TABLE slow AS SELECT sum(range) FROM range(50_000_000_000)")
SLOW_SECONDS = 20
"""The least that it takes."""


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(own_store, clock):
    opened = Journal(own_store, clock)
    yield opened
    opened.close()


@pytest.fixture
def takes_long(monkeypatch):
    """Call it to say whether compaction does."""

    def say(*, whether):
        made = (*steps(), SLOW) if whether else steps()
        monkeypatch.setattr("tttlab.store.compaction.steps", lambda: made)

    return say


def flushes(journal, count=ENOUGH, first=1):
    for number in range(first, first + count):
        record(journal, 2, number=number)
        journal.flush()


def after(journal, clock, seconds):
    """The names of archives once so much time has passed and what begins then is done."""
    clock.now += seconds
    journal.flush()
    journal._compaction.wait()
    return archives_in(journal.folder)


def counted(folder):
    return connect(folder).execute("SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens").fetchone()


def test_a_journal_that_was_quiet_for_a_while_compacts_what_it_wrote(journal, clock):
    flushes(journal)
    assert after(journal, clock, idle.QUIET_SECONDS - 1) == []
    [name] = after(journal, clock, 1)
    assert counted(journal.folder) == (2 * ENOUGH, 2 * ENOUGH)
    assert after(journal, clock, 1000) == [name]
    flushes(journal, first=100)
    assert len(after(journal, clock, idle.QUIET_SECONDS)) == 2


def test_a_few_segments_are_left_until_there_are_more(journal, clock):
    flushes(journal, ENOUGH - 1)
    assert after(journal, clock, 1000) == []
    flushes(journal, 1, first=100)
    assert after(journal, clock, idle.QUIET_SECONDS - 1) == []
    assert len(after(journal, clock, 1)) == 1


def test_a_call_that_goes_on_is_no_idle_moment_however_long_it_says_nothing(journal, clock):
    buffer = journal.token_buffer("run-1", "00000000000000ff")
    flushes(journal)
    assert after(journal, clock, 1000) == []
    buffer.close()
    journal.flush()
    assert after(journal, clock, idle.QUIET_SECONDS - 1) == []
    assert len(after(journal, clock, 1)) == 1


def test_very_many_segments_are_compacted_while_calls_go_on(journal, clock, monkeypatch):
    monkeypatch.setattr(idle, "SEGMENTS_AT_ANY_TIME", 2 * ENOUGH + 2)
    journal.token_buffer("run-1", "00000000000000ff")
    flushes(journal)
    assert after(journal, clock, 0) == []
    flushes(journal, 1, first=100)
    assert len(after(journal, clock, 0)) == 1


def test_while_another_process_compacts_it_is_left_to_it_and_tried_again(journal, clock):
    flushes(journal)
    with FileLock(journal.folder / "compaction.lock"):
        assert after(journal, clock, idle.QUIET_SECONDS) == []
    assert journal.trouble is None
    assert after(journal, clock, idle.QUIET_SECONDS - 1) == []
    assert len(after(journal, clock, 1)) == 1


def test_recording_and_flushing_do_not_wait_for_it(journal, clock, monkeypatch):
    begun, may_end = Event(), Event()

    def held_up(folder, *, stop):
        begun.set()
        may_end.wait()
        return compact(folder, stop=stop)

    monkeypatch.setattr("tttlab.store.compaction.compact", held_up)
    flushes(journal)
    clock.now += idle.QUIET_SECONDS
    journal.flush()
    begun.wait()
    record(journal, 3, number=100)
    journal.flush()
    assert counted(journal.folder) == (2 * ENOUGH + 3, 2 * ENOUGH + 3)
    may_end.set()


def test_the_end_of_the_process_does_not_wait_for_it_and_nothing_half_done_stays(journal, clock, takes_long):
    takes_long(whether=True)
    flushes(journal)
    clock.now += idle.QUIET_SECONDS
    journal.flush()
    while journal._compaction._stop._connection is None:
        assert journal._compaction._thread.is_alive()
    began = time.monotonic()
    journal.close()
    assert time.monotonic() - began < SLOW_SECONDS / 2
    assert not journal._compaction._thread.is_alive()
    assert journal.trouble is None
    assert list(archive_folder(journal.folder).glob("*")) == []
    takes_long(whether=False)
    compact(journal.folder, kept_seconds=0)
    assert counted(journal.folder) == (2 * ENOUGH, 2 * ENOUGH)


def test_a_call_that_begins_ends_it_until_the_next_idle_moment(journal, clock, takes_long):
    takes_long(whether=True)
    flushes(journal)
    clock.now += idle.QUIET_SECONDS
    journal.flush()
    buffer = journal.token_buffer("run-1", "00000000000000ff")
    while journal._compaction._thread.is_alive():
        journal.flush()
    assert archives_in(journal.folder) == []
    takes_long(whether=False)
    assert after(journal, clock, 1000) == []
    buffer.record(1, token())
    buffer.close()
    journal.flush()
    assert len(after(journal, clock, idle.QUIET_SECONDS)) == 1
    assert journal.trouble is None


def test_one_that_fails_is_said_and_not_tried_again_at_once(journal, clock):
    flushes(journal)
    archive_folder(journal.folder).write_text("a file where a folder should be")
    after(journal, clock, idle.QUIET_SECONDS)
    assert "could not be compacted" in journal.trouble
    archive_folder(journal.folder).unlink()
    assert after(journal, clock, 1000) == []
    flushes(journal, first=100)
    assert len(after(journal, clock, idle.QUIET_SECONDS)) == 1
    assert journal.trouble is None


def test_an_interpreter_that_ends_in_the_middle_of_it_ends_well(own_store):
    code = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.store import test_idle as told
import tttlab.store.compaction as compaction
compaction.steps = lambda: (*told.steps(), told.SLOW)
clock = told.Clock()
journal = told.Journal(Path({str(own_store)!r}), clock)
told.flushes(journal)
clock.now += 1000
journal.flush()
while journal._compaction._stop._connection is None:
    pass
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(archive_folder(own_store).glob("*")) == []
    assert counted(own_store) == (2 * ENOUGH, 2 * ENOUGH)
