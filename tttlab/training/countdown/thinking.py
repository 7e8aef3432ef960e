"""Searches written out as text: what the model learns to think. After Gandhi et al., Stream of Search (2024).

A step inside a search shows the position it leads to, `12 + 4 = 16 : 16 9 ;`, and a last step is held against the
target, `16 - 9 = 7 ? 24 x ;`, or `!` where it is reached. Going back is a step from an earlier position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tttlab.countdown.puzzle import Puzzle, Step, moves, targets

Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of thinking. `path` leads to its position, and `claims` says that it is held to be the target."""

    text: str
    path: Path
    claims: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """How to search: `order` is `dfs` (any child next), `best` (the one nearest to the target next) or `bfs`.

    `wrong` is the share of last steps whose comparison with the target comes out wrong.
    """

    order: str
    wrong: float = 0.0

    def lines(self, puzzle: Puzzle, rng: Random) -> Iterator[Line]:
        """The search, until a line claims the target, or until there is nothing more to try."""
        walk = self._breadth_first if self.order == "bfs" else self._depth_first
        for line in walk(puzzle, puzzle.numbers, (), rng):
            yield line
            if line.claims:
                return

    def _depth_first(self, puzzle: Puzzle, position: tuple[int, ...], path: Path, rng: Random) -> Iterator[Line]:
        for step, after in self._children(puzzle, position, rng):
            yield self._line(puzzle, (*path, step), after, rng)
            if len(after) > 1:
                yield from self._depth_first(puzzle, after, (*path, step), rng)

    def _breadth_first(self, puzzle: Puzzle, position: tuple[int, ...], path: Path, rng: Random) -> Iterator[Line]:
        level = [(position, path)]
        while level:
            below = []
            for here, before in level:
                for step, after in self._children(puzzle, here, rng):
                    yield self._line(puzzle, (*before, step), after, rng)
                    if len(after) > 1:
                        below.append((after, (*before, step)))
            level = below

    def _children(self, puzzle: Puzzle, position: tuple[int, ...], rng: Random) -> list[tuple[Step, tuple[int, ...]]]:
        children = list(moves(position))
        rng.shuffle(children)
        if self.order == "best":
            children.sort(key=lambda child: abs(child[0].result - puzzle.target))
        return children

    def _line(self, puzzle: Puzzle, path: Path, after: tuple[int, ...], rng: Random) -> Line:
        step = path[-1]
        if len(after) > 1:
            return Line(f"{step} : {' '.join(map(str, after))} ;", path)
        claims = (step.result == puzzle.target) != (rng.random() < self.wrong)
        return Line(f"{step} ? {puzzle.target} {'!' if claims else 'x'} ;", path, claims)


def guess(puzzle: Puzzle, rng: Random) -> Path:
    """Some way to the target. Raises `ValueError` where there is none."""
    position = puzzle.numbers
    path: Path = ()
    while len(position) > 1:
        ways = [move for move in moves(position) if puzzle.target in targets(tuple(sorted(move[1])))]
        if not ways:
            raise ValueError(f"{puzzle} cannot be solved")
        step, position = rng.choice(ways)
        path = (*path, step)
    return path
