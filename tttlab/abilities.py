"""What a strategy or a verifier needs of a model and of the user, checked before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial

from tttlab.budget import Budget
from tttlab.errors import OptionError
from tttlab.naming import name_of
from tttlab.protocols import Model, price_of, reports_dollars
from tttlab.types import Sampling

MEANING = {
    "seed": "take a seed",
    "logprobs": "give log-probabilities",
    "prefix": "go on from a partial answer",
    "thinking": "think in a channel of its own",
}
"""The fields of `Capabilities` that may be needed, in words."""
CODE = "code"
"""What is needed of the user: leave to run programs that a model wrote."""
_PAIR = 2


def require_abilities(thing: object, model: Model, *, allow_code: bool) -> None:
    """Raise `OptionError` where `thing`, or a strategy or verifier among its parameters, needs what there is not.

    A class names what it needs in `needs`: fields of `Capabilities`, of which the model must have each (one of those
    in `"prefix|thinking"`), and `code`. A pair of a strategy and a model among the parameters is held to that model;
    where it is only named, it is held to it when it is loaded.
    """
    for needer, ability, asked in _needs(thing, model):
        if ability == CODE:
            require_leave(name_of(needer), allow_code=allow_code)
        elif asked is not None and not any(getattr(asked.can, each) for each in ability.split("|")):
            wanted = " or ".join(MEANING[each] for each in ability.split("|"))
            raise OptionError(f"{name_of(needer)} needs a model that can {wanted}, and {asked.name} cannot")


def require_thinking(sampling: Sampling, model: Model) -> None:
    """Raise `OptionError` where a model cannot think with the effort, or within the budget, that it is to be given."""
    if said := model.can.refusal(sampling.effort, sampling.thinking_budget):
        raise OptionError(f"{model.name} {said}")


def require_readable(prompt: str, model: Model) -> None:
    """Raise `OptionError` where a model that reads prompts of one kind alone says that it cannot read this one."""
    check: Callable[[str], None] | None = getattr(model, "check", None)
    if check is not None:
        check(prompt)


def require_leave(what: str, *, allow_code: bool) -> None:
    """Raise `OptionError` where the user has not allowed programs that a model wrote to be run."""
    if not allow_code:
        raise OptionError(
            f"{what} runs programs that a model wrote, and you have not allowed that: pass allow_code=True, or set it "
            "with tttlab.configure(allow_code=True) or TTTLAB_ALLOW_CODE=1"
        )


def require_price(budget: Budget, model: Model) -> None:
    """Raise `OptionError` where a budget in dollars could not be kept because nobody says what the model costs."""
    if budget.dollars is not None and price_of(model) is None and not reports_dollars(model):
        raise OptionError(
            f"a budget in dollars needs a price, and none is known for {model.name}: give tokens, seconds or calls"
        )


def _needs(thing: object, model: Model | None) -> Iterator[tuple[object, str, Model | None]]:
    """Who needs what, and of which model; None stands for one that is not loaded."""
    own = thing.func if isinstance(thing, partial) else thing
    for ability in getattr(own, "needs", ()):
        yield own, ability, model
    for value in _values(thing):
        for part in value if isinstance(value, tuple) else (value,):
            strategy, asked = part if isinstance(part, tuple) and len(part) == _PAIR else (part, model)
            yield from _needs(strategy, asked if isinstance(asked, Model) else None)


def _values(thing: object) -> list[object]:
    if isinstance(thing, partial):
        return list(thing.keywords.values())
    if is_dataclass(thing) and not isinstance(thing, type):
        return [getattr(thing, item.name) for item in fields(thing)]
    return []
