"""Where the names of points can stand without covering each other, as pure arithmetic on pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_LETTER, _LINE, _POINT, _GAP = 6.4, 14.0, 5.0, 8.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name stands: its middle line's height, and the side of its point that it is on."""

    x: float
    y: float
    align: str
    """`left`, `right` or `center`: which part of the text is at `x`."""


def label_places(
    names: Sequence[str], points: Sequence[tuple[float, float]], boxes: Sequence[Box], size: Box
) -> list[Place | None]:
    """A place for the name of each point, in this order of importance; None for one that would cover something.

    `points` are in pixels. Neither they nor the `boxes` are covered, and no name leaves `size`.
    """
    taken = [*boxes, *(around(x, y) for x, y in points)]
    places: list[Place | None] = []
    for name, (x, y) in zip(names, points, strict=True):
        own = around(x, y)
        found = None
        for place in _candidates(x, y):
            box = _box(place, _LETTER * len(name))
            if _inside(box, size) and not any(_overlap(box, other) for other in taken if other != own):
                taken.append(box)
                found = place
                break
        places.append(found)
    return places


def _candidates(x: float, y: float) -> Iterator[Place]:
    """Above left first: of a frontier that rises to the right that side is empty."""
    for far in (1.0, 1.8, 2.8):
        up = 10 * far
        yield Place(x - 2, y - up, "right")
        yield Place(x, y - up - 3, "center")
        yield Place(x + _GAP * far, y, "left")
        yield Place(x + _GAP, y + up, "left")
        yield Place(x - _GAP * far, y, "right")
        yield Place(x, y + up + 4, "center")


def _box(place: Place, width: float) -> Box:
    left = {"left": place.x, "right": place.x - width, "center": place.x - width / 2}[place.align]
    return left, place.y - _LINE / 2, left + width, place.y + _LINE / 2


def around(x: float, y: float) -> Box:
    """The box of a point."""
    return x - _POINT, y - _POINT, x + _POINT, y + _POINT


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: Box, size: Box) -> bool:
    return box[0] >= size[0] and box[1] >= size[1] and box[2] <= size[2] and box[3] <= size[3]
