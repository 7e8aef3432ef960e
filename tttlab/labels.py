"""Labels of a run: what it is part of, such as a sweep and its place there."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tttlab.errors import OptionError

Label = str | int | float | bool


def checked_labels(labels: Mapping[str, Label] | None) -> dict[str, Label]:
    """The labels, each a name with a text, a number or a truth value. Raises `OptionError` for others."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise OptionError(f"labels={labels!r:.60} are none: give a dict, such as {{'sweep': 'pilot'}}")
    for name, value in labels.items():
        if not isinstance(name, str) or not name:
            raise OptionError(f"a label is named by a text, not {name!r:.60}")
        if not isinstance(value, Label) or (isinstance(value, float) and not math.isfinite(value)):
            raise OptionError(f"the label {name!r} is {value!r:.60}: give a text, a finite number, True or False")
    return dict(labels)
