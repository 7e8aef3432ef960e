"""The events of a stream of Gemini's responses: parts of text and of summarised thinking, and signatures on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tttlab.events import Alternatives, ChunkDelta, Finish, StreamEvent, TokenDelta, UsageUpdate
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.failures import said_error
from tttlab.models.wire.frames import a_count, a_list, a_number, a_text, an_object, broken, parsed
from tttlab.models.wire.sealed import kept
from tttlab.types import FinishReason, Usage, Visibility

_REASONS: Mapping[str, FinishReason] = {"STOP": "stop", "MAX_TOKENS": "length"}
_NOTED: Mapping[str, FinishReason] = {
    **dict.fromkeys(("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT"), "content_filter"),
    **dict.fromkeys(("SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    **dict.fromkeys(("ESCALATION", "PUP_LIMITED_DISABLED", "MODEL_ARMOR"), "content_filter"),
    **dict.fromkeys(("MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"), "error"),
    **dict.fromkeys(("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"), "error"),
    "CONTINUATION": "length",
}
"""Reasons that say more than what they become: a note names them."""
_NOT_YET = ("", "FINISH_REASON_UNSPECIFIED")


class ResponseEvents:
    """Decodes one completion. Its usage may come after its last candidate, so its `Finish` comes at the end."""

    def __init__(self, wire: str, named: Named, notes: Sequence[str]) -> None:
        self._wire = wire
        self._named = named
        self._notes = list(notes)
        self._usage: UsageUpdate | None = None
        self._written = 0
        self._shown = self._sealed = self._called = self._done = False
        self._model: str | None = None
        self._id: str | None = None
        self._reason: FinishReason | None = None

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this frame says. Raises `HostError`."""
        if self._done or frame.data.strip() in ("", "[DONE]"):
            return ()
        body, named = parsed(frame.data, self._named), self._named
        if body.get("error"):
            raise said_error(body["error"], named)
        self._model = a_text(body.get("modelVersion"), named) or self._model
        self._id = self._id or a_text(body.get("responseId"), named) or None
        found: list[StreamEvent] = []
        for each in a_list(body.get("candidates"), named):
            candidate = an_object(each, named)
            # What follows the end is a repetition, and what was not asked for is nobody's.
            if self._reason is None and a_count(candidate.get("index"), named) == 0:
                found += self._candidate(candidate, time_ns)
        self._blocked(an_object(body.get("promptFeedback"), named))
        return [*found, *self._report(an_object(body.get("usageMetadata"), named), anew=bool(found))]

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended. Raises `BrokenStreamError` if the completion in it did not."""
        if self._done:
            return ()
        if self._reason is None:
            raise broken("the stream ended before the completion did", self._named)
        self._done = True
        reason = "tool_call" if self._called and self._reason == "stop" else self._reason
        notes = tuple(self._notes)
        return [Finish(reason, self._visibility(), self._model, notes=notes, response_id=self._id)]

    def _candidate(self, candidate: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        named = self._named
        content = an_object(candidate.get("content"), named)
        parts = [an_object(part, named) for part in a_list(content.get("parts"), named)]
        entries = an_object(candidate.get("logprobsResult"), named)
        # Which of several parts an entry belongs to is not said.
        lone = sum(1 for part in parts if part.get("text") and not part.get("thought")) == 1
        found: list[StreamEvent] = []
        for part in parts:
            found += self._part(part, entries if lone else {}, time_ns)
        reason = a_text(candidate.get("finishReason"), named)
        if reason not in _NOT_YET:
            self._end_for(reason, a_text(candidate.get("finishMessage"), named))
        return found

    def _part(self, part: dict[str, Any], entries: Mapping[str, Any], time_ns: int) -> Iterable[StreamEvent]:
        text, at = a_text(part.get("text"), self._named), self._written
        self._called = self._called or bool(part.get("functionCall"))
        if part.get("thought"):
            if text:
                self._shown = True
                yield ChunkDelta(text, time_ns, "thinking")
        elif text:
            self._written += len(text)
            tokens = _tokens(entries, self._named, time_ns)
            yield from tokens if "".join(token.text for token in tokens) == text else [ChunkDelta(text, time_ns)]
        if a_text(part.get("thoughtSignature"), self._named):
            self._sealed = True
            yield kept(self._wire, part, at)

    def _report(self, usage: Mapping[str, Any], *, anew: bool) -> list[UsageUpdate]:
        """The counts, where they are others, or where there is new text that is counted by its length until then."""
        if not usage:
            return []
        named = self._named
        prompt = a_count(usage.get("promptTokenCount"), named) + a_count(usage.get("toolUsePromptTokenCount"), named)
        thinking = a_count(usage.get("thoughtsTokenCount"), named)
        update = UsageUpdate(
            Usage(
                prompt_tokens=prompt,
                cached_tokens=min(a_count(usage.get("cachedContentTokenCount"), named), prompt),
                output_tokens=a_count(usage.get("candidatesTokenCount"), named) + thinking,
                thinking_tokens=thinking,
            )
        )
        if update == self._usage and not anew:
            return []
        self._usage = update
        return [update]

    def _blocked(self, feedback: Mapping[str, Any]) -> None:
        """A prompt that the host's filters block has no candidates."""
        reason = a_text(feedback.get("blockReason"), self._named)
        if reason and self._reason is None:
            why = a_text(feedback.get("blockReasonMessage"), self._named)
            self._reason = "content_filter"
            self._notes.append(_said(f"the host blocked the prompt ({reason[:40]})", why))

    def _end_for(self, reason: str, why: str) -> None:
        self._reason = _REASONS.get(reason) or _NOTED.get(reason, "stop")
        if reason not in _REASONS:
            tail = "" if reason in _NOTED else ": taken as stop"
            self._notes.append(_said(f"the host's reason to end was {reason[:40]!r}{tail}", why))

    def _visibility(self) -> Visibility:
        if self._shown:
            return "summary"
        if self._usage is None or not self._usage.usage.thinking_tokens:
            return "none"  # Models sign texts that they did not think for, too.
        return "encrypted" if self._sealed else "omitted"


def _said(what: str, why: str) -> str:
    return f"{what}: {' '.join(why[:200].split())}" if why else what


def _tokens(result: Mapping[str, Any], named: Named, time_ns: int) -> list[TokenDelta]:
    """The tokens that a candidate's log-probabilities tell of, each with the likeliest in its place."""
    chosen = [an_object(each, named) for each in a_list(result.get("chosenCandidates"), named)]
    tops = [an_object(each, named) for each in a_list(result.get("topCandidates"), named)]
    tops += [{}] * (len(chosen) - len(tops))
    return [
        TokenDelta(
            a_text(entry.get("token"), named),
            time_ns,
            _token_id(entry, named),
            a_number(entry.get("logProbability"), named),
            _alternatives(a_list(top.get("candidates"), named), named),
        )
        for entry, top in zip(chosen, tops, strict=False)
    ]


def _alternatives(candidates: Sequence[Any], named: Named) -> Alternatives:
    entries = [an_object(each, named) for each in candidates]
    known = [(each, value) for each in entries if (value := a_number(each.get("logProbability"), named)) is not None]
    return Alternatives(
        tuple(_token_id(each, named) for each, _ in known),
        tuple(a_text(each.get("token"), named) for each, _ in known),
        tuple(value for _, value in known),
    )


def _token_id(entry: Mapping[str, Any], named: Named) -> int | None:
    return None if entry.get("tokenId") is None else a_count(entry.get("tokenId"), named)
