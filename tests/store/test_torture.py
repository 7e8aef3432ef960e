"""Processes that are killed at any moment lose nothing that they have acknowledged. The long form is a benchmark."""

import sys

import pytest

from benchmarks.torture import torture


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to kill with, and no fork server")
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_acknowledged_row_is_there_once_and_no_count_goes_down(tmp_path, seed):
    outcome = torture(tmp_path, recorders=3, seconds=7, kills=25, seed=seed)
    assert outcome.failures == []
    assert outcome.kills == 25
    assert outcome.calls > 20
    assert outcome.found >= outcome.tokens > 0
    assert outcome.queries > 0
    assert outcome.generations > 1
