"""What a strategy or a verifier needs of a model and of the user, checked before anything is spent."""

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
CODE = "code"
"""What is needed of the user: leave to run programs that a model wrote."""


def require_abilities(thing: object, model: Model, *, allow_code: bool) -> None:
    """Raise `OptionError` where `thing`, or a strategy or verifier among its parameters, needs what there is not.

    A class names what it needs in `needs`: fields of `Capabilities`, which the model must have, and `code`.
    """
    for needer, ability in _needs(thing):
        if ability == CODE:
            require_leave(name_of(needer), allow_code=allow_code)
        elif not getattr(model.can, ability):
            raise OptionError(f"{name_of(needer)} needs a model that can {MEANING[ability]}, and {model.name} cannot")


def require_leave(what: str, *, allow_code: bool) -> None:
    """Raise `OptionError` where the user has not allowed programs that a model wrote to be run."""
    if not allow_code:
        raise OptionError(
            f"{what} runs programs that a model wrote, and you have not allowed that: pass allow_code=True, or set it "
            "with tttlab.configure(allow_code=True) or TTTLAB_ALLOW_CODE=1"
        )


def _needs(thing: object) -> Iterator[tuple[object, str]]:
    for ability in getattr(thing, "needs", ()):
        yield thing, ability
    if is_dataclass(thing) and not isinstance(thing, type):
        for item in fields(thing):
            value = getattr(thing, item.name)
            for part in value if isinstance(value, tuple) else (value,):
                yield from _needs(part)
