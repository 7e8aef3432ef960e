"""Ollama's own chat: lines of JSON, with thinking in a field of its own and the entries of each line's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tttlab.errors import HostError, ParameterError
from tttlab.events import Finish, StreamEvent
from tttlab.models.wire import Decoder, Encoded, Frame, Named
from tttlab.models.wire.failures import failure_of, said_error
from tttlab.models.wire.frames import a_list, a_text, an_object, broken, parsed
from tttlab.models.wire.openai_chat_choice import Choice, Reading
from tttlab.models.wire.openai_chat_shapes import Fields
from tttlab.models.wire.openai_chat_usage import usage_of
from tttlab.types import Request, Sampling

_UNABLE = re.compile("does not support (thinking|chat|completion)|is not supported for this model|invalid think value")
_OF_OTHERS = "thinking that another kind of host had sealed was not sent back: only that kind can read it"
_NO_COMPLETION = ("load", "unload")
"""Reasons to end of a request that asks for nothing but the model in memory, or out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """The chat of Ollama's own API. `num_ctx` is left as the server has it: another value loads the model again.

    Traits of a model that it heeds: `levels` (True where the model thinks always and takes a level alone), `in_band`
    (as `OpenAiChat` does), and `at_effort`.
    """

    name: str = "ollama"
    framing: Literal["ndjson"] = "ndjson"
    path: str = "/api/chat"

    def encode(self, request: Request, named: Named) -> Encoded:
        """What is sent. Raises `ParameterError` where there is no message, which would only load the model."""
        if not request.messages:
            said = "a request without a message only loads the model: nothing was asked"
            raise ParameterError(said, provider=named.provider, model=named.model)
        sampling, can = request.sampling, named.at(request.sampling.effort).can
        body: dict[str, Any] = {
            "model": named.model,
            "messages": [{"role": message.role, "content": message.text} for message in request.messages],
            "stream": True,
            "options": _options(request, takes=can.takes, most=request.most_tokens(thinking=can.thinking)),
        }
        if (think := _think(sampling, named)) is not None:
            body["think"] = think
        if can.logprobs and sampling.logprobs > 0:
            body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        sealed = any(message.reasoning for message in request.messages)
        return Encoded(path=self.path, body=body, notes=(_OF_OTHERS,) if sealed else ())

    def decoder(self, named: Named, notes: tuple[str, ...] = ()) -> Decoder:
        """A decoder for the stream that answers."""
        return _Lines(named, notes)

    def failure(self, status: int, body: str, named: Named) -> HostError:
        """The error that an answer of another status than 200 says."""
        error = failure_of(status, body, named)
        if _UNABLE.search(error.said):  # Which it says with one status or another.
            return ParameterError(error.said, provider=named.provider, model=named.model, status=status)
        return error


def _options(request: Request, *, takes: Sequence[str], most: int) -> dict[str, Any]:
    """Its defaults truncate, so that top-k, top-p and min-p are off is sent too."""
    sampling = request.sampling
    names = ("temperature", "top_p", "top_k", "min_p")
    options: dict[str, Any] = {"num_predict": most} | {n: getattr(sampling, n) for n in names if n in takes}
    if request.seed is not None:
        options["seed"] = request.seed
    if "stop" in takes and sampling.stop:
        options["stop"] = list(sampling.stop)
    return options


def _think(sampling: Sampling, named: Named) -> bool | str | None:
    """What is said of thinking; None leaves it to the model, which is right for one that nothing is known of."""
    if sampling.effort is not None:
        return False if sampling.effort == "none" else sampling.effort
    return True if named.can.thinking and not named.traits.get("levels", False) else None


class _Lines:
    """Decodes one chat."""

    def __init__(self, named: Named, notes: Sequence[str]) -> None:
        self._named = named
        self._notes = tuple(notes)
        self._choice = Choice(_READING, named)
        self._model: str | None = None
        self._done = False

    def feed(self, frame: Frame, time_ns: int) -> Iterable[StreamEvent]:
        """What this line says. Raises `HostError`."""
        if self._done or not frame.data.strip():
            return ()
        line = parsed(frame.data, self._named)
        if error := line.get("error"):
            raise said_error(error, self._named)
        self._model = a_text(line.get("model"), self._named) or self._model
        message = an_object(line.get("message"), self._named)
        choice: dict[str, Any] = {"delta": message, "logprobs": {"content": line.get("logprobs")}}
        if line.get("done") is not True:
            return self._choice.feed(choice, time_ns)
        reason = a_text(line.get("done_reason"), self._named)
        if reason in _NO_COMPLETION:
            raise broken(f"the host gave no completion, and says that the model was only {reason}ed", self._named)
        called = bool(a_list(message.get("tool_calls"), self._named))
        choice["finish_reason"] = "tool_calls" if called else reason or "stop"
        return [*self._choice.feed(choice, time_ns), *self._end(line)]

    def end(self) -> Iterable[StreamEvent]:
        """The stream has ended. Raises `BrokenStreamError` if the chat did not."""
        if not self._done:
            raise broken("the stream ended before the completion did", self._named)
        return ()

    def _end(self, line: Mapping[str, Any]) -> list[StreamEvent]:
        self._done = True
        found: list[StreamEvent] = [*self._choice.end()]
        belied: tuple[str, ...] = ()
        if line.get("prompt_eval_count") is not None or line.get("eval_count") is not None:
            said = {"prompt_tokens": line.get("prompt_eval_count"), "completion_tokens": line.get("eval_count")}
            usage = usage_of(said, self._named, dollars=False, beside=False)
            report, belied = self._choice.plausible(usage)
            found += [report] if report is not None else []
        notes = (*self._notes, *self._choice.notes, *belied)
        visibility = self._choice.visibility(thinking=False)
        return [*found, Finish(self._choice.reason or "stop", visibility, self._model, None, notes)]


_READING = Reading(
    wire="ollama",
    shape=Fields(("thinking",)).reader,
    in_band=True,
    usage_in=None,
    usage_of_each=False,
    thinking_beside=False,
    dollars=False,
    logprob_stage=None,
    entries=lambda logprobs, named: a_list(logprobs.get("content"), named),
)
