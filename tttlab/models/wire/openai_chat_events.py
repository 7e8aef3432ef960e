"""The events of a stream of chat completion chunks, of one completion or of several that come mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tttlab.events import Finish, StreamEvent, UsageUpdate
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.failures import said_error
from tttlab.models.wire.frames import a_count, a_list, a_text, an_object, broken, parsed
from tttlab.models.wire.openai_chat_choice import Choice, Reading
from tttlab.models.wire.openai_chat_usage import split, usage_of, without_prompt


class ChoicesEvents:
    """Decodes a stream with `count` completions: each event comes with the number of its completion."""

    def __init__(self, reading: Reading, named: Named, count: int, notes: Sequence[str]) -> None:
        self._reading = reading
        self._named = named
        self._notes = tuple(notes)
        self._choices = [Choice(reading, named) for _ in range(count)]
        self._usage: UsageUpdate | None = None
        self._ended_last = 0
        self._model: str | None = None
        self._id: str | None = None
        self._done = False
        self._whole = False

    def feed(self, frame: Frame, time_ns: int) -> Iterable[tuple[int, StreamEvent]]:
        """What this frame says. Raises `HostError`."""
        if self._done or not frame.data.strip():
            return ()
        if frame.data.strip() == "[DONE]":
            return self._close(marked=True)
        body = parsed(frame.data, self._named)
        self._refuse_error(frame, body)
        self._model = self._model or a_text(body.get("model"), self._named) or None
        self._id = self._id or a_text(body.get("id"), self._named) or None
        found: list[tuple[int, StreamEvent]] = []
        for each in a_list(body.get("choices"), self._named):
            choice = an_object(each, self._named)
            self._whole = self._whole or "message" in choice
            index = a_count(choice.get("index"), self._named)
            # What follows a completion's end is a repetition, and what was not asked for is nobody's.
            if index < len(self._choices) and self._choices[index].reason is None:
                found += [(index, event) for event in self._choices[index].feed(choice, time_ns)]
                if self._choices[index].reason is not None:
                    self._ended_last = index
        if (usage := self._reported(body)) is not None:
            found += self._take_usage(usage)
        return found

    def end(self) -> Iterable[tuple[int, StreamEvent]]:
        """The stream has ended. Raises `BrokenStreamError` if a completion in it did not."""
        return () if self._done else self._close(marked=self._whole)

    def _refuse_error(self, frame: Frame, body: dict[str, Any]) -> None:
        extra = body.get(self._reading.usage_in) if self._reading.usage_in else None
        error = body.get("error") or (extra.get("error") if isinstance(extra, dict) else None)
        if error or frame.event == "error" or body.get("object") == "error":
            raise said_error(error or body, self._named)

    def _reported(self, body: Mapping[str, Any]) -> UsageUpdate | None:
        said = body.get("usage")
        if said is None and self._reading.usage_in:
            said = an_object(body.get(self._reading.usage_in), self._named).get("usage")
        if not said:
            return None
        reading = self._reading
        return usage_of(
            an_object(said, self._named), self._named, dollars=reading.dollars, beside=reading.thinking_beside
        )

    def _take_usage(self, usage: UsageUpdate) -> list[tuple[int, StreamEvent]]:
        if self._reading.usage_of_each:
            self._choices[self._ended_last].usage = usage
        else:
            self._usage = usage
        return [(0, usage)] if len(self._choices) == 1 else []

    def _close(self, *, marked: bool) -> list[tuple[int, StreamEvent]]:
        if any(choice.reason is None for choice in self._choices):
            raise broken("the stream ended before the completion did", self._named)
        self._done = True
        notes = self._notes if marked else (*self._notes, "the stream ended without [DONE], after its completion")
        left = [choice.end() for choice in self._choices]
        found: list[tuple[int, StreamEvent]] = []
        for index, usage in enumerate(self._usages()):
            events = [*left[index], *self._last(self._choices[index], usage, notes)]
            found += [(index, event) for event in events]
        return found

    def _last(self, choice: Choice, usage: UsageUpdate | None, notes: tuple[str, ...]) -> Iterable[StreamEvent]:
        """A completion's last events, once its usage is known."""
        report, belied = choice.plausible(usage)
        if report is not None and (belied or len(self._choices) > 1):
            yield report
        yield from choice.shape.kept(self._reading.wire)
        yield Finish(
            choice.reason or "stop",
            choice.visibility(thinking=report is not None and report.usage.thinking_tokens > 0),
            self._model,
            self._reading.logprob_stage if choice.has_logprobs else None,
            (*notes, *choice.notes, *belied),
            self._id,
        )

    def _usages(self) -> list[UsageUpdate | None]:
        """Each completion's usage, as far as the host reported any."""
        if self._reading.usage_of_each:
            each = [choice.usage for choice in self._choices]
            return each[:1] + [None if usage is None else without_prompt(usage) for usage in each[1:]]
        if self._usage is None or len(self._choices) == 1:
            return [self._usage] * len(self._choices)
        seen = [choice.seen for choice in self._choices]
        return list(split(self._usage, [each.output for each in seen], [each.thinking for each in seen]))


class OneCompletion:
    """Decodes a stream of one completion."""

    def __init__(self, reading: Reading, named: Named, notes: Sequence[str]) -> None:
        self._choices = ChoicesEvents(reading, named, 1, notes)

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this frame says. Raises `HostError`."""
        return [event for _, event in self._choices.feed(frame, time_ns)]

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended. Raises `BrokenStreamError` if its completion did not."""
        return [event for _, event in self._choices.end()]
