"""The events of a stream of Responses: its items come mixed, and some hosts tell of an item after the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from tttlab.errors import HostError, OverloadedError
from tttlab.events import Finish, StreamEvent, UsageUpdate
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.failures import said_error
from tttlab.models.wire.frames import a_list, a_text, an_object, broken, parsed
from tttlab.models.wire.openai_chat_choice import Choice, Reading
from tttlab.models.wire.openai_chat_tokens import Piece
from tttlab.models.wire.openai_chat_usage import usage_of
from tttlab.models.wire.openai_responses_items import Items, Key, key_of
from tttlab.types import ReasoningItem, Visibility

_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
_POLICY = "policy"
"""Stands in every code of a response that was stopped for what it says: `bio_policy`, `content_policy_violation`."""
_REASONS = {"max_output_tokens": "length", "completed": "stop"}
_Shown = Literal["summary", "full"]


class ResponsesEvents:
    """Decodes one response."""

    def __init__(
        self,
        wire: str,
        named: Named,
        notes: Sequence[str],
        *,
        kinds: Mapping[str, type[HostError]],
        in_band: bool,
        whole_texts: bool,
        dollars: bool,
    ) -> None:
        self._wire, self._named, self._kinds = wire, named, kinds
        self._whole_texts, self._dollars = whole_texts, dollars
        self._notes = list(notes)
        self._shape = _Shape(named)
        self._choice = Choice(_reading(wire, self._shape, in_band=in_band), named)
        self._model: str | None = None
        self._id: str | None = None
        self._part: tuple[Key, _Shown, object] | None = None
        self._seen: set[Key] = set()
        self._said: set[str] = set()
        self._items = Items(named)
        self._done = False
        self._readers: dict[str, Callable[[dict[str, Any], int], list[StreamEvent]]] = {
            "response.output_text.delta": self._text_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.reasoning_text.delta": partial(self._thinking_delta, "full", "content_index"),
            "response.reasoning_summary_text.delta": partial(self._thinking_delta, "summary", "summary_index"),
            "response.output_item.done": self._item,
        }

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this frame says. Raises `HostError`."""
        if self._done or not (data := frame.data.strip()) or data == "[DONE]":
            return ()
        body = parsed(data, self._named)
        kind = a_text(body.get("type"), self._named) or frame.event
        if (read := self._readers.get(kind)) is not None:
            return read(body, time_ns)
        if kind in _ENDS:
            return self._end(an_object(body.get("response"), self._named), kind, time_ns)
        if body.get("object") == "response" and not kind.startswith("response."):
            return self._end(body, "", time_ns)  # An answer that was not streamed.
        if kind == "error" or body.get("error"):
            raise said_error(body.get("error") or body, self._named, self._kinds)
        if isinstance(response := body.get("response"), dict):
            self._name(response)
        return ()

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended. Raises `BrokenStreamError` if the response did not."""
        if not self._done:
            raise broken("the stream ended before the response did", self._named)
        return ()

    def _name(self, response: Mapping[str, Any]) -> None:
        self._model = a_text(response.get("model"), self._named) or self._model
        self._id = a_text(response.get("id"), self._named) or self._id

    def _text_delta(self, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        entries = a_list(body.get("logprobs"), self._named)
        return self._answer(key_of(body), "content", body.get("delta"), entries, time_ns)

    def _refusal_delta(self, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        return self._answer(key_of(body), "refusal", body.get("delta"), [], time_ns)

    def _thinking_delta(self, shown: _Shown, index: str, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        return self._think(key_of(body), shown, body.get(index), body.get("delta"), time_ns)

    def _answer(self, key: Key, name: str, text: object, entries: list[Any], time_ns: int) -> list[StreamEvent]:
        self._seen.add(key)
        self._said.add("message")
        delta = {"delta": {name: a_text(text, self._named)}, "logprobs": {"content": entries}}
        return [*self._choice.feed(delta, time_ns)]

    def _think(self, key: Key, shown: _Shown, index: object, said: object, time_ns: int) -> list[StreamEvent]:
        text = a_text(said, self._named)
        self._seen.add(key)
        if not text:
            return []
        self._said.add("reasoning")
        # Each part of a summary is a paragraph, and none ends with a line of its own; raw thinking stands as it came.
        part = (key, shown, index if shown == "summary" and type(index) is int else None)
        between = "\n\n" if self._part not in (None, part) else ""
        self._part = part
        if self._shape.shown != "full":
            self._shape.shown = shown
        return [*self._choice.feed({"delta": {"thinking": between + text}}, time_ns)]

    def _item(self, body: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        item = an_object(body.get("item"), self._named)
        key = key_of(body, item)
        self._items.add(key, item)
        return [] if key in self._seen else self._whole(key, item, time_ns)

    def _whole(self, key: Key, item: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        """The text of an item that came without any delta."""
        found: list[StreamEvent] = []
        if not self._whole_texts:
            return found
        kind = a_text(item.get("type"), self._named)
        places: tuple[tuple[str, _Shown], ...] = (("summary", "summary"), ("content", "full"))
        for name, shown in places if kind == "reasoning" else ():
            for index, part in enumerate(self._parts(item, name)):
                found += self._think(key, shown, index, part.get("text"), time_ns)
        for part in self._parts(item, "content") if kind == "message" else ():
            entries = a_list(part.get("logprobs"), self._named)
            for where, text in (("content", part.get("text")), ("refusal", part.get("refusal"))):
                if text:
                    found += self._answer(key, where, text, entries, time_ns)
        self._seen.add(key)
        return found

    def _parts(self, item: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        return [an_object(part, self._named) for part in a_list(item.get(name), self._named)]

    def _end(self, response: Mapping[str, Any], kind: str, time_ns: int) -> list[StreamEvent]:
        self._name(response)
        found = self._left(response, time_ns)
        reason = self._reason(response, kind)
        found += self._choice.feed({"finish_reason": reason}, time_ns)
        found += self._choice.end()
        usage = self._usage(response)
        report, belied = self._choice.plausible(usage)
        if report is not None:
            found.append(report)
        thought = report is not None and report.usage.thinking_tokens > 0
        if self._items.sealed and (thought or not self._counts_thinking(response)) and self._shape.shown == "none":
            self._shape.shown = "encrypted"
        self._done = True
        notes = (*self._notes, *self._choice.notes, *belied)
        visibility = self._choice.visibility(thinking=thought)
        ended = self._choice.reason or "stop"
        return [*found, *self._items.kept(self._wire), Finish(ended, visibility, self._model, None, notes, self._id)]

    def _left(self, response: Mapping[str, Any], time_ns: int) -> list[StreamEvent]:
        """What the response holds of a kind of item of which nothing came before."""
        found: list[StreamEvent] = []
        said, told = frozenset(self._said), self._items.kinds
        for place, each in enumerate(a_list(response.get("output"), self._named)):
            item = an_object(each, self._named)
            kind = a_text(item.get("type"), self._named)
            if kind == "function_call":
                self._said.add(kind)
            if kind not in told:
                self._items.add(place, item)
            if kind not in said:
                found += self._whole(f"{place} of the response", item, time_ns)
        return found

    def _reason(self, response: Mapping[str, Any], kind: str) -> str:
        """The reason to end, in the words of chat completions. Raises `HostError`."""
        status = a_text(response.get("status"), self._named)
        if not status or status in ("in_progress", "queued"):
            status = kind.removeprefix("response.").replace("done", "completed")
        if kind == "response.failed" or status in ("failed", "cancelled"):
            error = an_object(response.get("error"), self._named)
            if not error:
                said = f"the response has {status}"
                raise OverloadedError(said, provider=self._named.provider, model=self._named.model)
            if _POLICY not in str(error.get("code")):
                raise said_error(error, self._named, self._kinds)
            self._notes.append(f"the host stopped it: {a_text(error.get('message'), self._named)[:300]}")
            return "content_filter"
        if status == "incomplete":
            details = an_object(response.get("incomplete_details"), self._named)
            status = a_text(details.get("reason"), self._named) or status
        elif status == "completed" and "function_call" in self._said:
            return "tool_calls"
        return _REASONS.get(status, status)

    def _usage(self, response: Mapping[str, Any]) -> UsageUpdate | None:
        usage = an_object(response.get("usage"), self._named)
        if not usage:
            return None
        said = {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "total_tokens": usage.get("total_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
            "cost": usage.get("cost"),
        }
        return usage_of(said, self._named, dollars=self._dollars, beside=False)

    def _counts_thinking(self, response: Mapping[str, Any]) -> bool:
        usage = an_object(response.get("usage"), self._named)
        return an_object(usage.get("output_tokens_details"), self._named).get("reasoning_tokens") is not None


class _Shape:
    """Reads the deltas that the events were turned into; what was shown is set from outside."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self.shown: Visibility = "none"

    def read(self, delta: Mapping[str, Any]) -> list[Piece]:
        pieces: tuple[Piece, ...] = (
            ("thinking", a_text(delta.get("thinking"), self._named)),
            ("answer", a_text(delta.get("content"), self._named)),
        )
        return [piece for piece in pieces if piece[1]]

    def kept(self, wire: str) -> list[ReasoningItem]:
        del wire
        return []


def _reading(wire: str, shape: _Shape, *, in_band: bool) -> Reading:
    return Reading(
        wire=wire,
        shape=lambda _: shape,
        in_band=in_band,
        usage_in=None,
        usage_of_each=False,
        thinking_beside=False,
        dollars=False,
        logprob_stage=None,
        entries=lambda logprobs, named: a_list(logprobs.get("content"), named),
    )
