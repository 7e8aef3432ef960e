"""Every test has a store of its own and no configuration from outside."""

from __future__ import annotations

import pytest

from tttlab import options, recording


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    for name in ("TTTLAB_MODEL", "TTTLAB_STRATEGY", "TTTLAB_OUTPUT", "TTTLAB_ALLOW_CODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TTTLAB_TRACES", str(tmp_path / "traces"))
    monkeypatch.setattr(options, "_configured", {})
    yield tmp_path / "traces" / "store"
    # Else each test would leave a thread behind that wakes twice a second, and a store that every flush waits for.
    recording.close()
