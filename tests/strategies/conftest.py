"""Every strategy may run programs here; that none may without leave is tested in tests/test_sandbox.py."""

import pytest


@pytest.fixture(autouse=True)
def leave_to_run_code(own_store, monkeypatch):
    monkeypatch.setenv("TTTLAB_ALLOW_CODE", "1")
