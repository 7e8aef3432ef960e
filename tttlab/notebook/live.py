"""The live view: a small widget in the place where the result will stand.

It sends what is new, ten times a second at most, and its text is in no state: when the run has ended the lasting result
takes its place, so a stored notebook needs no widget to be read.
"""

# mypy: disable-error-code="no-untyped-call"
# IPython's `display` is untyped.

from __future__ import annotations

import threading
from importlib.resources import files
from typing import Any

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from tttlab.masking import known_secrets, settled
from tttlab.notebook.legible import legible, one_line
from tttlab.notebook.transcript import Said, Transcript
from tttlab.notebook.watching import facts
from tttlab.run import Run

_HERE = files("tttlab.notebook")
WHOLE_AT_FIRST = 20
"""So many messages carry everything, since those that come before the browser has made the view are lost."""


class LiveWidget(anywidget.AnyWidget):
    """What the browser shows while a run goes on."""

    _esm = (_HERE / "live.js").read_text(encoding="utf-8")
    _css = (_HERE / "live.css").read_text(encoding="utf-8")
    opening = traitlets.Dict().tag(sync=True)
    can_stop = traitlets.Bool(default_value=False).tag(sync=True)

    def __repr__(self) -> str:
        return f"thinking: {self.opening['strategy']} · {self.opening['model']}"


class LiveView:
    """Shows a run's news in a notebook; made when there is news, so a run that ends at once shows its result only."""

    def __init__(self, kernel: Any) -> None:
        # To hear the browser while a cell runs a kernel needs subshells.
        self._can_stop = bool(getattr(kernel, "_supports_kernel_subshells", False))
        self._widget: LiveWidget | None = None
        self._handle: DisplayHandle | None = None
        self._sent: dict[int, tuple[int, int]] = {}
        self._messages = 0
        self._asked_for_whole = threading.Event()

    def update(self, transcript: Transcript) -> None:
        """Send what is new."""
        if self._widget is None:
            self._show(transcript)
        if self._messages < WHOLE_AT_FIRST or self._asked_for_whole.is_set():
            self._asked_for_whole.clear()
            self._sent.clear()
            transcript.changed.update(said.number for said in transcript.calls)
        answer = transcript.answer
        assert self._widget is not None  # noqa: S101 - `_show` made it
        self._widget.send(
            {
                "type": "news",
                "facts": facts(transcript),
                "answer": None if answer is None or answer.value is None else one_line(answer.value),
                "confidence": "" if answer is None or answer.confidence is None else f" {answer.confidence:.2f}",
                "calls": [self._news_of(transcript.calls[number - 1]) for number in sorted(transcript.changed)],
            }
        )
        transcript.changed.clear()
        self._messages += 1

    def close(self, run: Run | None) -> bool:
        """Put the run's result in the view's place, or nothing; returns whether the result is now seen."""
        widget, handle = self._widget, self._handle
        self._widget = self._handle = None
        if widget is None or handle is None:
            return False
        if run is None:
            handle.update({}, raw=True)
        else:
            handle.update(run)
        widget.close()
        return run is not None

    def _show(self, transcript: Transcript) -> None:
        started = transcript.started
        assert started is not None  # noqa: S101 - nothing is shown before a run has started
        widget = LiveWidget(
            opening={
                "strategy": one_line(started.strategy),
                "model": one_line(started.model),
                "prompt": legible(started.prompt),
            },
            can_stop=self._can_stop,
        )
        _let_messages_in(widget)

        def heard(_: Any, content: dict[str, Any], __: Any) -> None:
            # Called on another thread: it may set and stop, and nothing else.
            if content.get("type") == "stop":
                started.stop()
            elif content.get("type") == "whole":
                self._asked_for_whole.set()

        widget.on_msg(heard)
        self._widget = widget
        self._handle = display(widget, display_id=True)

    def _news_of(self, said: Said) -> dict[str, Any]:
        thinking, text = self._sent.get(said.number, (0, 0))
        # What may be the beginning of a credential waits until it is known not to be one.
        secrets = known_secrets() if said.status == "running" else ()
        ends = (
            thinking + settled(said.thinking_pieces[thinking:], secrets),
            text + settled(said.text_pieces[text:], secrets),
        )
        self._sent[said.number] = ends
        return {
            "number": said.number,
            "status": said.status,
            "answer": None if said.answer is None else one_line(said.answer),
            "thinking": _pieces(said.thinking_pieces, thinking, ends[0]),
            "text": _pieces(said.text_pieces, text, ends[1]),
        }


def _pieces(pieces: list[str], at: int, to: int) -> dict[str, Any]:
    return {"at": at, "to": to, "text": legible("".join(pieces[at:to]))}


def _let_messages_in(widget: LiveWidget) -> None:
    """Keep messages from the browser where the browser sends them.

    ipykernel 7.4 sends replies on a comm to the shell that last wrote to it, which is the one that is busy with the
    cell, so that a stop would wait for what it is to stop. The subshell that the front end chose is the right one.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _, chosen: chosen  # noqa: SLF001 - there is no public way
