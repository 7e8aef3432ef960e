"""A task: problems that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tttlab.errors import OptionError
from tttlab.types import Problem


@dataclass(frozen=True, slots=True)
class Task:
    """Problems under one name, each with its reference or its check, and an id that no other one has.

    Raises `OptionError` where there are no problems, or where two have one id.
    """

    name: str
    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self.problems))
        if not self.problems:
            raise OptionError(f"the task {self.name!r} has no problems")
        seen = Counter(problem.id for problem in self.problems)
        if twice := [identity for identity, times in seen.items() if times > 1]:
            places = [place for place, problem in enumerate(self.problems) if problem.id == twice[0]]
            raise OptionError(
                f"problems {', '.join(map(str, places[:5]))} of the task {self.name!r} all have the id {twice[0]!r:.80}"
                f"{f', and {len(twice) - 1} other ids are there twice' if len(twice) > 1 else ''}: each needs its own"
            )

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    def __len__(self) -> int:
        return len(self.problems)

    def first(self, count: int) -> Task:
        """The first `count` problems. Raises `OptionError` where there are fewer."""
        if not 1 <= count <= len(self):
            raise OptionError(f"the task {self.name!r} has {len(self):,} problems, and not {count:,}")
        return replace(self, problems=self.problems[:count])
