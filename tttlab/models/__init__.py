"""Models by name, one engine or wire format a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tttlab.errors import ModelError, OptionError, TttlabError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from tttlab.models.addresses import Place
    from tttlab.protocols import Model
    from tttlab.types import Capabilities


def _smollm2() -> Model:
    from tttlab.models.local import LocalModel

    return LocalModel.smollm2()


def _scripted() -> Model:
    from tttlab.models.scripted import ScriptedModel

    return ScriptedModel()


def _countdown(order: str, *, noisy: bool) -> Model:
    from tttlab.models.countdown import CountdownModel

    return CountdownModel(order, noisy=noisy)


NAMES: dict[str, Callable[[], Model]] = {
    **{
        f"local:countdown{called}{'-noisy' * noisy}": partial(_countdown, order, noisy=noisy)
        for called, order in {"": "dfs", "-best": "best", "-bfs": "bfs"}.items()
        for noisy in (False, True)
    },
    "local:smollm2": _smollm2,
    "smollm2": _smollm2,
    "scripted": _scripted,
}
"""A model that is to have a name of its own has a row here; the import behind it waits until it is asked for."""
ENTRY_POINTS = "tttlab.models"
"""The group in which another package names its models: `acme = "acme_models:model"` is asked for `acme:NAME`."""


_ALIASES = {"smollm2": "local:smollm2"}


def canonical_name(name: str) -> str:
    """The name that the model of this name has when it is loaded, and is recorded with. Raises as `resolve_model`."""
    kind, _, path = name.partition(":")
    if name in NAMES:
        return _ALIASES.get(name, name)
    if kind == "local":
        return f"local:{path.replace(chr(92), '/').rpartition('/')[2]}"
    place = _place(name)
    return place.name if place else name


def resolve_model(model: str | Model, *, can: Mapping[str, Any] | None = None) -> Model:
    """The model of a name. An object passes through.

    `local:countdown`, `local:smollm2`, `local:PATH` (any GGUF file) and `scripted` run here. `anthropic:NAME`,
    `openai:NAME` and so on are hosted; `vllm:NAME@http://127.0.0.1:8000` is a server of yours, and
    `openai-compatible:NAME@URL` any that speaks as OpenAI's does. `tttlab models` lists them. `can` corrects what is
    known of a hosted model's abilities: the fields of `tttlab.types.Capabilities`, such as `can={"logprobs": True}`.

    Raises `OptionError` for a name that there is not, `CredentialError` where there is no key, and `ModelError` where
    the model cannot be had.
    """
    if not isinstance(model, str):
        if not callable(getattr(model, "stream", None)) or not isinstance(getattr(model, "name", None), str):
            raise OptionError(f"{model!r} is not a model: it needs a `name` and a method `stream(request)`")
        _refuse_abilities(can, repr(model))
        return model
    kind, _, path = model.partition(":")
    if model not in NAMES and (place := _place(model)):
        return _hosted(place, can or {})
    _refuse_abilities(can, model)
    if model in NAMES:
        return NAMES[model]()
    if kind == "local" and (path.endswith(".gguf") or "/" in path or "\\" in path):
        from tttlab.models.local import LocalModel

        return LocalModel.from_file(path)
    if kind in entry_points():
        return _of_entry_point(entry_points()[kind], path)
    raise OptionError(f"there is no model {model!r}{_nearest_name(model)}")


@cache
def entry_points() -> dict[str, EntryPoint]:
    """What other packages add, by the word before the colon."""
    from importlib.metadata import entry_points as installed

    return {each.name: each for each in installed(group=ENTRY_POINTS)}


def _place(name: str) -> Place | None:
    """Where a hosted model is; None for a name of another kind. Raises `OptionError` for an address that is none."""
    kind, colon, rest = name.partition(":")
    if not colon or kind == "local":
        return None
    from tttlab.models.addresses import place_of
    from tttlab.models.hosts import hosts

    return place_of(hosts()[kind], rest) if kind in hosts() else None


def _hosted(place: Place, can: Mapping[str, Any]) -> Model:
    from tttlab.models.credentials import Credential
    from tttlab.models.hosted import HostedModel
    from tttlab.models.prices import price_of

    key = Credential.of(place.host)
    key.make_sure()
    return HostedModel(
        place.host,
        place.model,
        name=place.name,
        address=place.address,
        key=key,
        can=_abilities(place, can),
        price=price_of(place.host, place.model, name=place.name),
    )


def _abilities(place: Place, can: Mapping[str, Any]) -> Capabilities:
    from dataclasses import fields, replace

    abilities = place.host.abilities(place.model)
    valid = {item.name: type(getattr(abilities, item.name)) for item in fields(abilities)}
    for name, value in can.items():
        if name not in valid:
            raise OptionError(f"no model has an ability {name!r}{nearest(name, valid)}")
        if not isinstance(value, (tuple, list) if valid[name] is tuple else valid[name]):
            raise OptionError(f"the ability {name} is {valid[name].__name__}, not {value!r:.40}")
    changed: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in can.items()}
    return replace(abilities, **changed)


def _refuse_abilities(can: Mapping[str, Any] | None, model: str) -> None:
    if can:
        raise OptionError(f"the abilities of {model} are its own: `can` corrects those of hosted models")


def _of_entry_point(entry: EntryPoint, name: str) -> Model:
    package = entry.dist.name if entry.dist else entry.value
    try:
        model = entry.load()(name)
    except TttlabError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise ModelError(f"{entry.name}:{name}: the package {package} failed ({said})") from error
    return resolve_model(model)


def _nearest_name(name: str) -> str:
    """The tail of the error: the nearest names there are, or the host that knows such a model."""
    from tttlab.models.hosts import hosts

    kind, colon, rest = name.partition(":")
    kinds = [*hosts(), *entry_points(), "local"]
    if colon and kind not in kinds and (close := get_close_matches(kind.lower(), kinds, n=1)):
        return f"; did you mean {f'{close[0]}:{rest}'!r}?"
    if not colon and (held := [f"{each.name}:{name}" for each in hosts().values() if each.row(name).pattern != "*"]):
        return nearest(name, held)
    tail = nearest(name, [*NAMES, "local:PATH.gguf", *(f"{each}:NAME" for each in [*hosts(), *entry_points()])])
    return tail if "did you mean" in tail else ": write HOST:NAME; `tttlab models` lists the hosts"
