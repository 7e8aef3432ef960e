"""OpenAI's Responses, and other servers of the same API: what differs is in the fields of `OpenAiResponses`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tttlab.errors import HostError, ParameterError
from tttlab.models.wire import Decoder, Encoded, Named
from tttlab.models.wire.failures import failure_of
from tttlab.models.wire.openai_responses_events import ResponsesEvents
from tttlab.types import Message, Request

_KINDS: Mapping[str, type[HostError]] = {"invalid_prompt": ParameterError}
_OF_OTHERS = "thinking that another kind of host had sealed was not sent back: only that kind can read it"
_CHANGED = "an answer was changed since it was given: the sealed thinking that led to it was not sent back with it"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiResponses:
    """Responses, as one host or kind of server wants them. It heeds the trait `at_effort` of a model."""

    name: str = "openai_responses"
    framing: Literal["sse"] = "sse"
    path: str = "/responses"
    least_tokens: int = 16
    """The smallest bound of the output that the host takes."""
    summary: str | None = "auto"
    """What is asked to be shown of the thinking; None where the host shows all of it and sums nothing up."""
    sealed: bool = True
    """The host keeps nothing of a conversation: it gives its thinking sealed, and wants it back with the turn."""
    always: Mapping[str, Any] = field(default_factory=lambda: {"store": False})
    """What every request holds."""
    answers_in_parts: bool = False
    """An earlier answer is sent as the item that it came as, in parts, and not as a text."""
    in_band: bool = False
    """Thinking may stand in the text, between tags."""
    whole_texts: bool = True
    """An item's whole text is its own: llama.cpp's server repeats the partial answer in it that it went on from."""
    tells_length: bool = True
    """The host says when the bound of the output ended an answer."""
    dollars: bool = False
    """The usage's `cost` is what the host charges, in dollars."""

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError`."""
        named, notes = named.at(request.sampling.effort), list[str]()
        thinking, wants = named.can.thinking, request.most_tokens(thinking=named.can.thinking)
        if wants < self.least_tokens:
            notes.append(f"max_output_tokens was raised from {wants} to {self.least_tokens}, the least that it takes")
        if not self.tells_length:
            notes.append("this server does not say whether an answer was ended by max_tokens")
        try:
            items = [item for message in request.messages for item in self._items(message, notes)]
        except (ValueError, TypeError, AttributeError, RecursionError):
            said = "a message's sealed thinking is not what the host gave: nothing was asked"
            raise ParameterError(said, provider=named.provider, model=named.model) from None
        body: dict[str, Any] = {
            "model": named.model,
            "input": items,
            "max_output_tokens": max(wants, self.least_tokens),
            "stream": True,
            **self.always,
            **_options(request, named),
        }
        reasoning = {"effort": request.sampling.effort, "summary": self.summary if thinking else None}
        if reasoning := {name: value for name, value in reasoning.items() if value is not None}:
            body["reasoning"] = reasoning
        include = ["reasoning.encrypted_content"] if thinking and self.sealed else []
        if "top_logprobs" in body:
            include.append("message.output_text.logprobs")
        if include:
            body["include"] = include
        return Encoded(path=self.path, body=body, notes=tuple(notes))

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers."""
        return ResponsesEvents(
            self.name,
            named,
            notes,
            kinds=_KINDS,
            in_band=self.in_band,
            whole_texts=self.whole_texts,
            dollars=self.dollars,
        )

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says."""
        return failure_of(status, body, named, kinds=_KINDS)

    def _items(self, message: Message, notes: list[str]) -> list[dict[str, Any]]:
        """The items of a turn. Raises `ValueError` for sealed thinking that is no JSON."""
        own = [_item(each.content) for each in message.reasoning if each.wire == self.name]
        if len(own) < len(message.reasoning) and _OF_OTHERS not in notes:
            notes.append(_OF_OTHERS)
        if message.role != "assistant":
            return [{"role": message.role, "content": message.text}]
        # The host refuses thinking without the very answer that followed it.
        if own and any(item.get("type") == "message" for item in own) and _text_of(own) == message.text:
            return own
        if own and _CHANGED not in notes:
            notes.append(_CHANGED)
        if not self.answers_in_parts:
            return [{"role": "assistant", "content": message.text}]
        parts = [{"type": "output_text", "text": message.text, "annotations": []}]
        return [{"type": "message", "role": "assistant", "status": "completed", "content": parts}]


LLAMA_CPP_RESPONSES = OpenAiResponses(
    name="openai_responses_llamacpp",
    least_tokens=1,
    summary=None,
    sealed=False,
    always={},
    answers_in_parts=True,
    in_band=True,
    whole_texts=False,
    tells_length=False,
)
"""llama.cpp's server: its items have no places in the output, it shows its thinking in full, and gives no entries."""
OPENROUTER_RESPONSES = OpenAiResponses(name="openai_responses_openrouter", dollars=True)


def _options(request: Request, named: Named) -> dict[str, Any]:
    """The sampling options, under the names that all servers of this API know them by. OpenAI takes few of them."""
    sampling, can = request.sampling, named.can
    found: dict[str, Any] = {
        name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k", "min_p") if name in can.takes
    }
    if "stop" in can.takes and sampling.stop:
        found["stop"] = list(sampling.stop)
    if "grammar" in can.takes and sampling.grammar is not None:
        found["grammar"] = sampling.grammar
    if request.seed is not None:
        found["seed"] = request.seed
    if can.logprobs and sampling.logprobs > 0:
        found["top_logprobs"] = sampling.logprobs
    return found


def _item(content: str) -> dict[str, Any]:
    item = json.loads(content)
    if not isinstance(item, dict):
        raise ValueError("an item is an object")  # noqa: TRY004 - as of JSON that cannot be read
    return item


def _text_of(items: list[dict[str, Any]]) -> str:
    """The answer that stands in the items which the host gave."""
    messages = (item for item in items if item.get("type") == "message")
    parts = (part for item in messages for part in item.get("content", ()))
    return "".join(part.get("text", part.get("refusal", "")) for part in parts)
