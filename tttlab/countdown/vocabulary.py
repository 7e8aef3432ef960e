"""The model's tokens: a word each. Numbers first by value, so that a token's id says nothing else."""

from __future__ import annotations

from tttlab.countdown.puzzle import LARGEST

MARKS = (
    *("<pad>", "<s>", "</s>", "<think>", "</think>"),
    *("->", "+", "-", "*", "/", "=", ":", ";", "x", "!", "?", "(", ")"),
    *("Answer", "Wait", "dfs", "bfs", "best", "exact", "noisy"),
)
WORDS = (*MARKS, *map(str, range(LARGEST + 1)))
ID = {word: number for number, word in enumerate(WORDS)}
