"""What there is to say of a run that has ended, in sentences, for its display as text and as HTML."""

from __future__ import annotations

from pathlib import Path

from tttlab.answers import EXTRACTORS
from tttlab.notebook.legible import counted, dollars_said, legible, one_line, seconds_said
from tttlab.recording import recorder_for
from tttlab.run import Run

SPLIT = 2
"""From this many answers on, it says something that no two are the same."""
SHOWN_NOTES = 3
_WHOLE_TEXTS = frozenset({"final_answer", "last_line", "whole_text"})
_LAST_NUMBER = EXTRACTORS["last_number"]


def verdict(run: Run) -> str | None:
    """Whether the answer is right, where that is known."""
    if run.correct is None:
        return None
    return "correct" if run.correct else f"wrong: it is {one_line(run.problem.reference or '')}"


def ending(run: Run) -> str | None:
    """Why the run ended as it did, where it did not end by itself with an answer."""
    kept = "this is the best answer until then" if run.answer is not None else "there was no answer until then"
    if run.status == "budget":
        return f"The budget of {run.budget} is spent: {kept}."
    if run.status == "stopped":
        return f"Stopped: {kept}."
    if run.status == "failed":
        return f"Failed: {legible(run.error or 'without a word')}"
    return None if run.answer is not None else "The strategy proposed no answer."


def votes(run: Run) -> list[tuple[str, float]]:
    """The votes for each candidate of the last proposal, most first; empty where nothing was voted on."""
    last = run.curve[-1].votes if run.curve else None
    return sorted(((one_line(value), weight) for value, weight in (last or {}).items()), key=lambda vote: -vote[1])


def disagreement(run: Run) -> str | None:
    """Why a vote may have found no majority, where no two answers are the same and whole texts were compared."""
    tally = run.curve[-1].votes if run.curve else None
    if not tally or len(tally) < SPLIT or set(tally.values()) != {1} or run.problem.extractor.name not in _WHOLE_TEXTS:
        return None
    numbers = [_LAST_NUMBER(candidate) for candidate in tally]
    if all(candidate == number for candidate, number in zip(tally, numbers, strict=True)):
        return None  # They are numbers already, and differ.
    said = f"No two of {len(tally)} answers agree, and they were compared as whole texts: "
    if sum(number is not None for number in numbers) >= SPLIT:
        return f"{said}--extract last_number compares their last numbers only."
    return f"{said}ask for a form of the answer, and give --extract the rule that finds it (choice, boxed, regex:...)."


def spent(run: Run) -> list[str]:
    """What the run cost."""
    usage = run.usage
    tokens = counted(usage.tokens, "token")
    if usage.thinking_tokens:
        tokens += f" ({usage.thinking_tokens:,} thinking)"
    said = [tokens, counted(usage.calls, "call"), seconds_said(run.seconds)]
    if usage.dollars:
        said.append(dollars_said(usage.dollars))
    return said


def replayed(run: Run) -> str | None:
    """How much of the run was served from its record."""
    if not run.replayed:
        return None
    new = 0 if run.new is None else run.new.tokens
    of, more = counted(run.usage.calls, "call"), counted(new, "new token")
    return f"replayed {run.replayed} of {of}, {more} (--replay off samples again)"


def asked(run: Run) -> list[str]:
    """What ran on what."""
    given = ", ".join(f"{name}={one_line(str(value))}" for name, value in run.parameters.items())
    return [f"{run.strategy}({given})" if given else run.strategy, one_line(run.model), f"seed {run.seed}"]


def noted(run: Run) -> list[str]:
    """What a reader should know of its calls: the first few things, and how many more there are."""
    said = [f"Note: {legible(one_line(note))}" for note in run.notes[:SHOWN_NOTES]]
    left_out = len(run.notes) - SHOWN_NOTES
    return [*said, *([f"{counted(left_out, 'more note')}: see notes in calls"] if left_out > 0 else [])]


def where(run: Run) -> str:
    """Which run it is and where its record lies."""
    if run.store is None:
        return f"run {run.id}"
    here = Path.cwd()
    place = run.store.relative_to(here) if run.store.is_relative_to(here) else run.store
    return f"run {run.id} in {place}"


def question(run: Run) -> str:
    """A cell that asks the store for more about the run."""
    # The id is our own, and the text is for a reader: nothing is executed here.
    return f"%traces SELECT * FROM calls WHERE run_id = '{run.id}'"  # noqa: S608 - as said above


def trouble(run: Run) -> str | None:
    """What keeps the store from being written to, if anything does: the run's record is not safe then."""
    if run.store is None:
        return None
    journal = recorder_for(run.store).journal
    journal.flush()
    return journal.trouble
