"""Everything that tttlab raises on purpose. Each message says what happened, to what, and what to do.

    TttlabError
    ├── OptionError            an option, a name, a unit or a value that cannot be used; says the nearest valid ones
    ├── ModelError             a model could not be had or could not answer
    │   ├── WeightsError       the file of weights is missing, damaged or could not be fetched
    │   ├── EngineError        the engine itself failed or cannot be loaded
    │   └── CallError          one call failed
    │       └── HostError      a host refused it, failed at it or could not be reached: says which, and what to try
    │           ├── CredentialError     no key, a wrong one, or one that may not do this (401, 403)
    │           ├── UnknownModelError   the host has no such model (404)
    │           ├── ContextLengthError  prompt and output do not fit into the model's context
    │           ├── ParameterError      the host refuses a parameter, or would ignore it
    │           ├── RateLimitError      too much was asked in a time, or the credit is spent (429, 402)
    │           ├── OverloadedError     the host failed or has no room (5xx, 529)
    │           ├── UnreachableError    no connection: the address, the network, the certificate
    │           ├── StalledError        a timeout: no connection, no first token, or silence between tokens
    │           └── BrokenStreamError   the stream ended early or cannot be read; what came before it is kept
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

from tttlab.masking import masked

if TYPE_CHECKING:
    from tttlab.meter import Meter
    from tttlab.run import Run


class TttlabError(Exception):
    """The root of all errors that tttlab raises on purpose. A credential in its words is hidden."""

    def __init__(self, *said: object) -> None:
        super().__init__(*(masked(each) if isinstance(each, str) else each for each in said))


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


class HostError(CallError):
    """A call to a host failed. Says which host and model, its status and words where it gave some, and what to try.

    `retry_after` is in seconds, where the host named a time. `passing` says that the same call may succeed later.
    """

    passing = False
    advice = ""

    def __init__(
        self,
        said: str,
        *,
        provider: str,
        model: str,
        status: int | None = None,
        retry_after: float | None = None,
        advice: str | None = None,
        passing: bool | None = None,
    ) -> None:
        self.provider = provider
        self.model = masked(model)
        self.status = status
        self.said = masked(said)
        self.retry_after = retry_after
        self.advice = self.advice if advice is None else advice
        self.passing = self.passing if passing is None else passing
        code = f" ({status})" if status else ""
        tail = f"; {self.advice}" if self.advice else ""
        super().__init__(f"{provider}:{model}{code}: {said}{tail}")


class CredentialError(HostError):
    """There is no key, it is wrong, or it may not do this."""


class UnknownModelError(HostError):
    """The host has no model of this name."""

    advice = "`tttlab models` lists what it has"


class ContextLengthError(HostError):
    """Prompt and output do not fit into the model's context."""

    advice = "shorten the prompt, or lower max_tokens"


class ParameterError(HostError):
    """The host refuses a parameter of the request, or would ignore one that changes what the answer means."""

    advice = "`tttlab models` says what each model takes"


class RateLimitError(HostError):
    """Too much was asked in a time, or the credit is spent."""

    passing = True
    advice = "lower the rate with tttlab.configure(requests_per_minute=...), or wait"


class OverloadedError(HostError):
    """The host failed, or has no room."""

    passing = True
    advice = "try again later"


class UnreachableError(HostError):
    """No connection to the host could be made, or it broke before anything came."""

    passing = True
    advice = "check the address and the network"


class StalledError(HostError):
    """The host said nothing for too long."""

    passing = True
    advice = "raise the timeout, or try again later"


class BrokenStreamError(HostError):
    """A stream ended without its terminal event, or what it says cannot be read."""

    passing = True
    advice = "what came before it is kept in the trace; try again"


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
