"""tttlab: a Jupyter-native lab for test-time compute.

In a notebook: `%load_ext tttlab`, then `%%think` and `%%traces`. From Python: `think`, `athink`, `connect`.
Names are imported when they are first used, so that loading the extension stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tttlab.allocation import Allocation as Allocation
    from tttlab.allocation import aallocate as aallocate
    from tttlab.allocation import allocate as allocate
    from tttlab.budget import Budget as Budget
    from tttlab.errors import TttlabError as TttlabError
    from tttlab.experiments.sweeps import grid as grid
    from tttlab.experiments.sweeps import sweep as sweep
    from tttlab.experiments.task import Task as Task
    from tttlab.models import resolve_model
    from tttlab.models.scripted import ScriptedModel as ScriptedModel
    from tttlab.notebook import load_ipython_extension as load_ipython_extension
    from tttlab.notebook import unload_ipython_extension as unload_ipython_extension
    from tttlab.options import configure as configure
    from tttlab.protocols import Model as Model
    from tttlab.protocols import Strategy as Strategy
    from tttlab.protocols import Think as Think
    from tttlab.protocols import Verifier as Verifier
    from tttlab.recording import connect as connect
    from tttlab.recording import flush as flush
    from tttlab.recording import tracer_provider as tracer_provider
    from tttlab.run import Run as Run
    from tttlab.thinking import athink as athink
    from tttlab.thinking import think as think
    from tttlab.types import Answer as Answer
    from tttlab.types import Completion as Completion
    from tttlab.types import Message as Message
    from tttlab.types import Problem as Problem
    from tttlab.types import Usage as Usage
    from tttlab.types import Verdict as Verdict

    model = resolve_model

_HOMES = {
    "Allocation": "allocation",
    "Answer": "types",
    "Budget": "budget",
    "Completion": "types",
    "Message": "types",
    "Model": "protocols",
    "Problem": "types",
    "Run": "run",
    "ScriptedModel": "models.scripted",
    "Strategy": "protocols",
    "Task": "experiments.task",
    "Think": "protocols",
    "TttlabError": "errors",
    "Usage": "types",
    "Verdict": "types",
    "Verifier": "protocols",
    "aallocate": "allocation",
    "allocate": "allocation",
    "athink": "thinking",
    "configure": "options",
    "connect": "recording",
    "flush": "recording",
    "grid": "experiments.sweeps",
    "load_ipython_extension": "notebook",
    "sweep": "experiments.sweeps",
    "think": "thinking",
    "tracer_provider": "recording",
    "unload_ipython_extension": "notebook",
}
_RENAMED = {"model": ("models", "resolve_model")}
__all__ = sorted([*_HOMES, *_RENAMED])  # noqa: PLE0605 - one table of names, not two


def __getattr__(name: str) -> Any:
    home, attribute = _RENAMED.get(name, (_HOMES.get(name, ""), name))
    if not home:
        raise AttributeError(f"module 'tttlab' has no attribute {name!r}")
    return getattr(import_module(f"tttlab.{home}"), attribute)


def __dir__() -> list[str]:
    return __all__
