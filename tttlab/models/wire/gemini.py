"""Google's Gemini: `streamGenerateContent`, whose server-sent events are each a whole response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from tttlab.errors import HostError
from tttlab.models.wire import Decoder, Encoded, Named
from tttlab.models.wire.failures import failure_of
from tttlab.models.wire.gemini_events import ResponseEvents
from tttlab.models.wire.sealed import note, own_blocks
from tttlab.models.wire.turns import parted, refused
from tttlab.types import Message, Request, Sampling

_CHANGED = "sealed thinking was not sent back: its host takes it only with the very text that it came with"
_SEEDS = 2**31
"""The host's seeds are 32-bit integers with a sign."""
_DYNAMIC = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemini:
    """Gemini's own API.

    Traits of a model that it heeds: `budget` (the least and the most tokens that its thinking can be held to), `off`
    (whether a budget of 0 turns it off).
    """

    name: str = "gemini"
    framing: Literal["sse"] = "sse"
    path: str = "/v1beta"
    most_stops: int = 5

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError`."""
        notes: list[str] = []
        system, turns = parted(request.messages, named, notes)
        body: dict[str, Any] = {"contents": [self._turn(message, named, notes) for message in turns]}
        if system:
            body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
        body["generationConfig"] = self._config(request, named)
        name = named.model if "/" in named.model else f"models/{named.model}"
        path = f"{self.path}/{quote(name)}:streamGenerateContent?alt=sse"
        return Encoded(path=path, body=body, notes=tuple(notes))

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers."""
        return ResponseEvents(self.name, named, notes)

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says."""
        return failure_of(status, body, named)

    def _turn(self, message: Message, named: Named, notes: list[str]) -> dict[str, Any]:
        blocks = own_blocks(message, self.name, named, notes)
        if message.role != "assistant":
            return {"role": "user", "parts": [{"text": message.text}]}
        parts: list[dict[str, Any]] = []
        done, text = 0, message.text
        for at, part in blocks:
            signed = "" if part.get("thought") else part.get("text", "")
            # A signature holds for the text of its own part: with another it is worth nothing.
            if at < done or not isinstance(signed, str) or text[at : at + len(signed)] != signed or at > len(text):
                note(notes, _CHANGED)
                continue
            if at > done:
                parts.append({"text": text[done:at]})
            parts.append(part)
            done = at + len(signed)
        if text[done:] or not parts:
            parts.append({"text": text[done:]})
        return {"role": "model", "parts": parts}

    def _config(self, request: Request, named: Named) -> dict[str, Any]:
        sampling, can = request.sampling, named.can
        config: dict[str, Any] = {"maxOutputTokens": request.most_tokens(thinking=can.thinking)}
        if thinking := self._thinking(sampling, named):
            config["thinkingConfig"] = thinking
        config |= self._sampling(sampling, named)
        if can.logprobs and sampling.logprobs > 0:
            config |= {"responseLogprobs": True, "logprobs": sampling.logprobs}
        if request.seed is not None:
            config["seed"] = request.seed % _SEEDS
        return config

    def _sampling(self, sampling: Sampling, named: Named) -> dict[str, Any]:
        takes = named.can.takes
        for name in ("min_p", "grammar"):
            if getattr(sampling, name):
                raise refused(f"Gemini has no place for {name}", named)
        sent: dict[str, Any] = {}
        if "temperature" in takes:
            sent["temperature"] = sampling.temperature
        if "top_p" in takes:  # Sent at 1 too, since the models' own is 0.95.
            sent["topP"] = sampling.top_p
        if "top_k" in takes and sampling.top_k:  # Nothing is known that would switch the models' own (64) off.
            sent["topK"] = sampling.top_k
        if "stop" in takes and sampling.stop:
            if len(sampling.stop) > self.most_stops:
                raise refused(f"it takes {self.most_stops} stop strings at most", named)
            sent["stopSequences"] = list(sampling.stop)
        return sent

    def _thinking(self, sampling: Sampling, named: Named) -> Mapping[str, Any]:
        effort, budget = sampling.effort, sampling.thinking_budget
        if not named.can.thinking:  # It may by itself.
            return {"thinkingBudget": 0} if named.traits.get("off", False) else {}
        if effort is not None and budget is not None:
            raise refused("it takes an effort or a thinking_budget, not both", named)
        if effort is not None:
            return {"includeThoughts": True, "thinkingLevel": effort.upper()}
        if budget == 0:
            if not named.traits.get("off", False):
                raise refused("its thinking cannot be turned off", named)
            return {"thinkingBudget": 0}
        limits = named.traits.get("budget")
        if limits is None:
            if budget is not None:
                raise refused("it cannot hold its thinking to a number of tokens", named)
            return {"includeThoughts": True}
        least, most = limits
        if budget is not None and not least <= budget <= most:
            raise refused(f"its thinking takes a budget from {least} to {most} tokens", named)
        return {"includeThoughts": True, "thinkingBudget": _DYNAMIC if budget is None else budget}
