"""Errors in a cell as one line: what happened, to what, what to do. No traceback, since the cell holds no code."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from IPython.core.error import UsageError

from tttlab.errors import OptionError, RunFailed, TttlabError
from tttlab.notebook.legible import legible, one_line

_NOT_THE_USERS = tuple(
    {str(Path(__file__).parents[1]), *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))}
)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Errors that tttlab raises on purpose, and interrupts, are shown without a traceback.

    A bad option becomes IPython's `UsageError`.
    """
    failed: TttlabError
    try:
        yield
    except OptionError as error:
        raise UsageError(legible(str(error))) from None
    except UsageError as error:  # The parser's own, which quotes what it was given.
        raise UsageError(legible(str(error))) from None
    except KeyboardInterrupt as interrupt:
        if not hasattr(interrupt, "_render_traceback_"):
            without_traceback(interrupt)
        raise
    except TttlabError as error:
        failed = error
    else:
        return
    # Raised outside of the `except`, since IPython looks through the errors that were being handled meanwhile.
    raise without_traceback(failed, _place_of(failed.__cause__) if isinstance(failed, RunFailed) else "")


def without_traceback(error: BaseException, place: str = "") -> BaseException:
    """The error, to be shown as one line: IPython asks an exception whether it wants to show itself."""
    what = f"{error}{place}"
    said = legible(f"{type(error).__name__}: {what}" if what else type(error).__name__)
    error._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython's protocol for it
    return error


def _place_of(cause: BaseException | None) -> str:
    """Where in the user's own code an error came from; nothing where it came from elsewhere."""
    if cause is None or isinstance(cause, TttlabError):
        return ""
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    if not own:
        return ""
    return f" (line {own[-1].lineno} in {own[-1].name}: {one_line(own[-1].line or '')})"
