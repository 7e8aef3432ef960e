"""The fault matrix, gathered from its tests and shown at the end of pytest's output."""

from __future__ import annotations

import pytest

_MATRIX = pytest.StashKey[dict[str, dict[str, str]]]()


@pytest.fixture
def fault_matrix(request):
    """Called with a format, a fault and what became of it."""
    rows = request.config.stash.setdefault(_MATRIX, {})

    def tell(wire: str, fault: str, became: str) -> None:
        rows.setdefault(fault, {})[wire] = became

    return tell


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_MATRIX, {})
    if not rows:
        return
    wires = sorted({wire for row in rows.values() for wire in row})
    width = max(len(wire) for wire in wires)
    terminalreporter.section("fault matrix")
    for fault, row in rows.items():
        same = set(row.values())
        if len(same) == 1 and len(row) == len(wires):
            terminalreporter.line(f"{fault:30} {same.pop()} (in all {len(wires)} formats)")
            continue
        for wire in wires:
            terminalreporter.line(f"{fault:30} {wire:{width}} {row.get(wire, '-')}")
    terminalreporter.line(f"formats: {', '.join(wires)}")
