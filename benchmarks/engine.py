"""The embedded model through `think`, every token recorded, beside what xllamacpp gives bare, in tokens a second.

Bare twice: asked for the same columns (ids, log-probabilities, alternatives), and for text alone. The three take turns
with the same seeds, so with the same tokens, and a ratio is taken within each turn, since a machine's speed drifts. The
last column is the share of a core that recording takes at that speed, from arrival to the encoded segment.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tttlab
from benchmarks.recording import tokens, whole_path
from tttlab.models.local import LocalModel
from tttlab.protocols import Think
from tttlab.types import Answer, Message, Problem

PARALLEL = (1, 8, 16)
NEW_TOKENS = 64
TURNS = 9
ALTERNATIVES = 5
PROMPT = "Write a long story about a ship, its crew, and the island that they found. " * 6

Way = Callable[[], float]


def main() -> None:
    """Print a table: one line a number of parallel samples."""
    model = tttlab.model("local:smollm2")
    if not isinstance(model, LocalModel):
        raise TypeError("local:smollm2 is not a local model")
    server = model._engine._server  # noqa: SLF001 - the bare engine is the thing to compare with
    prompt = server.render([Message("user", PROMPT)])
    recording, _ = whole_path(tokens(ALTERNATIVES))
    print(f"{model!r}: {len(prompt)} prompt tokens, {NEW_TOKENS} new ones a sample, median of {TURNS} turns")
    print("parallel   think   bare, same columns   ratio   bare, text only   ratio   recording")
    with tempfile.TemporaryDirectory() as folder:
        tttlab.configure(traces=folder)
        for n in PARALLEL:
            think = _through_think(model, n)
            think()
            seed = _first_seed(Path(folder))
            ways = [think, *(_bare(server.complete, prompt, n, seed, columns) for columns in (ALTERNATIVES, 0))]
            print(_line(n, _turns(ways), recording), flush=True)


def _turns(ways: list[Way]) -> list[list[float]]:
    for way in ways:
        way()
    turns = []
    for turn in range(TURNS):
        # Who goes first changes from turn to turn.
        speeds = {index: ways[index]() for index in [(index + turn) % len(ways) for index in range(len(ways))]}
        turns.append([speeds[index] for index in range(len(ways))])
    return turns


def _line(n: int, turns: list[list[float]], recording: float) -> str:
    think, same, text = (statistics.median(turn[index] for turn in turns) for index in range(3))
    to_same = statistics.median(turn[0] / turn[1] for turn in turns)
    to_text = statistics.median(turn[0] / turn[2] for turn in turns)
    share = recording * think / 1e6
    return f"{n:8d} {think:7.0f} {same:20.0f} {to_same:7.3f} {text:17.0f} {to_text:7.3f} {share:10.2%}"


def _through_think(model: LocalModel, n: int) -> Way:
    async def sample(problem: Problem, think: Think) -> Answer:
        await think.complete(problem.prompt, n=n, temperature=0.8, max_tokens=NEW_TOKENS, logprobs=ALTERNATIVES)
        return think.propose("done")

    def run() -> float:
        started = time.perf_counter()
        done = tttlab.think(PROMPT, strategy=sample, model=model)
        return done.usage.output_tokens / (time.perf_counter() - started)

    return run


def _first_seed(traces: Path) -> int:
    [seed] = tttlab.connect(traces).execute("SELECT min(seed) FROM calls").fetchone() or [0]
    return int(seed)


def _bare(complete: Callable[..., None], prompt: list[int], n: int, seed: int, alternatives: int) -> Way:
    body: dict[str, Any] = {
        "prompt": prompt,
        "n": n,
        "id_slot": 0,
        "stream": True,
        "max_tokens": NEW_TOKENS,
        "temperature": 0.8,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": seed,
        "n_probs": alternatives,
    }

    def run() -> float:
        given: list[int] = []

        def take(chunk: dict[str, Any]) -> bool:
            if "usage" in chunk:
                given.append(chunk["usage"]["completion_tokens"])
            return False

        started = time.perf_counter()
        complete(body, take)
        return sum(given) / (time.perf_counter() - started)

    return run


if __name__ == "__main__":
    main()
