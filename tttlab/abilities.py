"""What a strategy or a verifier needs of a model, checked before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from tttlab.errors import OptionError
from tttlab.naming import name_of
from tttlab.protocols import Model

MEANING = {
    "seed": "take a seed",
    "logprobs": "give log-probabilities",
    "prefix": "go on from a partial answer",
    "thinking": "think in a channel of its own",
}
"""The fields of `Capabilities` that may be needed, in words."""


def require_abilities(thing: object, model: Model) -> None:
    """Raise `OptionError` where `thing`, or a strategy or verifier among its parameters, needs what `model` cannot do.

    A class names what it needs in `needs`, a tuple of fields of `Capabilities`.
    """
    for needer, ability in _needs(thing):
        if not getattr(model.can, ability):
            raise OptionError(f"{name_of(needer)} needs a model that can {MEANING[ability]}, and {model.name} cannot")


def _needs(thing: object) -> Iterator[tuple[object, str]]:
    for ability in getattr(thing, "needs", ()):
        yield thing, ability
    if is_dataclass(thing) and not isinstance(thing, type):
        for item in fields(thing):
            value = getattr(thing, item.name)
            for part in value if isinstance(value, tuple) else (value,):
                yield from _needs(part)
