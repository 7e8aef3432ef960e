"""OpenAI's Chat Completions and its dialects: what differs from server to server is in the fields of `OpenAiChat`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tttlab.errors import HostError, ParameterError
from tttlab.models.wire import ChoicesDecoder, Decoder, Encoded, Named
from tttlab.models.wire.failures import failure_of
from tttlab.models.wire.frames import a_list
from tttlab.models.wire.openai_chat_choice import Reading
from tttlab.models.wire.openai_chat_events import ChoicesEvents, OneCompletion
from tttlab.models.wire.openai_chat_shapes import Fields, Shapes
from tttlab.types import Message, Request, Sampling

Place = tuple[str, ...]
"""Where something stands in the body: the name of a field, or of an object and a field in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiChat:
    """Chat completions, as one host or kind of server wants them.

    Traits of a model that it heeds: `body` (fields to send besides), `shows` (the visibility of thinking that is shown,
    `full` unless told), `in_band` (True, False, or `"opened"` where the template opens the block of thinking itself).
    """

    name: str = "openai_chat"
    framing: Literal["sse"] = "sse"
    path: str = "/chat/completions"
    max_tokens: str = "max_tokens"
    """The name of the field that bounds the output."""
    seed: str = "seed"
    top_k_off: int | None = None
    """What switches top-k off; None leaves the field out."""
    sends_defaults: bool = False
    """The host truncates by itself: that top-p and min-p are off is sent too."""
    most_stops: int | None = None
    """How many stop strings the host takes; None for any number."""
    always: Mapping[str, Any] = field(default_factory=dict)
    """What every request holds."""
    thinking: Mapping[str, Any] = field(default_factory=dict)
    """What the request of a model that thinks holds besides."""
    effort: Place = ("reasoning_effort",)
    budget: Place = ("thinking_token_budget",)
    effort_or_budget: bool = False
    """Both at once are refused."""
    grammar: Place = ("grammar",)
    going_on: Mapping[str, Any] = field(default_factory=dict)
    """What a request holds besides that is to go on from a last message of the assistant's."""
    with_usage: bool = True
    """The host must be asked to report the usage of a stream."""
    shapes: Shapes = field(default_factory=Fields)
    """Where text and thinking stand in a delta."""
    in_band: bool = False
    """Thinking may stand in the text, between tags."""
    usage_in: str | None = None
    """An object of the host's own that holds the usage instead."""
    usage_of_each: bool = False
    """Of several completions, each has its own report of usage, after its end."""
    thinking_beside: bool = False
    """The reported completion tokens leave the thinking out."""
    dollars: bool = False
    """The usage's `cost` is what the host charges, in dollars."""
    logprob_stage: str | None = None
    """See `Finish.logprob_stage`; None where the host's documentation does not say."""

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError`."""
        return self._encoded(request, named, None)

    def encode_many(self, request: Request, named: Named, count: int) -> Encoded:
        """As `encode`, for `count` completions."""
        return self._encoded(request, named, count)

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers."""
        return OneCompletion(self.reading(), named, notes)

    def choices_decoder(self, named: Named, count: int, notes: tuple[str, ...] = ()) -> ChoicesDecoder:
        """A decoder for the stream that answers a request for several completions."""
        return ChoicesEvents(self.reading(), named, count, notes)

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says."""
        return failure_of(status, body, named)

    def reading(self) -> Reading:
        """What a decoder must know of this dialect."""
        return Reading(
            wire=self.name,
            shape=self.shapes.reader,
            in_band=self.in_band,
            usage_in=self.usage_in,
            usage_of_each=self.usage_of_each,
            thinking_beside=self.thinking_beside,
            dollars=self.dollars,
            logprob_stage=self.logprob_stage,
            entries=self._entries,
        )

    def _encoded(self, request: Request, named: Named, count: int | None) -> Encoded:
        named, notes = named.at(request.sampling.effort), list[str]()
        try:
            body = {"model": named.model, **self._asked(request.messages, notes)}
        except ValueError:
            raise _refused("a message's sealed thinking is not what the host gave: it is no JSON", named) from None
        self._add_options(body, request, named, count)
        if request.messages and request.messages[-1].role == "assistant":
            _merge(body, self.going_on)
        return Encoded(path=self.path, body=body, notes=tuple(notes))

    def _asked(self, messages: Sequence[Message], notes: list[str]) -> dict[str, Any]:
        return {"messages": [self._message(message, notes) for message in messages]}

    def _message(self, message: Message, notes: list[str]) -> dict[str, Any]:
        own = tuple(item for item in message.reasoning if item.wire == self.name)
        note = "thinking that another kind of host had sealed was not sent back: only that kind can read it"
        if len(own) < len(message.reasoning) and note not in notes:
            notes.append(note)
        if message.role != "assistant":
            return {"role": message.role, "content": message.text}
        return {"role": "assistant", **self.shapes.restored(own, message.text)}

    def _add_options(self, body: dict[str, Any], request: Request, named: Named, count: int | None) -> None:
        sampling, can = request.sampling, named.can
        body[self.max_tokens] = request.most_tokens(thinking=can.thinking)
        body["stream"] = True
        if self.with_usage:
            body["stream_options"] = {"include_usage": True}
        if count is not None:
            body["n"] = count
        if request.seed is not None:
            body[self.seed] = request.seed
        _merge(body, self.always)
        self._add_sampling(body, sampling, named)
        if can.logprobs and sampling.logprobs > 0:
            body |= self._logprobs(sampling.logprobs)
        if can.thinking:
            _merge(body, self.thinking)
        _merge(body, named.traits.get("body", {}))
        self._add_effort(body, sampling, named)

    def _logprobs(self, alternatives: int) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": alternatives}

    def _entries(self, logprobs: Mapping[str, Any], named: Named) -> list[Any]:
        """The entries of tokens that a choice's `logprobs` hold."""
        return a_list(logprobs.get("content"), named)

    def _add_sampling(self, body: dict[str, Any], sampling: Sampling, named: Named) -> None:
        takes = named.can.takes
        if "temperature" in takes:
            body["temperature"] = sampling.temperature
        for name, off in (("top_p", 1.0), ("min_p", 0.0)):
            value = getattr(sampling, name)
            if name in takes and (self.sends_defaults or value != off):
                body[name] = value
        top_k = sampling.top_k or self.top_k_off
        if "top_k" in takes and top_k is not None:
            body["top_k"] = top_k
        if "stop" in takes and sampling.stop:
            if self.most_stops is not None and len(sampling.stop) > self.most_stops:
                raise _refused(f"it takes {self.most_stops} stop strings at most", named)
            body["stop"] = list(sampling.stop)
        if "grammar" in takes and sampling.grammar is not None:
            _put(body, self.grammar, sampling.grammar)

    def _add_effort(self, body: dict[str, Any], sampling: Sampling, named: Named) -> None:
        effort, budget = sampling.effort, sampling.thinking_budget
        if self.effort_or_budget and effort is not None and budget is not None:
            raise _refused("it takes an effort or a thinking_budget, not both", named)
        if effort is not None:
            _put(body, self.effort, effort)
        if budget is not None:
            _put(body, self.budget, budget)


def _refused(said: str, named: Named) -> ParameterError:
    return ParameterError(f"{said}: nothing was asked", provider=named.provider, model=named.model)


def _put(body: MutableMapping[str, Any], place: Place, value: object) -> None:
    """Put a value in its place, in an object of the body or in the body itself."""
    *outer, name = place
    for each in outer:
        body[each] = dict(body.get(each, {}))
        body = body[each]
    body[name] = value


def _merge(body: MutableMapping[str, Any], more: Mapping[str, Any]) -> None:
    """Add fields; an object joins one that is there already."""
    for name, value in more.items():
        there = body.get(name)
        body[name] = {**there, **value} if isinstance(there, Mapping) and isinstance(value, Mapping) else value
