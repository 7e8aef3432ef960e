"""Products of whole numbers, drawn by reasoning-gym: easy to check, and hard enough for a small model."""

from __future__ import annotations

from importlib.util import find_spec

from tttlab.answers import find_extractor
from tttlab.errors import OptionError
from tttlab.types import Problem

_DRAWN_PER_PROBLEM = 8
"""One-digit products repeat: this many are drawn for each different one that is asked for."""


def products(count: int, *, seed: int, digits: int = 1) -> list[Problem]:
    """`count` different products of two numbers of `digits` digits, such as `7 * 8`, with their references.

    The same seed gives the same problems. Raises `OptionError` where there are not so many different ones (there are
    100 of one digit), or where reasoning-gym is not installed.
    """
    if find_spec("reasoning_gym") is None:
        raise OptionError("the task `products` is drawn by reasoning-gym: pip install 'tttlab[lab]'")
    import reasoning_gym

    drawn = reasoning_gym.create_dataset(
        "products",
        min_terms=2,
        max_terms=2,
        min_digits=digits,
        max_digits=digits,
        seed=seed,
        size=_DRAWN_PER_PROBLEM * count,
    )
    found = {entry["metadata"]["expression"]: str(entry["answer"]) for entry in drawn}
    if len(found) < count:
        raise OptionError(f"{count} different products of {digits}-digit numbers are not to be had: ask for fewer")
    return [
        Problem(
            prompt=expression, reference=answer, extractor=find_extractor("last_number"), id=f"products:{expression}"
        )
        for expression, answer in list(found.items())[:count]
    ]
