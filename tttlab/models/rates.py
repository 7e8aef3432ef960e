"""Rate limits: how long a call must wait so that a host is not asked for more in a minute than it allows.

They hold for the whole process, whatever threads and event loops its runs are in: so they only count, and the caller
sleeps. (aiolimiter's limiters each belong to one loop.)
"""

from __future__ import annotations

import os
import time
from threading import Lock

_BURST_SECONDS = 1.0
"""What may be used at once after a pause, as seconds of the rate: a host's own count of a minute is hardly passed."""


class Rate:
    """So many units a minute, evenly spread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free_at = 0.0

    def take(self, units: float, per_minute: float) -> float:
        """Take units, and give the seconds to wait before they may be used."""
        with self._lock:
            now = time.monotonic()
            start = max(self._free_at, now - _BURST_SECONDS)
            self._free_at = start + units * 60 / per_minute
            return max(0.0, start - now)

    def give_back(self, units: float, per_minute: float) -> None:
        """Give back units that were not used; a negative number takes as many more."""
        with self._lock:
            self._free_at -= units * 60 / per_minute


_rates: dict[tuple[str, str], Rate] = {}
_lock = Lock()


def _after_fork() -> None:
    """A child process counts for itself: what its parent's threads held is not given back in it."""
    global _lock  # noqa: PLW0603 - as said
    _lock = Lock()
    _rates.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def rate(host: str, unit: str) -> Rate:
    """The process's only count of a unit (`requests`, `tokens`) at a host."""
    with _lock:
        return _rates.setdefault((host, unit), Rate())
