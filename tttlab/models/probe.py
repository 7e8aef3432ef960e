"""Run as a program: load a GGUF file, generate a little, print tokens a second.

A native abort kills only this process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tttlab.errors import ModelError
from tttlab.models.llama import Chunk, LlamaServer

TOKENS = 24


def main(model: Path, threads: int) -> float:
    """Tokens a second of one short generation. Raises `ModelError`."""
    server = LlamaServer(model, slots=1, context=512, threads=threads)
    errors: list[Chunk] = []

    def take(chunk: Chunk) -> bool:
        if "error" in chunk:
            errors.append(chunk["error"])
        return False

    body = {"prompt": "Once upon a time", "max_tokens": TOKENS, "seed": 0, "ignore_eos": True, "stream": True}
    started = time.perf_counter()
    server.complete(body, take)
    taken = time.perf_counter() - started
    if errors:
        sys.exit(f"the engine loaded {model} and could not generate: {errors[0].get('message')}")
    return TOKENS / taken


if __name__ == "__main__":
    try:
        print(main(Path(sys.argv[1]), int(sys.argv[2])))  # noqa: T201 - its output is its result
    except ModelError as error:
        sys.exit(str(error))
