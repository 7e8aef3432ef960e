"""What an importer reads from a published log: runs with what the log says of them, and nothing else.

None is unknown, everywhere: it stays NULL in the store, and no importer fills it with a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tttlab.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedUsage:
    """What the log says was spent. As in `Usage`, prompt tokens include cached ones and output includes thinking."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    calls: int | None = None
    dollars: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """One completion. `answer` is normalised, and None where none was found in it."""

    text: str
    thinking: str | None = None
    answer: str | None = None
    raw_answer: str | None = None
    correct: bool | None = None
    messages: Sequence[Message] = ()
    """What was asked, where the log has it."""
    role: str = "generator"
    model: str | None = None
    """The run's unless given."""
    branch: str = ""
    """The path of the branch that asked."""
    status: str = "ok"
    error: str | None = None
    finish_reason: str | None = None
    usage: LoggedUsage = field(default_factory=LoggedUsage)
    mean_logprob: float | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    times: tuple[int, int] | None = None
    """Its start and its end, in nanoseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedBranch:
    """One branch of a tree. `path` says where it stands: `0.2` is the third child of the first child of the root."""

    path: str
    state: str = "open"
    score: float | None = None
    facts: Mapping[str, str | float | bool] = field(default_factory=dict)
    """Such as `thought`, under the names that tttlab's own strategies use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedVerdict:
    """What a verifier said of a candidate."""

    verifier: str
    candidate: str
    score: float | None = None
    passed: bool | None = None
    explanation: str | None = None
    error: str | None = None
    branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAnswer:
    """One proposed answer, normalised. `usage` is the run's spend until then."""

    value: str | None
    correct: bool | None = None
    confidence: float | None = None
    votes: Mapping[str, float] | None = None
    branch: str = ""
    usage: LoggedUsage = field(default_factory=LoggedUsage)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One problem under one strategy and one model. Its answer is the last of its `answers`, where there is one."""

    place: str
    """Where it stands in its file, for a reader: `problem 900`, `line 12`."""
    problem: str
    """The problem's id."""
    strategy: str
    model: str
    prompt: str | None = None
    reference: str | None = None
    extractor: str | None = None
    """`rule@version`, of the answers."""
    check: str | None = None
    """`rule@version` of what said whether an answer is right, where that is no comparison with the reference."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    status: str = "ok"
    error: str | None = None
    usage: LoggedUsage = field(default_factory=LoggedUsage)
    calls: Sequence[LoggedCall] = ()
    branches: Sequence[LoggedBranch] = ()
    verdicts: Sequence[LoggedVerdict] = ()
    answers: Sequence[LoggedAnswer] = ()
    times: tuple[int, int] | None = None
    """Its start and its end, in nanoseconds since 1970."""
