"""The lasting result of a run, as text and as HTML: the answer first, then what it cost and where its record lies.

What a model wrote is data. All of it is escaped, and nothing in the HTML is a script.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from tttlab.answers import normalise
from tttlab.notebook import facts
from tttlab.notebook.legible import counted, cut, legible, one_line, tail
from tttlab.notebook.table import table_bundle
from tttlab.notebook.texts import noted, said_in
from tttlab.notebook.transcript import Said
from tttlab.run import Run

__all__ = ["run_bundle", "table_bundle"]

OPEN_CALLS = 3
"""Up to this many calls are shown open; more are folded away."""
SHOWN_CALLS = 64
SHOWN_VOTES = 5
SHOWN_CHARACTERS = 40_000
"""Of all texts of a run together: a notebook keeps every one of its outputs."""
SHOWN_ANSWER = 2000
"""Of the answer itself; its call is shown too where it said more."""
TEXT_LINES = 12
TEXT_LINE = 400
_BIG_ANSWER = 60

_FAINT = "opacity: 0.65"
_SMALL = "font-size: 0.9em"
_MONO = "font-family: var(--jp-code-font-family, monospace)"
_GREEN, _AMBER, _RED, _GREY = "#2e9e5b", "#c98a00", "#d4483b", "#8e8e8e"
_PRE = (
    f"{_MONO}; {_SMALL}; white-space: pre-wrap; overflow-wrap: break-word; background: transparent;"
    " margin: 0.2em 0 0.5em; padding: 0; max-height: 24em; overflow-y: auto"
)


def run_bundle(run: Run) -> dict[str, str]:
    """A run as a MIME bundle of `text/plain` and `text/html`."""
    trouble, calls = facts.trouble(run), said_in(run)
    return {"text/plain": _text(run, calls, trouble), "text/html": _html(run, calls, trouble)}


def _text(run: Run, calls: Sequence[Said], trouble: str | None) -> str:
    lines = [legible(_as_written(run, calls)) if run.answer is not None else "no answer"]
    if said := facts.verdict(run):
        lines[0] += f"   ({said})"
    if said := facts.ending(run):
        lines.append(said)
    if said := _support(run):
        lines.append(said)
    if said := facts.disagreement(run):
        lines.append(said)
    if len(calls) <= OPEN_CALLS:
        for call in calls:
            lines += _quoted(call, run)
    lines.append(" · ".join([*facts.spent(run), *facts.asked(run)]))
    if said := facts.replayed(run):
        lines.append(said)
    lines.append(facts.where(run))
    lines += facts.noted(run)
    if trouble:
        lines.append(f"Warning: {legible(trouble)}")
    return "\n".join([*lines, *map(legible, noted(run)), facts.question(run)])


def _support(run: Run) -> str:
    said = [] if run.confidence is None else [f"confidence {run.confidence:.2f}"]
    if found := facts.votes(run):
        listed = ", ".join(f"{cut(value, 30)} ({weight:g})" for value, weight in found[:SHOWN_VOTES])
        left_out = len(found) - SHOWN_VOTES
        said.append(f"votes: {listed}" + (f" and {counted(left_out, 'other candidate')}" if left_out > 0 else ""))
    return " · ".join(said)


def _quoted(call: Said, run: Run) -> list[str]:
    text = legible(call.text or call.thinking).strip()
    if not text or _is_shown_above(call, run):
        return []
    lines = text.splitlines()
    shown = lines[-TEXT_LINES:]
    left_out = [] if len(lines) == len(shown) else ["  │ …"]
    return [*left_out, *(f"  │ {tail(line, TEXT_LINE)}" for line in shown)]


def _html(run: Run, calls: Sequence[Said], trouble: str | None) -> str:
    parts = [_answer(run, calls)]
    if said := facts.ending(run):
        parts.append(_block(said, f"color: {_colour(run)}; margin: 0.2em 0"))
    parts.append(_bars(run))
    if said := facts.disagreement(run):
        parts.append(_block(said, f"{_SMALL}; {_FAINT}"))
    parts.append(_calls(run, calls))
    parts.append(_block(" · ".join(facts.spent(run)), "margin-top: 0.3em"))
    if said := facts.replayed(run):
        parts.append(_block(said, f"{_SMALL}; {_FAINT}"))
    parts.append(_block(" · ".join(facts.asked(run)), f"{_SMALL}; {_FAINT}"))
    parts.append(_block(facts.where(run), f"{_SMALL}; {_FAINT}; overflow-wrap: break-word"))
    parts.append(
        f'<div style="{_SMALL}"><code style="{_FAINT}; background: transparent; padding: 0">'
        f"{html.escape(facts.question(run))}</code></div>"
    )
    parts += [_block(note, f"{_SMALL}; color: {_GREY}") for note in facts.noted(run)]
    parts += [_block(legible(note), f"{_SMALL}; color: {_GREY}") for note in noted(run)]
    if trouble:
        parts.append(_block(f"Warning: {legible(trouble)}", f"color: {_AMBER}; font-weight: 600"))
    # The class keeps MathJax from taking `$` in a text for a formula.
    return (
        f'<div class="mathjax_ignore tex2jax_ignore" style="border-left: 3px solid {_colour(run)};'
        f" padding: 0.1em 0 0.1em 0.9em; max-width: 60em; line-height: 1.45;"
        f' font-family: var(--jp-ui-font-family, system-ui, sans-serif)">{"".join(parts)}</div>'
    )


def _colour(run: Run) -> str:
    if run.status == "failed" or run.correct is False:
        return _RED
    if run.status in ("budget", "stopped"):
        return _AMBER
    return _GREEN if run.correct else _GREY


def _block(text: str, style: str) -> str:
    return f'<div style="{style}">{html.escape(text)}</div>'


def _as_written(run: Run, calls: Sequence[Said]) -> str:
    """The answer; where it is a long text that a call said and nothing else, as the call wrote it."""
    return next((call.text.strip() for call in calls if _is_shown_above(call, run)), run.answer or "")


def _is_shown_above(call: Said, run: Run) -> bool:
    """Whether the answer is all that the call said, so that its text need not be shown once more."""
    text = call.text.strip()
    return text == run.answer or (_BIG_ANSWER < len(text) <= SHOWN_ANSWER and normalise(text) == run.answer)


def _answer(run: Run, calls: Sequence[Said]) -> str:
    if run.answer is None:
        return _block("no answer", f"font-size: 1.3em; {_FAINT}")
    answer = legible(tail(_as_written(run, calls), SHOWN_ANSWER))
    size = "1.7em; font-weight: 600; line-height: 1.2" if len(answer) <= _BIG_ANSWER else "1.1em"
    mark = ""
    if said := facts.verdict(run):
        colour, sign = (_GREEN, "✓") if run.correct else (_RED, "✗")
        mark = f' <span style="color: {colour}; margin-left: 0.6em">{sign} {html.escape(said)}</span>'
    shown = f'<span style="font-size: {size}; white-space: pre-wrap">{html.escape(answer)}</span>'
    return f'<div style="margin-bottom: 0.2em; overflow-wrap: break-word">{shown}{mark}</div>'


def _bars(run: Run) -> str:
    found = facts.votes(run)
    confidence = "" if run.confidence is None else f"confidence {run.confidence:.2f}"
    if not found:
        return _block(confidence, _FAINT) if confidence else ""
    whole = sum(weight for _, weight in found) or 1.0
    rows = "".join(
        f'<span style="text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap">'
        f"{html.escape(cut(value, 60))}</span>"
        f'<span style="{_FAINT}; text-align: right">{weight:g}</span>'
        f'<span style="width: {100 * weight / whole:.1f}%; height: 0.7em; background-color: {_GREY};'
        f' opacity: {1 if index == 0 else 0.5}"></span>'
        for index, (value, weight) in enumerate(found[:SHOWN_VOTES])
    )
    grid = (
        f'<div style="display: grid; grid-template-columns: fit-content(16em) max-content 12em; align-items: center;'
        f' gap: 0 0.7em; {_SMALL}">{rows}</div>'
    )
    left_out = len(found) - SHOWN_VOTES
    others = _block(f"and {counted(left_out, 'other candidate')}", f"{_SMALL}; {_FAINT}") if left_out > 0 else ""
    return f'<div style="margin: 0.3em 0">{_block(confidence, _FAINT) if confidence else ""}{grid}{others}</div>'


def _calls(run: Run, calls: Sequence[Said]) -> str:
    if not calls:
        return ""
    room = max(400, min(8000, SHOWN_CHARACTERS // min(len(calls), SHOWN_CALLS)))
    if len(calls) <= OPEN_CALLS:
        return "".join(_call(call, run, room, alone=True) for call in calls)
    shown = "".join(_folded(call, run, room) for call in calls[:SHOWN_CALLS])
    if len(calls) > SHOWN_CALLS:
        shown += _block(f"and {len(calls) - SHOWN_CALLS} more in the store", _FAINT)
    return (
        f'<details><summary style="cursor: pointer">what the {len(calls)} calls said</summary>'
        f'<div style="margin-left: 1em">{shown}</div></details>'
    )


def _folded(call: Said, run: Run, room: int) -> str:
    said = call.answer if call.answer is not None else "no answer" if call.status == "ok" else call.status
    return (
        f'<details><summary style="cursor: pointer"><span style="{_FAINT}">{call.number}</span> '
        f"{html.escape(cut(one_line(said), 80))}</summary>{_call(call, run, room)}</details>"
    )


def _call(call: Said, run: Run, room: int, *, alone: bool = False) -> str:
    shown = ""
    if call.thinking:
        shown += (
            f'<details><summary style="cursor: pointer; {_FAINT}; font-style: italic">thinking</summary>'
            f'<pre style="{_PRE}; {_FAINT}; font-style: italic">{_escaped(call.thinking, room)}</pre></details>'
        )
    if call.text.strip() and not (alone and _is_shown_above(call, run)):
        shown += f'<pre style="{_PRE}">{_escaped(call.text, room)}</pre>'
    if call.status in ("failed", "cancelled"):
        shown += _block(
            f"this call {'failed' if call.status == 'failed' else 'was cancelled'} here", f"{_SMALL}; {_FAINT}"
        )
    return shown


def _escaped(text: str, room: int) -> str:
    return html.escape(legible(tail(text, room)).strip("\n"))
