"""The values that everything else speaks in: frozen, comparable, without behaviour beyond arithmetic.

A `Problem` is asked; a `Request` is what one model call asks; a `Completion` is what it gave; an `Answer` is
what a strategy would say if it had to stop now; `Usage` is what any of them cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal

from tttlab.answers import FINAL_ANSWER, Check, Extractor, same_answer
from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest

if TYPE_CHECKING:
    from tttlab.events import TokenDelta

Role = Literal["system", "user", "assistant"]
Channel = Literal["thinking", "answer"]
Granularity = Literal["token", "chunk"]
Visibility = Literal["full", "summary", "encrypted", "omitted", "none"]
FinishReason = Literal["stop", "length", "content_filter", "tool_call", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class ReasoningItem:
    """What a provider wants back unchanged with the turn that it belongs to: a signature, or encrypted thinking.

    `wire` names the format that gave it, which alone can read it; `content` is JSON text, byte for byte as it came.
    """

    wire: str
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str
    reasoning: tuple[ReasoningItem, ...] = ()
    """Of an assistant's turn: what `Completion.reasoning` held, for the model that gave it."""


Prompt = str | Sequence[Message]
"""What a caller may pass as a prompt: a text (one user turn) or a conversation."""


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """The prompt as a conversation: a text becomes one user turn."""
    return (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was spent, in tokens, calls and dollars; usages add up.

    `prompt_tokens` includes `cached_tokens`, and `output_tokens` includes `thinking_tokens` (the convention of
    OpenTelemetry GenAI, 2026-11), so neither subset is ever added to a total. `dollars` is None where no price is
    known: unknown is not zero, and a sum with an unknown part is unknown.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    calls: int = 0
    dollars: float | None = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and output tokens together: the unit of a token budget."""
        return self.prompt_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.dollars is not None and other.dollars is not None
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            thinking_tokens=self.thinking_tokens + other.thinking_tokens,
            calls=self.calls + other.calls,
            dollars=(self.dollars or 0.0) + (other.dollars or 0.0) if known else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars for a million tokens, by kind; `source` says whose price it is and of what date."""

    prompt: float
    output: float
    cached: float | None = None
    source: str = "user"

    def dollars(self, usage: Usage) -> float:
        """The price of a usage in dollars."""
        cached_rate = self.prompt if self.cached is None else self.cached
        fresh = usage.prompt_tokens - usage.cached_tokens
        return (fresh * self.prompt + usage.cached_tokens * cached_rate + usage.output_tokens * self.output) / 1e6


TAKEN = ("temperature", "top_p", "top_k", "min_p", "stop", "grammar")
"""Options of `Sampling` that some models take and some do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a model can do, as data, so that a strategy can ask before it spends."""

    seed: bool = False
    logprobs: bool = False
    prefix: bool = False
    """Goes on from a last message of role `assistant`."""
    thinking: bool = False
    """Thinks in a channel of its own."""
    parallel: int = 16
    """How many streams are worth running at once."""
    n: bool = False
    """Draws several completions in one request, whose prompt is counted once."""
    thinking_budget: bool = False
    """Holds its thinking to a number of tokens."""
    effort: tuple[str, ...] = ()
    """The levels of effort that it knows, lowest first."""
    takes: tuple[str, ...] = TAKEN
    """Which of the sampling options `TAKEN` have an effect."""

    def refusal(self, effort: str | None, thinking_budget: int | None) -> str | None:
        """Why a model of these abilities cannot think as it is told, in words that follow its name; None if it can."""
        if effort is not None and effort not in self.effort:
            return f"knows no effort {effort!r}{nearest(str(effort), self.effort)}"
        if thinking_budget is not None and not self.thinking_budget:
            return "cannot hold its thinking to a number of tokens" + ("; give an effort" if self.effort else "")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a completion is drawn. None leaves the model's own default in force.

    `max_tokens` holds the answer, and a model's own thinking has its own room beside it.

    The defaults ask for the model's true distribution (no top-k, top-p or min-p truncation), so that recorded
    log-probabilities are those of the distribution sampled from, up to `temperature`.
    """

    temperature: float = 0.7
    max_tokens: int = 512
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    logprobs: int = 5
    """How many of the likeliest alternatives to record with each token, where the model gives them."""
    grammar: str | None = None
    """A GBNF grammar that constrains the output, where the model takes one."""
    thinking_budget: int | None = None
    """Tokens of thinking beside `max_tokens`, for a model with a thinking channel; None leaves it `THINKING_ROOM`."""
    effort: str | None = None
    """One of the model's levels of effort (`Capabilities.effort`); None leaves its own default."""

    def __post_init__(self) -> None:
        at_least(0, thinking_budget=self.thinking_budget)
        at_least(0, temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p)
        at_least(0, logprobs=self.logprobs)
        at_least(1, max_tokens=self.max_tokens)
        stop = _untyped(self.stop)
        if isinstance(stop, str):  # One stop string is not a sequence of letters.
            object.__setattr__(self, "stop", (stop,))


SAMPLING_OPTIONS: tuple[str, ...] = tuple(item.name for item in fields(Sampling))
THINKING_ROOM = 8192
"""Tokens that a model with a thinking channel may think where no `thinking_budget` is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One model call, complete: what is asked, how it is sampled, and with which seed.

    A last message of role `assistant` is a partial answer that the model goes on from.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    cap: int | None = None
    """The most tokens of output, thinking included, that the budget leaves; None where it leaves more than is asked."""

    def most_tokens(self, *, thinking: bool) -> int:
        """The most tokens of output: those of the answer and, of a model that is `thinking`, those of its thinking."""
        budget = self.sampling.thinking_budget
        room = (THINKING_ROOM if budget is None else budget) if thinking else 0
        whole = self.sampling.max_tokens + room
        return whole if self.cap is None else min(whole, self.cap)


@dataclass(frozen=True, slots=True)
class CallIdentity:
    """What makes a call the same call in another run: see `tttlab.identity`.

    `digest` is of the request as asked, `branch` the path of the branch that asked, `ordinal` the call's number
    among the same requests of that branch, counted when asked.
    """

    digest: str
    branch: str
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What one call gave: its answer text, its thinking, its tokens, and what it cost."""

    text: str
    thinking: str = ""
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    tokens: tuple[TokenDelta, ...] = ()
    visibility: Visibility = "none"
    served_model: str | None = None
    reasoning: tuple[ReasoningItem, ...] = ()
    """What the provider wants back with this turn: pass it on in `Message.reasoning`."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the call: an option that its host does not take, an attempt that failed before."""
    identity: CallIdentity | None = None
    span_id: str | None = None
    """The OpenTelemetry span that recorded the call, 16 hex digits."""

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability of the sampled tokens (natural log), or None where the model gives none."""
        known = [token.logprob for token in self.tokens if token.logprob is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with, perhaps, its reference answer, and the rule that finds an answer in a text."""

    prompt: str
    reference: str | None = None
    extractor: Extractor = FINAL_ANSWER
    id: str = ""
    """Stable over runs; a digest of the prompt unless the task gives one."""
    check: Check | None = None
    """What says whether an answer is right, where it is more than being equal to the reference."""

    def __post_init__(self) -> None:
        prompt, reference = _untyped(self.prompt), _untyped(self.reference)
        if not isinstance(prompt, str):
            raise OptionError(f"the prompt is {type(prompt).__name__} {prompt!r:.60}, and must be a text")
        if reference is not None and not isinstance(reference, str):
            object.__setattr__(self, "reference", str(reference))
        if not self.id:
            digest = hashlib.sha256(self.prompt.encode(errors="surrogatepass")).hexdigest()
            object.__setattr__(self, "id", f"sha256:{digest[:16]}")

    def extract(self, text: str) -> str | None:
        """The normalised answer found in `text`, or None where there is none (an abstention)."""
        return self.extractor(text)

    def correct(self, value: str | None) -> bool | None:
        """Whether a normalised answer is right; an abstention is not. None where there is nothing to tell it by."""
        if self.check is None:
            return same_answer(value, self.reference)
        return value is not None and self.check(value)

    @property
    def blind(self) -> Problem:
        """The problem without what would tell its answer: this is what a strategy sees."""
        return replace(self, reference=None, check=None)


def _untyped(value: object) -> object:
    """What callers without a type checker may have passed."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One point of the anytime curve: what the strategy would answer if it had to stop now.

    `spent` is the run's whole spend at that moment, calls in flight included; `basis` is the cost of the calls that
    the answer rests on. `seconds` counts from the run's start, `sequence` is its place among the run's deliveries.
    """

    value: str | None
    confidence: float | None = None
    votes: Mapping[str, float] | None = None
    spent: Usage = field(default_factory=Usage)
    basis: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verifier says of a candidate. `score` is in [0, 1] unless the verifier's docstring says otherwise."""

    score: float | None
    passed: bool | None = None
    explanation: str = ""
    error: str | None = None


CodeOutcome = Literal["ok", "error", "timeout", "memory", "output", "killed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLimits:
    """What a program that the sandbox runs may use. Wherever it passes one, it is ended."""

    seconds: float = 10.0
    """Of wall time, and as many of CPU time (rounded up)."""
    memory: int = 1024
    """MiB of address space."""
    files: int = 16
    """MiB of each file that it writes, and of all together where the system can hold it to that."""
    output: int = 64
    """KiB that it may print, standard error included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended: `ok`, its own `error` (an exit code other than 0), or the limit that it met.

    `killed` is the end by a signal, such as a crash of the interpreter. What it printed is kept up to the limit.
    """

    outcome: CodeOutcome
    stdout: str
    stderr: str
    exit_code: int | None
    """None where the sandbox ended it. 128 and the signal's number where a signal did."""
    seconds: float
    isolation: str
    """What kept it in: `bubblewrap`, `namespaces` or `limits`, and `seccomp` where the system calls are filtered."""
