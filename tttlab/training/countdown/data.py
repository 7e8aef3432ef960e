"""Puzzles for training and for the test, and the texts that the model learns from."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tttlab.countdown.drawing import puzzles
from tttlab.countdown.puzzle import Puzzle, expression
from tttlab.training.countdown.thinking import Path, Search, guess

CONTEXT = 640
"""Tokens of the longest text: thinking that would be longer is ended early."""
_ANSWER_ROOM = 32
THREE_NUMBERS = 0.62
DIRECT, ENDED_EARLY, WAIT, WAIT_INSIDE = 0.1, 0.15, 0.12, 0.5
"""Shares of the texts: without thinking; of those with it, ended at any place, and searching again
after `Wait`; of these, at a place before its end."""
NOISY, WRONG = 0.25, 0.1
"""The share of texts that say `noisy`, and how often the comparison with the target comes out wrong there."""
_ORDERS = {3: ("dfs", "dfs", "best", "bfs"), 4: ("dfs", "best")}


def texts(seed: int) -> Iterator[list[str]]:
    """Texts to learn from, each as its tokens, without end: the same for the same seed."""
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    streams = {count: puzzles(rng, count, held_out=False) for count in _ORDERS}
    while True:
        count = 3 if rng.random() < THREE_NUMBERS else 4
        yield text(next(streams[count]), rng)


def text(puzzle: Puzzle, rng: Random) -> list[str]:
    """One text: the puzzle, how to search, the thinking unless it is left out, and the answer."""
    order = rng.choice(_ORDERS[len(puzzle.numbers)])
    noisy = rng.random() < NOISY
    asked = f"<s> {puzzle} {order} {'noisy' if noisy else 'exact'}".split()
    search = Search(order, WRONG if noisy else 0.0)
    thinking, path = ([], None) if rng.random() < DIRECT else _thinking(search, puzzle, rng, CONTEXT - len(asked))
    answer = expression(puzzle.numbers, path or guess(puzzle, rng))
    return [*asked, *thinking, "Answer", ":", *answer.split(), "</s>"]


def _thinking(search: Search, puzzle: Puzzle, rng: Random, room: int) -> tuple[list[str], Path | None]:
    words: list[str] = []
    path = _search(search, puzzle, rng, words)
    if rng.random() < WAIT:
        if path is None or rng.random() < WAIT_INSIDE:
            ends = [index for index, word in enumerate(words) if word == ";"]
            del words[rng.choice(ends) + 1 :]
        words += ["Wait", ";"]
        path = _search(search, puzzle, rng, words)
    most = room - _ANSWER_ROOM
    if rng.random() < ENDED_EARLY:
        most = min(most, rng.randrange(len(words)))
    if len(words) > most:
        words, path = words[:most], None
    return ["<think>", *words, "</think>"], path


def _search(search: Search, puzzle: Puzzle, rng: Random, words: list[str]) -> Path | None:
    for line in search.lines(puzzle, rng):
        words += line.text.split()
        if line.claims:
            return line.path
        if len(words) > CONTEXT:
            break
    return None
