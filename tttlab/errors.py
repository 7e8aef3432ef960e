"""Everything that tttlab raises on purpose. Each message says what happened, to what, and what to do.

    TttlabError
    ├── OptionError            an option, a name, a unit or a value that cannot be used; says the nearest valid ones
    ├── ModelError             a model could not be had or could not answer
    │   ├── WeightsError       the file of weights is missing, damaged or could not be fetched
    │   ├── EngineError        the engine itself failed or cannot be loaded
    │   └── CallError          one call failed
    ├── BudgetExhausted        a call was refused because its budget is spent; ends the run with its best answer
    ├── MissingCall            a call is not recorded, and only what is recorded may be served
    ├── ReplayDiffers          a replay went another way than its record, and cannot go on
    ├── SandboxError           this system can run no program apart from the user's own
    ├── StoreError             the store could not be opened, read or written
    │   └── QueryError         a SQL statement failed; carries DuckDB's message with the place in the statement
    └── RunFailed              a run ended with an error; its cause is chained and the partial run is in `.run`

Apart from these, `KeyboardInterrupt` passes through, after the run was stopped and kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tttlab.meter import Meter
    from tttlab.run import Run


class TttlabError(Exception):
    """The root of all errors that tttlab raises on purpose."""


class OptionError(TttlabError, ValueError):
    """An option, name, unit or value cannot be used."""


class ModelError(TttlabError):
    """A model could not be had, or could not answer."""


class WeightsError(ModelError):
    """The file of a model's weights is missing, damaged, or could not be fetched."""


class EngineError(ModelError):
    """The engine that runs a local model cannot be loaded, or failed."""


class CallError(ModelError):
    """One model call failed."""


class BudgetExhausted(TttlabError):
    """A call was refused because a budget that it would be charged to is spent; `meter` is that budget's."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(f"the budget of {meter.budget} is spent ({meter.exhausted})")
        self.meter = meter


class MissingCall(TttlabError):
    """A call that only the record may answer is not recorded."""


class ReplayDiffers(TttlabError):
    """A replay went another way than what was recorded, where the record ends."""


class SandboxError(TttlabError):
    """This system cannot run a program in a process of its own."""


class StoreError(TttlabError):
    """The store could not be opened, read or written."""


class QueryError(StoreError):
    """A SQL statement failed."""


class RunFailed(TttlabError):
    """A run ended with an error. `run` holds what it had until then; the cause is chained."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


def nearest(word: str, valid: Iterable[str]) -> str:
    """The tail of a message about an unknown word: the nearest valid ones, or all if there are few.

    Empty if nothing is valid; else it begins with `": "` or `"; "` and ends without a full stop.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(repr(name) for name in close)}?"
    return f"; there are: {', '.join(names)}" if names else ""
