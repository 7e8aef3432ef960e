"""Labels find room by arithmetic: none covers another, and all stay in order."""

from itertools import combinations, pairwise

import pytest

from tttlab.charts.axes import compute_domain, log_ticks, share_ends, whole_ticks
from tttlab.charts.label_places import label_places
from tttlab.charts.share_lines import spread

SIZE = (0.0, 0.0, 500.0, 300.0)


@pytest.mark.parametrize("places", [[10, 12, 14], [0, 0, 0, 0], [290, 299, 300], [5, 150, 152, 295], [100]])
def test_names_at_lines_ends_are_a_line_apart_in_their_order_and_inside(places):
    moved = spread(places, 300)
    assert all(after - before >= 14 - 1e-9 for before, after in pairwise(sorted(moved)))
    assert [moved[index] for index in sorted(range(len(places)), key=lambda each: places[each])] == sorted(moved)
    assert min(moved) >= 0
    assert max(moved) <= 300 + 1e-9


def test_names_with_room_stay_where_their_lines_end():
    assert spread([20.0, 100.0], 300) == [20.0, 100.0]


def test_names_of_points_cover_no_point_and_no_other_name():
    points = [(100.0 + 12 * step, 200.0 - 8 * step) for step in range(8)]
    names = [f"policy at {step}" for step in range(8)]
    placed = label_places(names, points, [(0, 150, 90, 170)], SIZE)
    boxes = [_box(place, name) for place, name in zip(placed, names, strict=True) if place]
    assert len(boxes) >= 3
    assert not any(_overlap(one, other) for one, other in combinations([*boxes, (0, 150, 90, 170)], 2))
    assert not any(left < x < right and top < y < bottom for left, top, right, bottom in boxes for x, y in points)


def test_a_name_without_room_is_left_out():
    assert label_places(["a name that is far too long for it"], [(10.0, 10.0)], [], (0, 0, 60, 40)) == [None]


def _box(place, name):
    width = 6.4 * len(name)
    left = {"left": place.x, "right": place.x - width, "center": place.x - width / 2}[place.align]
    return left, place.y - 7, left + width, place.y + 7


def _overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_ticks_are_round_few_and_inside():
    assert log_ticks(64, 8192) == [100, 200, 500, 1000, 2000, 5000]
    assert log_ticks(1, 1e12) == [1, 100, 1e4, 1e6, 1e8, 1e10, 1e12]
    assert log_ticks(110, 190) == [110, 190]
    assert whole_ticks(-22, 28) == [-20, -10, 0, 10, 20]
    assert whole_ticks(0, 2) == [0, 1, 2]


def test_axes_hold_what_they_are_given():
    assert share_ends([0.43, None, 0.81, float("nan")]) == (0.4, 0.9)
    assert share_ends([0.3, 0.3]) == (0.2, 0.4)
    assert share_ends([]) == (0, 1)
    low, high = compute_domain([100, 1000, 0])
    assert low < 100
    assert high > 1000
    assert compute_domain([5]) == pytest.approx((5 / 1.5, 7.5))
