"""Logs of inspect_ai, `.eval` and `.json`, read by inspect_ai itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

from tttlab.answers import normalise
from tttlab.errors import OptionError, nearest
from tttlab.experiments.importers.logged import LoggedAnswer, LoggedCall, LoggedRun, LoggedUsage, LoggedVerdict
from tttlab.experiments.importers.writing import Imported, source_of, write_runs
from tttlab.experiments.tasks.installed import need
from tttlab.labels import Label
from tttlab.types import Message

FORMAT, VERSION = "inspect_ai", 1
_VALUES: Mapping[str, float] = {
    **dict.fromkeys(("c", "yes", "true"), 1.0),
    **dict.fromkeys(("i", "n", "no", "false"), 0.0),
    "p": 0.5,
}
"""What the words that its scorers give are worth, as it has them itself."""


def import_inspect_log(
    path: str | Path,
    *,
    scorer: str | None = None,
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> Imported:
    """Import a log of inspect_ai: a run for each sample, and in it a call for each epoch.

    An answer is what the scorer found, or the whole completion where it names none, and is right where it gives 1
    (`C`); `scorer` is the one that says so, and the log's first unless given. All scores become verdicts. A call holds
    what its epoch spent, of all the model calls in it. A problem's id is `TASK:SAMPLE`.

    Importing a file again adds nothing. Raises `OptionError` where inspect_ai is not installed, for a file that it
    cannot read, one without samples, or a scorer that it does not have; and `StoreError`.
    """
    need("inspect_ai", "pip install inspect-ai", f"the log {Path(path).name}")
    source = source_of(path, format=FORMAT, version=VERSION)
    log = _read(source.path)
    epochs: dict[str, list[Any]] = {}
    for sample in log.samples or ():
        epochs.setdefault(str(sample.id), []).append(sample)
    if not epochs:
        raise OptionError(f"{source.path.name} has no samples: its evaluation's status is {log.status!r}")
    scorers = list(dict.fromkeys(name for sample in log.samples for name in sample.scores or ()))
    if scorer is not None and scorer not in scorers:
        raise OptionError(f"{source.path.name} has no scorer {scorer!r}{nearest(scorer, scorers)}")
    judge = scorer or (scorers[0] if scorers else None)
    runs = [_run(log, identity, found, judge) for identity, found in epochs.items()]
    return write_runs(source, runs, store=store, labels=labels, notes=_notes(log, scorers, judge))


def _read(path: Path) -> Any:
    library: Any = import_module("inspect_ai.log")
    try:
        return library.read_eval_log(str(path), resolve_attachments=True)
    except Exception as error:  # its readers raise errors of zip files, of JSON and of its own models
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OptionError(f"{path.name} cannot be read by inspect_ai: {said:.200}") from error


def _run(log: Any, identity: str, epochs: Sequence[Any], judge: str | None) -> LoggedRun:
    first, task = epochs[0], log.eval.task.rpartition("/")[2]
    calls = [_call(log, sample, judge) for sample in epochs]
    targets = [first.target] if isinstance(first.target, str) else list(first.target)
    asked = _messages(first.input)
    return LoggedRun(
        place=f"sample {identity}",
        problem=f"{task}:{identity}",
        strategy=log.eval.solver or "generate",
        model=log.eval.model,
        prompt="\n\n".join(message.text for message in asked),
        reference=targets[0] if targets and targets[0] else None,
        check=f"inspect_ai:{judge}@1" if judge else None,
        parameters={"epochs": len(epochs), "task": log.eval.task, **(log.eval.solver_args or {})},
        status="failed" if all(sample.error for sample in epochs) else "ok",
        error=next((sample.error.message for sample in epochs if sample.error), None),
        usage=_total(call.usage for call in calls),
        calls=calls,
        verdicts=[
            LoggedVerdict(verifier=name, candidate=call.text, score=score, explanation=said.explanation)
            for sample, call in zip(epochs, calls, strict=True)
            for name, said in (sample.scores or {}).items()
            if (score := _worth(said.value)) is not None
        ],
        # Several epochs are samples, of which none is the run's answer.
        answers=[LoggedAnswer(value=calls[0].answer, correct=calls[0].correct)] if len(calls) == 1 else (),
        times=_span(call.times for call in calls),
    )


def _call(log: Any, sample: Any, judge: str | None) -> LoggedCall:
    text = sample.output.completion
    said = (sample.scores or {}).get(judge) if judge else None
    worth = None if said is None else _worth(said.value)
    raw = text if said is None or said.answer is None else said.answer
    choice = next(iter(sample.output.choices), None)
    answer = None if sample.error else normalise(raw)
    return LoggedCall(
        text=text,
        thinking=_thinking(choice),
        answer=answer,
        raw_answer=None if answer is None else raw,
        correct=None if worth is None else worth == 1.0,
        messages=_messages(sample.input),
        status="failed" if sample.error else "ok",
        error=sample.error.message if sample.error else None,
        finish_reason={"max_tokens": "length"}.get(choice.stop_reason, choice.stop_reason) if choice else None,
        usage=_usage(sample.model_usage.values()),
        mean_logprob=_mean_logprob(choice),
        temperature=_option(log, "temperature"),
        max_tokens=_option(log, "max_tokens"),
        seed=_option(log, "seed"),
        times=_times(sample),
    )


def _option(log: Any, name: str) -> Any:
    """As the evaluation gave it, else as its model has it."""
    given = getattr(log.plan.config, name)
    return getattr(log.eval.model_generate_config, name) if given is None else given


def _worth(value: Any) -> float | None:
    """What a score is worth; None for several at once, and for words that say nothing."""
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return _VALUES[value.lower()] if value.lower() in _VALUES else float(value)
    except ValueError:
        return None


def _messages(said: Any) -> tuple[Message, ...]:
    """What was asked, in text; a tool's turn has no place in a conversation here, and is left out."""
    if isinstance(said, str):
        return (Message("user", said),)
    return tuple(Message(each.role, each.text) for each in said if each.role in ("system", "user", "assistant"))


