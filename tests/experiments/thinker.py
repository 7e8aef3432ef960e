"""A model whose answer can be read off its thinking, cut wherever it is, for tests of truncation."""

import time

from tttlab.events import ChunkDelta, Finish, TokenDelta, UsageUpdate
from tttlab.types import Capabilities, Usage

WORDS = [" one", " two", " three", " four", " five", " six"]


class Thinker:
    """Thinks the six words; its answer is 5 before it has thought `four`, and 6 from there on."""

    name = "thinker"

    def __init__(self, *, prefix=True, own=True, chunks=None):
        self.can = Capabilities(prefix=prefix, thinking=own, thinking_budget=own, seed=True)
        self.own, self.chunks = own, chunks
        self.asked = []

    async def stream(self, request):
        self.asked.append(request)
        last = request.messages[-1]
        begun = last.text if last.role == "assistant" else ""
        answers = begun or request.sampling.thinking_budget == 0
        yield UsageUpdate(Usage(prompt_tokens=4))
        texts = [] if answers else WORDS
        if texts and self.chunks is not None:
            yield ChunkDelta("".join(texts), time.time_ns(), channel="thinking", tokens=self.chunks)
        else:
            for word in texts:
                yield TokenDelta(word, time.time_ns(), channel="thinking" if self.own else "answer")
        if self.own or answers:
            said = begun if answers else "".join(WORDS)
            yield TokenDelta(" 6" if "four" in said else " 5", time.time_ns(), channel="answer")
        thought = len(texts) if self.own else 0
        yield UsageUpdate(Usage(prompt_tokens=4, output_tokens=len(texts) + 1, thinking_tokens=thought))
        yield Finish("stop", "full" if self.own and texts else "none", self.name)
