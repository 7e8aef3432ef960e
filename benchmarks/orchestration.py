"""What the orchestration itself costs: strategies on a model that answers at once, every run recorded in a real store.

First completions a second of 64 samples, beside the same 64 calls made bare: the model's stream iterated by hand in as
many tasks of one event loop, each event folded into a completion, the same tokens with the same columns, and nothing
of tttlab's sessions around them. Then milliseconds a node of trees of 64 nodes. A node is a branch; its cost is the
whole run's time over the number of nodes, so it holds the calls that wrote and judged it, the proposals, and the run's
own beginning and end. A turn is one run of each; the best turn is the one that the machine disturbed least.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import tttlab
from tttlab.events import Alternatives, Finish, Fold, StreamEvent, TokenDelta, UsageUpdate
from tttlab.protocols import Strategy
from tttlab.strategies.beam_search import BeamSearch
from tttlab.strategies.mcts import Mcts
from tttlab.strategies.self_consistency import SelfConsistency
from tttlab.strategies.tree_of_thought import TreeOfThought
from tttlab.types import Capabilities, Completion, Message, Request, Usage

TURNS = 25
SAMPLES = 64
PROMPT = "What is 7 times 8?"
ALTERNATIVES = Alternatives((0, 1, 2, 3, 4), (" 56", " 54", " 57", " 58", " 63"), (-0.1, -2.5, -3.5, -4.5, -5.5))

Way = Callable[[], float]

BREADTH_FIRST = TreeOfThought(depth=6, n_generate=4, n_select=3)
DEPTH_FIRST = TreeOfThought(search="depth_first", depth=3, n_generate=4, n_select=48)
TREES: Mapping[str, Strategy] = {
    "tree_of_thought, n_evaluate=1": replace(BREADTH_FIRST, n_evaluate=1),
    "tree_of_thought, n_evaluate=3": replace(BREADTH_FIRST, n_evaluate=3),
    "  depth first, n_evaluate=1": replace(DEPTH_FIRST, n_evaluate=1),
    "  depth first, n_evaluate=3": replace(DEPTH_FIRST, n_evaluate=3),
    "beam_search": BeamSearch(n=16, beam_width=4, num_iterations=4),
    "mcts": Mcts(iterations=5, n_children=4, depth=6),
}


@dataclass(slots=True)
class Instant:
    """A model of no latency: one token, its usage and its end. `#` in its text becomes the call's seed."""

    text: str
    name: str = "instant"
    can: Capabilities = field(default_factory=lambda: Capabilities(seed=True, logprobs=True, prefix=True))

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Say the text as one token."""
        text = self.text.replace("#", str(request.seed))
        yield TokenDelta(text, time.time_ns(), 0, -0.1, ALTERNATIVES)
        yield UsageUpdate(Usage(prompt_tokens=8, output_tokens=1))
        yield Finish("stop", served_model=self.name, logprob_stage="before_sampling")


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        tttlab.configure(traces=folder)
        try:
            _samples(Instant("The answer is 56."))
            # Four steps, a score and a value in one: whatever a tree asks for, it finds, and no step ends it.
            _trees(Instant("Step #\nor #1\nor #2\nor #3. Score: 5, or in a word:\nlikely"))
        finally:
            tttlab.flush()  # Its thread must have written before the folder goes.


def _samples(model: Instant) -> None:
    think = _timed(model, SelfConsistency(samples=SAMPLES))
    best, median = zip(*_times([think, lambda: asyncio.run(_bare(model))]), strict=True)
    print(f"{SAMPLES} samples, completions a second; {TURNS} turns         best    median")
    for index, way in enumerate(("self_consistency, a proposal each", "the same calls bare")):
        print(f"  {way:44s} {SAMPLES / best[index]:10,.0f} {SAMPLES / median[index]:9,.0f}")
    print(f"  {'ratio':44s} {best[1] / best[0]:10.3f} {median[1] / median[0]:9.3f}")
    added = [(through - bare) / SAMPLES * 1e6 for through, bare in (best, median)]
    print(f"  {'added to a completion, in microseconds':44s} {added[0]:10,.0f} {added[1]:9,.0f}")


def _trees(model: Instant) -> None:
    times = _times([_timed(model, strategy) for strategy in TREES.values()])
    print(f"trees, milliseconds a node; {TURNS} turns   nodes   calls a node   best    median   best, a call")
    for (title, strategy), (best, median) in zip(TREES.items(), times, strict=True):
        nodes, calls = _size(model, strategy)
        print(f"  {title:32s} {nodes:10d} {calls / nodes:14.2f}", end="")
        print(f" {best / nodes * 1e3:6.2f} {median / nodes * 1e3:9.2f} {best / calls * 1e3:14.2f}")


def _size(model: Instant, strategy: Strategy) -> tuple[int, int]:
    """How many branches and calls there are in a run: as many in each, since the seed is the same."""
    run = tttlab.think(PROMPT, strategy=strategy, model=model)
    count = tttlab.connect().execute("SELECT count(*) FROM branches WHERE run_id = ?", [run.id])
    [nodes] = count.fetchone() or [0]
    return int(nodes), run.usage.calls


def _timed(model: Instant, strategy: Strategy) -> Way:
    def way() -> float:
        started = time.perf_counter()
        tttlab.think(PROMPT, strategy=strategy, model=model)
        return time.perf_counter() - started

    return way


async def _bare(model: Instant) -> float:
    """Seconds that the calls take by themselves, their event loop's beginning and end left out."""

    async def call(seed: int) -> Completion:
        fold = Fold()
        request = Request(messages=(Message("user", PROMPT),), seed=seed)
        async with aclosing(model.stream(request)) as stream:  # type: ignore[type-var]  # declared as an iterator
            async for event in stream:
                fold.add(event)
        return fold.completion()

    started = time.perf_counter()
    completions = await asyncio.gather(*(call(seed) for seed in range(SAMPLES)))
    taken = time.perf_counter() - started
    if sum(len(completion.tokens) for completion in completions) != SAMPLES:
        raise RuntimeError("the bare calls did not give one token each")
    return taken


def _times(ways: list[Way]) -> list[tuple[float, float]]:
    """The best and the median seconds of each way, which take turns; who goes first changes from turn to turn."""
    taken: list[list[float]] = [[] for _ in ways]
    for turn in range(-1, TURNS):
        for index in range(len(ways)):
            place = (index + turn) % len(ways)
            seconds = ways[place]()
            if turn >= 0:  # The first turn warms up.
                taken[place].append(seconds)
    return [(min(seconds), statistics.median(seconds)) for seconds in taken]


if __name__ == "__main__":
    main()