def _thinking(choice: Any) -> str | None:
    content = choice.message.content if choice else ""
    parts = [] if isinstance(content, str) else [part.reasoning for part in content if part.type == "reasoning"]
    return "\n".join(parts) or None


def _mean_logprob(choice: Any) -> float | None:
    tokens = choice.logprobs.content if choice and choice.logprobs else ()
    return fmean(token.logprob for token in tokens) if tokens else None


def _usage(spent: Iterable[Any]) -> LoggedUsage:
    """Of all models together. Its input tokens are those of the full price; here prompt tokens are all."""
    listed = list(spent)
    if not listed:
        return LoggedUsage()
    cached = sum(each.input_tokens_cache_read or 0 for each in listed)
    written = sum(each.input_tokens_cache_write or 0 for each in listed)
    thought = [each.reasoning_tokens for each in listed if each.reasoning_tokens is not None]
    costs = [each.total_cost for each in listed]
    return LoggedUsage(
        prompt_tokens=sum(each.input_tokens for each in listed) + cached + written,
        cached_tokens=cached,
        output_tokens=sum(each.output_tokens for each in listed),
        thinking_tokens=sum(thought) if thought else None,
        dollars=None if None in costs else sum(costs),
    )


def _total(usages: Iterable[LoggedUsage]) -> LoggedUsage:
    """The sum of what calls spent; what one of them leaves unknown is unknown. `calls` counts them."""
    listed = list(usages)

    def added(name: str) -> Any:
        amounts = [getattr(usage, name) for usage in listed]
        return None if None in amounts else sum(amounts)

    names = ("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens", "dollars")
    return LoggedUsage(**{name: added(name) for name in names}, calls=len(listed))


def _times(sample: Any) -> tuple[int, int] | None:
    if not sample.started_at or not sample.completed_at:
        return None
    begin, end = (datetime.fromisoformat(when) for when in (sample.started_at, sample.completed_at))
    return round(begin.timestamp() * 1e6) * 1000, round(end.timestamp() * 1e6) * 1000


def _span(times: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [each for each in times if each is not None]
    return (min(begin for begin, _ in known), max(end for _, end in known)) if known else None


def _notes(log: Any, scorers: Sequence[str], judge: str | None) -> list[str]:
    several = sum(sum(event.event == "model" for event in sample.events or ()) > 1 for sample in log.samples)
    notes = {
        f"the evaluation's status is {log.status}": log.status != "success",
        "no scorer says which answers are right": judge is None,
        f"right is what {judge} says, of {', '.join(scorers)}": len(scorers) > 1,
        f"{several:,} epochs took several model calls: each is one call here, with all that they spent": several,
    }
    return [note for note, holds in notes.items() if holds]
