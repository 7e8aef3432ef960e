"""Which combinations of options a sweep has, in a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import product
from typing import Any

from tttlab.errors import OptionError


@dataclass(frozen=True, slots=True)
class Grid:
    """Combinations of options, in order: each is a cell of a sweep.

    `+` puts grids one after the other, so that each strategy can have parameters of its own; `*` combines every cell of
    one with every cell of the other. Raises `OptionError` where an option would be given twice.
    """

    cells: tuple[Mapping[str, Any], ...]

    def __add__(self, other: Grid) -> Grid:
        return Grid((*self.cells, *other.cells))

    def __mul__(self, other: Grid) -> Grid:
        for one, another in product(self.cells, other.cells):
            if twice := sorted(set(one) & set(another)):
                raise OptionError(f"the option {twice[0]!r} is given twice: give it in one of the grids")
        return Grid(tuple({**one, **another} for one, another in product(self.cells, other.cells)))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


def grid(**options: Any) -> Grid:
    """Every combination of these options: a list, a tuple or a range is an axis, and any other value is fixed.

        grid(strategy="self_consistency", samples=[4, 16]) + grid(strategy="direct")

    A parameter whose own value is a list stands in a list: `steps=[(3, 8, 16)]`. Raises `OptionError` for an axis
    without values.
    """
    axes = {name: _values(name, value) for name, value in options.items()}
    return Grid(tuple(dict(zip(axes, values, strict=True)) for values in product(*axes.values())))


def _values(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, AbstractSet | Iterator):
        raise OptionError(f"the values of {name!r} have no order of their own: give a list")
    if not isinstance(value, list | tuple | range):
        return (value,)
    if not value:
        raise OptionError(f"the axis {name!r} has no values: give at least one, or leave it out")
    return tuple(value)
