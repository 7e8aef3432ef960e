"""What a run has said so far, call by call, as its news told it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tttlab.progress import CallEnded, CallStarted, Proposed, RunEnded, RunEvent, RunStarted, Streamed
from tttlab.run import Run
from tttlab.types import Answer


@dataclass(slots=True)
class Said:
    """What one call said, in the pieces in which it came.

    `number` counts the calls of its run from 1, in the order in which they began; `status` is `running`, `ok`,
    `failed` or `cancelled`.
    """

    number: int
    role: str = "generator"
    branch: str = ""
    status: str = "running"
    answer: str | None = None
    thinking_pieces: list[str] = field(default_factory=list)
    text_pieces: list[str] = field(default_factory=list)

    @property
    def thinking(self) -> str:
        """Its thinking until now."""
        return "".join(self.thinking_pieces)

    @property
    def text(self) -> str:
        """Its answer's text until now."""
        return "".join(self.text_pieces)


@dataclass(slots=True)
class Transcript:
    """Takes in the news of a run; `changed` holds the numbers of the calls that have news since it was last emptied."""

    started: RunStarted | None = None
    run: Run | None = None
    answer: Answer | None = None
    calls: list[Said] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    _by_span: dict[str, Said] = field(default_factory=dict)

    def take(self, event: RunEvent) -> None:
        """Take in one piece of news."""
        match event:
            case Streamed():
                said = self._by_span[event.span_id]
                pieces = said.thinking_pieces if event.delta.channel == "thinking" else said.text_pieces
                pieces.append(event.delta.text)
                self.changed.add(said.number)
            case CallStarted():
                said = Said(len(self.calls) + 1, event.role, event.branch)
                self.calls.append(said)
                self._by_span[event.span_id] = said
                self.changed.add(said.number)
            case CallEnded():
                said = self._by_span[event.span_id]
                said.status, said.answer = event.status, event.answer
                self.changed.add(said.number)
            case Proposed():
                self.answer = event.answer
            case RunStarted():
                self.started = event
            case RunEnded():
                self.run = event.run
            case _:
                pass

    @property
    def running(self) -> int:
        """How many calls have not ended."""
        return sum(said.status == "running" for said in self.calls)
