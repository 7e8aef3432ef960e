"""A group: samples of one prompt that the local engine generates in one request, each in a slot of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_float
from pathlib import Path
from typing import Any

from tttlab.errors import CallError, ModelError
from tttlab.events import NO_ALTERNATIVES, Alternatives, Finish, TokenDelta, UsageUpdate
from tttlab.models.llama import Chunk
from tttlab.models.sample import Sample
from tttlab.types import Request, Usage

LOGPROB_STAGE = "before_sampling"
"""llama.cpp gives the model's own distribution, before temperature and truncation."""
NOT_NUMBERS = (
    "the engine gave tokens without a log-probability: the model's outputs are no numbers; is its file damaged?"
)


class Group:
    """Takes the engine's chunks apart. All but the constructor runs in the thread that asked the engine."""

    def __init__(
        self,
        samples: Sequence[Sample],
        slots: Sequence[int],
        text_of: Callable[[int], str],
        release: Callable[[Sequence[int]], None],
    ) -> None:
        self.samples = samples
        self._slots = slots
        self._text_of = text_of
        self._release = release
        self._freed: list[int] = []
        self._stepped: set[int] = set()
        self._prompt_tokens = 0
        self._error: ModelError | None = None
        self._cancelled = False
        self._unsure: set[int] = set()

    @property
    def unwanted(self) -> bool:
        """Whether it was cancelled, or nobody listens any more."""
        return self._cancelled or all(sample.closed or sample.finished for sample in self.samples)

    @property
    def request(self) -> Request:
        """The request of the first sample: the others differ in their seeds alone."""
        return self.samples[0].request

    def body(self, prompt: Sequence[int]) -> dict[str, Any]:
        """What the engine is asked."""
        sampling, seed = self.request.sampling, self.request.seed
        asked = {
            "prompt": list(prompt),
            "n": len(self.samples),
            "id_slot": self._slots[0],
            "stream": True,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "n_probs": max(1, sampling.logprobs),  # Without any the engine gives no token ids either.
            "stop": list(sampling.stop),
            "cache_prompt": True,
        }
        if seed is not None:
            asked["seed"] = seed
        if sampling.grammar is not None:
            asked["grammar"] = sampling.grammar
        return asked

    def start(self, prompt_tokens: int) -> None:
        """Tell each stream what its prompt costs; all but the first share the evaluation of it."""
        self._prompt_tokens = prompt_tokens
        for index, sample in enumerate(self.samples):
            sample.put(UsageUpdate(Usage(prompt_tokens=prompt_tokens, cached_tokens=prompt_tokens if index else 0)))

    def take(self, chunk: Chunk) -> bool:
        """Hand a chunk to its sample. Returns whether the engine is to stop: nobody listens any more."""
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001 - the engine swallows what is raised here
            self.fail(
                CallError(f"the local engine sent what cannot be read: {type(error).__name__}: {in_one_line(error)}")
            )
            return True
        return self.unwanted

    def fail(self, error: ModelError) -> None:
        """Every sample that has not finished ends with this error."""
        self._error = self._error or error

    def cancel(self, error: ModelError) -> None:
        """Stop at the next chunk, with this error for what has not finished. From any thread."""
        self._cancelled = True
        self.fail(error)

    def end(self, context: int) -> None:
        """The engine is done: what has not finished never will."""
        error = self._error or CallError(
            f"the local engine ended without finishing (a context of {context:,} tokens); ask again"
        )
        for index, sample in enumerate(self.samples):
            if not sample.finished:
                sample.put(error)
                self._finish(index)
        self._give_back()

    def _take(self, chunk: Chunk) -> None:
        if "error" in chunk:
            self.fail(CallError(f"the local engine: {in_one_line(chunk['error'].get('message', chunk['error']))}"))
            return
        [choice] = chunk["choices"]
        index = choice["index"]
        sample, logprobs = self.samples[index], choice["logprobs"]
        if logprobs:
            self._step(index)
            arrived = time.time_ns()
            for entry in logprobs["content"]:
                if real(entry["logprob"]) is None:
                    self._unsure.add(index)
                sample.put(self._token(entry, arrived))
        if choice["finish_reason"]:
            self._finish(index)
            if all(each.finished for each in self.samples):
                self._give_back()  # Before it is told: who asks next finds the slot that has the prompt.
            sample.put(UsageUpdate(self._usage(index, chunk["usage"])))
            sample.put(
                Finish(
                    choice["finish_reason"],
                    served_model=Path(chunk["model"]).name,
                    logprob_stage=LOGPROB_STAGE,
                    notes=(NOT_NUMBERS,) if index in self._unsure else (),
                )
            )

    def _step(self, index: int) -> None:
        """A second token of one sample begins a step of the engine.

        What finished in the step before is given back together: samples that end at once make room for a whole group.
        """
        if index in self._stepped:
            self._stepped.clear()
            if self._freed:
                self._give_back()
        self._stepped.add(index)

    def _finish(self, index: int) -> None:
        self.samples[index].finished = True
        self._freed.append(self._slots[index])

    def _give_back(self) -> None:
        freed, self._freed = self._freed, []
        self._release(freed)

    def _token(self, entry: Mapping[str, Any], arrived: int) -> TokenDelta:
        text, token_id = entry["token"], entry["id"]
        kept = self.request.sampling.logprobs
        top = [each for each in entry["top_logprobs"] if real(each["logprob"]) is not None] if kept else ()
        return TokenDelta(
            text,
            arrived,
            token_id,
            real(entry["logprob"]),
            Alternatives(
                tuple([each["id"] for each in top]),
                tuple([each["token"] for each in top]),
                tuple([c_float(each["logprob"]).value for each in top]),
            )
            if top
            else NO_ALTERNATIVES,
            # The engine waits for whole characters: the tokens before the last one of a character are not given.
            merged=not text.isascii() and not text.endswith(self._text_of(token_id)),
        )

    def _usage(self, index: int, reported: Mapping[str, Any]) -> Usage:
        cached = reported.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        return Usage(
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._prompt_tokens if index else cached,
            output_tokens=reported["completion_tokens"],
        )


def real(logprob: float | None) -> float | None:
    """A log-probability as it is recorded, in the engine's single precision, so that a replay gives the very number.

    None for what is no finite number, as the engine has of damaged weights.
    """
    return c_float(logprob).value if logprob is not None and math.isfinite(logprob) else None


def in_one_line(said: object) -> str:
    """What the engine said of an error, which can go over several lines."""
    return " ".join(str(said).split())
