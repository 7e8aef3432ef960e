"""What a model streams, one class a kind, and `Fold`, which turns a stream into a `Completion`.

A host that gives single tokens streams `TokenDelta`; one that gives pieces of text streams `ChunkDelta`. Nothing is
invented: a field that a host does not give is None. `time_ns` is the wall clock at the delta's arrival, stamped by the
model as near to its source as it can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from tttlab.types import Channel, Completion, FinishReason, Price, ReasoningItem, Usage, Visibility

_BYTES_A_TOKEN = 4
"""Of text, about: what a piece of unknown size is counted as until its host says it."""


class Alternatives(NamedTuple):
    """The likeliest tokens at a position, likeliest first, as columns: ids, texts and natural log-probabilities.

    Columns because they are made and recorded once a token: five objects for each would cost more than all the rest.
    """

    token_ids: tuple[int | None, ...]
    texts: tuple[str, ...]
    logprobs: tuple[float, ...]


NO_ALTERNATIVES = Alternatives((), (), ())


@dataclass(frozen=True, slots=True)
class TokenDelta:
    """One token. `merged` says that the host joined several (bytes of one character) into this entry.

    `logprob` is the natural log-probability of the sampled token; whether before or after the sampling transforms
    stands in the call's `Finish.logprob_stage`.
    """

    text: str
    time_ns: int
    token_id: int | None = None
    logprob: float | None = None
    top: Alternatives = NO_ALTERNATIVES
    channel: Channel = "answer"
    merged: bool = False


@dataclass(frozen=True, slots=True)
class ChunkDelta:
    """A piece of text of unknown token boundaries; `tokens` is its number of tokens where the host says it."""

    text: str
    time_ns: int
    channel: Channel = "answer"
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """The host's own count so far. Each update replaces the last one; it is not added to it."""

    usage: Usage
    dollars: float | None = None
    """What the host says that it charges, where it says so: it goes before any price."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The terminal event: a stream that ends without one was cut."""

    reason: FinishReason
    visibility: Visibility = "none"
    served_model: str | None = None
    logprob_stage: str | None = None
    """`before_sampling` (the model's own distribution) or `after_sampling` (after temperature and truncation)."""
    notes: tuple[str, ...] = ()
    """What a reader of the trace should know: parameters ignored by the host, and the like."""
    response_id: str | None = None
    """The host's own name for the response, to ask its makers about it."""


Delta = TokenDelta | ChunkDelta
StreamEvent = TokenDelta | ChunkDelta | ReasoningItem | UsageUpdate | Finish


class Fold:
    """Folds a stream into a `Completion`, whole or partial, and counts its tokens as they arrive.

    Until the host reports a usage, a token counts as one, and a chunk of unknown size by its length: `estimated` says
    so. A host's own report replaces an estimate, and a count of tokens where it is larger. Counts are plain integers
    because `add` runs once a token.
    """

    __slots__ = (
        "_text",
        "_thinking",
        "cached_tokens",
        "dollars",
        "estimated",
        "finish",
        "output_tokens",
        "prompt_tokens",
        "reasoning",
        "thinking_tokens",
        "tokens",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self.tokens: list[TokenDelta] = []
        self.reasoning: list[ReasoningItem] = []
        self.finish: Finish | None = None
        self.dollars: float | None = None
        self.estimated = False
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.output_tokens = 0
        self.thinking_tokens = 0

    def add(self, event: StreamEvent) -> None:
        """Take in the next event of the stream."""
        if isinstance(event, TokenDelta):
            self.tokens.append(event)
            self._add_text(event, 1)
        elif isinstance(event, ChunkDelta):
            self._add_text(event, self._estimate(event.text) if event.tokens is None else event.tokens)
        elif isinstance(event, UsageUpdate):
            self._reported(event)
        elif isinstance(event, ReasoningItem):
            self.reasoning.append(event)
        else:
            self.finish = event

    def _add_text(self, event: Delta, tokens: int) -> None:
        self.output_tokens += tokens
        if event.channel == "thinking":
            self._thinking.append(event.text)
            self.thinking_tokens += tokens
        else:
            self._text.append(event.text)

    def _estimate(self, text: str) -> int:
        self.estimated = True
        return -(-len(text.encode(errors="surrogatepass")) // _BYTES_A_TOKEN)

    def _reported(self, update: UsageUpdate) -> None:
        usage = update.usage
        self.prompt_tokens = usage.prompt_tokens
        self.cached_tokens = usage.cached_tokens
        self.dollars = update.dollars
        if self.estimated and usage.output_tokens:
            self.output_tokens = usage.output_tokens
            # A host that shows its thinking and does not count it: the estimate stands, and is said to be one.
            self.estimated = bool(self.thinking_tokens and not usage.thinking_tokens)
            self.thinking_tokens = usage.thinking_tokens or min(self.thinking_tokens, usage.output_tokens)
        else:
            self.output_tokens = max(self.output_tokens, usage.output_tokens)
            self.thinking_tokens = max(self.thinking_tokens, usage.thinking_tokens)

    def usage(self, price: Price | None = None) -> Usage:
        """What the call has cost so far; dollars are None where no price is given."""
        usage = Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            output_tokens=self.output_tokens,
            thinking_tokens=self.thinking_tokens,
            calls=1,
            dollars=self.dollars,
        )
        return usage if price is None or self.dollars is not None else replace(usage, dollars=price.dollars(usage))

    def completion(self, price: Price | None = None) -> Completion:
        """What the stream gave so far. A stream without its terminal event has the finish reason `cancelled`."""
        finish = self.finish or Finish("cancelled")
        return Completion(
            text="".join(self._text),
            thinking="".join(self._thinking),
            finish_reason=finish.reason,
            usage=self.usage(price),
            tokens=tuple(self.tokens),
            visibility=finish.visibility,
            served_model=finish.served_model,
            reasoning=tuple(self.reasoning),
            notes=finish.notes,
        )
