"""How many threads the local engine uses, and how they wait: measured once on this machine, in child processes.

OpenMP's wait policy is read when the engine is imported and cannot be changed after, and a wrong one costs much:
threads that spin are fastest on idle cores and slow to a crawl on busy ones. So short generations are timed in child
processes, the choice is kept in the cache, and `describe()` of a local model says it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from tttlab.errors import OptionError
from tttlab.models.weights import remember_facts, remembered_facts

SHORT_SPIN = {"GOMP_SPINCOUNT": "2000"}
"""Spin for microseconds, then sleep: as fast as spinning on idle cores, and not hurt by busy ones."""
POLICIES: Mapping[str, Mapping[str, str]] = {
    "short spin": SHORT_SPIN,
    "engine's default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
WORTH = 1.15
"""How many times as fast another policy must be to be taken instead of a short spin, which no load can ruin."""
MOST = 512
"""The engine's own bound on threads."""
_CACHE = "threads.json"
_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """The choice: a count, a wait policy with its environment, and where it comes from."""

    count: int
    policy: str
    environment: Mapping[str, str] = field(default_factory=dict)
    source: str = "measured"


_taken: list[Threads] = []
"""The last choice of this process among the policies, whose variables may stand in the environment since then."""


def choose_threads(model: Path) -> Threads:
    """The choice for this machine: the user's environment, else what was measured before, else measured now.

    Once the engine is imported its policy is fixed: a choice made before holds, and its variables, which stand in the
    environment since then, are not taken for the user's.
    """
    cores = available_cores()
    before = _taken[-1] if _taken else None
    own = before.environment if before else {}
    given = {name: os.environ[name] for name in _VARIABLES if name in os.environ and own.get(name) != os.environ[name]}
    chosen = _chosen(model, cores, given, before if "xllamacpp" in sys.modules else None)
    if chosen.policy in POLICIES:
        _taken[:] = [chosen]
    return chosen


def _chosen(model: Path, cores: int, given: Mapping[str, str], fixed: Threads | None) -> Threads:
    """`given` is what the user set, and `fixed` the choice with which the engine was imported in this process."""
    if wanted := os.environ.get("TTTLAB_THREADS", "").strip():
        # Its length first: int() refuses thousands of digits in words of its own.
        count = int(wanted) if wanted.isdecimal() and len(wanted) <= len(str(MOST)) else 0
        if not 1 <= count <= MOST:
            raise OptionError(
                f"TTTLAB_THREADS={wanted[:20]!r} is not a number of threads: give a whole number from 1 to {MOST}"
            )
        return Threads(
            count=count,
            policy="environment" if given else fixed.policy if fixed else "short spin",
            environment=given or (fixed.environment if fixed else SHORT_SPIN),
            source="environment",
        )
    if fixed and not given:
        return fixed if fixed.source == "measured" else replace(fixed, count=cores)
    if given or "xllamacpp" in sys.modules:
        return Threads(
            count=cores, policy="environment" if given else "already fixed", environment=given, source="environment"
        )
    key = f"{cores} cores, xllamacpp {version('xllamacpp')}"
    remembered = remembered_facts(_CACHE)
    if (known := _as_threads(remembered.get(key))) is not None:
        return known
    chosen = measure_threads(model, cores)
    remember_facts(_CACHE, {**remembered, key: asdict(chosen)})
    return chosen


def measure_threads(model: Path, cores: int) -> Threads:
    """Time short generations: first the count, then the policy."""
    counts = sorted({cores, max(1, cores // 2)}, reverse=True)
    speeds = {count: _tokens_a_second(model, count, SHORT_SPIN) for count in counts}
    count = max(speeds, key=lambda each: speeds[each])
    policy, best = "short spin", speeds[count] * WORTH
    for name, environment in POLICIES.items():
        if name != "short spin" and (speed := _tokens_a_second(model, count, environment)) > best:
            policy, best = name, speed
    return Threads(count=count, policy=policy, environment=dict(POLICIES[policy]))


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_threads(remembered: object) -> Threads | None:
    """What was remembered of this machine; None where it cannot be read, and is measured again."""
    match remembered:
        case {"count": int(count), "policy": str(policy)} if 1 <= count <= MOST and policy in POLICIES:
            return Threads(count=count, policy=policy, environment=dict(POLICIES[policy]))
    return None


def _tokens_a_second(model: Path, count: int, environment: Mapping[str, str]) -> float:
    """0 where the child fails or takes longer than any sensible choice would."""
    words = [sys.executable, "-m", "tttlab.models.probe", str(model), str(count)]
    own = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=20, check=True, env={**own, **environment}, errors="replace"
        )
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return 0.0
