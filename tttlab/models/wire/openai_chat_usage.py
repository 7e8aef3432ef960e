"""What a chat completion's usage says, in tttlab's terms; and one report on several completions, split between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tttlab.events import UsageUpdate
from tttlab.models.wire import Named
from tttlab.models.wire.frames import a_count, a_number, an_object
from tttlab.types import Usage


def usage_of(said: Mapping[str, Any], named: Named, *, dollars: bool, beside: bool) -> UsageUpdate:
    """A host's report. `dollars` says that its `cost` is what it charges, `beside` that its output leaves thinking out.

    A host whose total is more than prompt and output by the thinking leaves it out too, whatever is known of it.
    """
    prompt = a_count(said.get("prompt_tokens"), named)
    output = a_count(said.get("completion_tokens"), named)
    inner = an_object(said.get("completion_tokens_details"), named)
    thinking = a_count(inner.get("reasoning_tokens", said.get("reasoning_tokens")), named)
    cached = an_object(said.get("prompt_tokens_details"), named).get("cached_tokens")
    for other in ("prompt_cache_hit_tokens", "cached_tokens"):
        cached = said.get(other) if cached is None else cached
    if beside or thinking > output or (thinking and said.get("total_tokens") == prompt + output + thinking):
        output += thinking
    usage = Usage(
        prompt_tokens=prompt,
        cached_tokens=min(a_count(cached, named), prompt),
        output_tokens=output,
        thinking_tokens=thinking,
    )
    return UsageUpdate(usage, a_number(said.get("cost"), named) if dollars else None)


def split(whole: UsageUpdate, outputs: Sequence[int], thinkings: Sequence[int]) -> list[UsageUpdate]:
    """One report on several completions, by the tokens that each was seen to give: the prompt counts with the first."""
    usage = whole.usage
    output_of, thinking_of = _shares(usage.output_tokens, outputs), _shares(usage.thinking_tokens, thinkings)
    parts: list[UsageUpdate] = []
    for n, (output, thinking) in enumerate(zip(output_of, thinking_of, strict=True)):
        mine = Usage(
            prompt_tokens=0 if n else usage.prompt_tokens,
            cached_tokens=0 if n else usage.cached_tokens,
            output_tokens=output,
            thinking_tokens=min(thinking, output),
        )
        share = output / usage.output_tokens if usage.output_tokens else 1 / len(outputs)
        parts.append(UsageUpdate(mine, None if whole.dollars is None else whole.dollars * share))
    return parts


def without_prompt(update: UsageUpdate) -> UsageUpdate:
    """A completion's report without the prompt, which counts with another."""
    return replace(update, usage=replace(update.usage, prompt_tokens=0, cached_tokens=0))


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """A total in whole parts by weight, which sum to it."""
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    reached, shares, seen = 0, [], 0
    for weight in weights:
        seen += weight
        share = round(total * seen / whole) - reached
        shares.append(share)
        reached += share
    return shares
