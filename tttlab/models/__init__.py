"""Models by name, one engine or wire format a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tttlab.errors import OptionError, nearest

if TYPE_CHECKING:
    from tttlab.protocols import Model


def _smollm2() -> Model:
    from tttlab.models.local import LocalModel

    return LocalModel.smollm2()


def _scripted() -> Model:
    from tttlab.models.scripted import ScriptedModel

    return ScriptedModel()


NAMES: dict[str, Callable[[], Model]] = {
    "local:smollm2": _smollm2,
    "smollm2": _smollm2,
    "scripted": _scripted,
}
"""A model that is to have a name of its own has a row here; the import behind it waits until it is asked for."""


_ALIASES = {"smollm2": "local:smollm2"}


def canonical_name(name: str) -> str:
    """The name that the model of this name has when it is loaded, and is recorded with."""
    kind, _, path = name.partition(":")
    if kind == "local" and name not in NAMES:
        return f"local:{path.replace(chr(92), '/').rpartition('/')[2]}"
    return _ALIASES.get(name, name)


def resolve_model(model: str | Model) -> Model:
    """The model of a name: `local:smollm2`, `local:PATH` (any GGUF file), `scripted`. An object passes through.

    Raises `OptionError` for a name that there is not, and `ModelError` where the model cannot be had.
    """
    if not isinstance(model, str):
        if not callable(getattr(model, "stream", None)) or not isinstance(getattr(model, "name", None), str):
            raise OptionError(f"{model!r} is not a model: it needs a `name` and a method `stream(request)`")
        return model
    if model in NAMES:
        return NAMES[model]()
    kind, _, path = model.partition(":")
    if kind == "local" and (path.endswith(".gguf") or "/" in path or "\\" in path):
        from tttlab.models.local import LocalModel

        return LocalModel.from_file(path)
    raise OptionError(f"there is no model {model!r}{nearest(model, [*NAMES, 'local:PATH.gguf'])}")
