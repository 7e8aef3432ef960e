"""The live view of a terminal: one line that is written over, and taken away when the run has ended."""

from __future__ import annotations

import shutil
from typing import TextIO

from tttlab.notebook.legible import cut, one_line
from tttlab.notebook.transcript import Transcript
from tttlab.notebook.watching import facts
from tttlab.run import Run

_CLEAR_LINE = "\r\x1b[K"


class StatusLine:
    """Shows how far a run is on one line of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def update(self, transcript: Transcript) -> None:
        """Write the line anew."""
        started = transcript.started
        said = [started.strategy, *facts(transcript)] if started else []
        if transcript.answer and transcript.answer.value is not None:
            said.append(f"best answer {one_line(transcript.answer.value)}")
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_CLEAR_LINE + cut(" · ".join(said), width))
        self._stream.flush()

    def close(self, run: Run | None) -> bool:  # noqa: ARG002 - the result is for others to print
        """Take the line away; the result is not shown here."""
        self._stream.write(_CLEAR_LINE)
        self._stream.flush()
        return False
